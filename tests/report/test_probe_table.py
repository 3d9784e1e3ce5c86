from types import SimpleNamespace

import pytest

from ferkit.probing.report import MetricValue
from ferkit.report.probe_table import figures_table, latex_tables, protocol_rows


def metric(name, value, interval=None, chance=None):
    return SimpleNamespace(name=name, value=value, interval=interval, chance=chance)


def report():
    section = SimpleNamespace(figures=(metric("top_1", 0.5, (0.4, 0.6), 0.25), metric("ccc", 0.123456)))
    return SimpleNamespace(encoders=[SimpleNamespace(name="runs/a_b & c", sections={"linear": section}, recipe=None)])


def test_runs_of_one_recipe_have_a_mean_and_a_deviation():
    known = [("x-s0", 0.5, "x"), ("x-s1", 0.7, "x"), ("x-s2", 0.6, "x"), ("y", 0.9, "y"), ("z", 0.1, None)]
    runs = [
        SimpleNamespace(
            name=name, recipe=recipe, sections={"knn": SimpleNamespace(figures=(metric("accuracy", value),))}
        )
        for name, value, recipe in known
    ]
    rows = list(protocol_rows(SimpleNamespace(encoders=runs), "knn"))
    assert [row.name for row in rows[5:]] == ["mean of 3 seeds, x-s0 …", "deviation of 3 seeds, x-s0 …"]
    assert [row.cells["accuracy"] for row in rows[5:]] == [pytest.approx(0.6), pytest.approx(0.1)]


def test_all_figures_are_rows():
    assert {"name", "value", "interval", "chance"} <= set(MetricValue.__dataclass_fields__)
    chance = {"protocol": "linear", "encoder": "chance", "figure": "top_1", "value": 0.25, "low": None, "high": None}
    assert figures_table(report()).to_pylist() == [
        chance | {"encoder": "runs/a_b & c", "value": 0.5, "low": 0.4, "high": 0.6},
        chance | {"encoder": "runs/a_b & c", "figure": "ccc", "value": 0.123456},
        chance,
    ]


def test_latex_is_escaped_and_aligned():
    assert latex_tables(report()).splitlines() == [
        "% ferkit probe: linear",
        r"\begin{tabular}{lrr}",
        r"\toprule",
        r" & top\_1 & ccc \\",
        r"\midrule",
        r"runs/a\_b \& c & 0.500 [0.400, 0.600] & 0.123 \\",
        r"chance & 0.250 & -- \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]
