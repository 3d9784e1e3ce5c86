from types import SimpleNamespace

from ferkit.probing.report import MetricValue
from ferkit.report.probe_table import figures_table, latex_tables


def metric(name, value, interval=None, chance=None):
    return SimpleNamespace(name=name, value=value, interval=interval, chance=chance)


def report():
    section = SimpleNamespace(figures=(metric("top_1", 0.5, (0.4, 0.6), 0.25), metric("ccc", 0.123456)))
    return SimpleNamespace(encoders=[SimpleNamespace(name="runs/a_b & c", sections={"linear": section})])


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
