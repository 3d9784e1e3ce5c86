import csv

import pytest

from ferkit.training.metrics import MetricsFile


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_figure_that_comes_later_is_a_further_column(tmp_path):
    path = tmp_path / "monitor.csv"
    file = MetricsFile(path, 0)
    file.append({"step": 1, "spread": 0.5})
    file = MetricsFile(path, 1)
    file.append({"step": 2, "knn": 0.44, "spread": 0.6})
    file.append({"step": 3, "spread": 0.7})
    assert rows(path) == [
        {"step": "1", "spread": "0.5", "knn": ""},
        {"step": "2", "spread": "0.6", "knn": "0.44"},
        {"step": "3", "spread": "0.7", "knn": ""},
    ]


@pytest.mark.parametrize("torn", ["", "3,0", "3,0.7\n4"])
def test_rows_beyond_the_step_and_torn_ones_go(tmp_path, torn):
    path = tmp_path / "metrics.csv"
    path.write_text(f"step,loss\n1,0.9\n2,0.8\n{torn}")
    file = MetricsFile(path, 2)
    file.append({"step": 3, "loss": 0.75})
    assert rows(path) == [
        {"step": "1", "loss": "0.9"},
        {"step": "2", "loss": "0.8"},
        {"step": "3", "loss": "0.75"},
    ]
