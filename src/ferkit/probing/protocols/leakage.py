"""Leakage: what else the vectors tell, identity first, beside what pixels and random weights tell."""

from collections.abc import Mapping, Sequence

from ferkit.errors import InputError
from ferkit.evaluation.leakage import linear_leak, neighbour_leak
from ferkit.evaluation.triplets import triplet_score
from ferkit.probing.folds import ProbeRows
from ferkit.probing.plan import ProbePlan
from ferkit.probing.probed_encoders import baselines, rows_of
from ferkit.probing.protocols.base import Protocol, Task, mean_of, triplet_metric
from ferkit.probing.report import LeakageSection, MetricValue, Section


def leakage_section(
    test_rows: ProbeRows,
    columns: Mapping[str, Sequence[str | None]],
    baselines: Mapping[str, tuple[MetricValue, ...]],
    *,
    seed: int = 0,
) -> LeakageSection:
    """Ask what the vectors tell of identity and other columns, beside what pixels and random weights tell.

    ``baselines`` are `leakage_figures` of others on the same faces.

    Raises:
        InputError: no column can be asked; says why of the first.
    """
    figures, left_out = leakage_figures(test_rows, columns, seed)
    if not figures:
        raise InputError(next(iter(left_out.values())))
    protocol = (
        "<column>.nearest: the nearest other face (cosine) has the same value, of identity not of the same clip, else"
        " of another person; <column>.linear: a linear classifier fitted on one half tells the other half's value, of"
        " up to 100 values with 4 faces; expression_over_identity: the same expression on another person is nearer than"
        " another on the same person, mean over people"
    )
    return LeakageSection(protocol, figures, baselines, left_out)


def leakage_figures(
    rows: ProbeRows, columns: Mapping[str, Sequence[str | None]], seed: int = 0
) -> tuple[tuple[MetricValue, ...], dict[str, str]]:
    """Return the figures of one encoder, of each column both and the one number, and why some are left out."""
    figures: list[MetricValue] = []
    left_out: dict[str, str] = {}
    for name, values in columns.items():
        groups = rows.clips if name == "identity" else rows.people
        for how, ask in (("nearest", neighbour_leak), ("linear", linear_leak)):
            try:
                leak = ask(rows.vectors, values, rows.people, groups=groups, seed=seed)
            except InputError as error:
                left_out[f"{name}.{how}"] = str(error)
            else:
                whose = tuple(rows.people[row] for row in leak.rows.tolist())
                count, hits = len(set(whose)), mean_of(leak.hits)
                figures.append(
                    MetricValue(f"{name}.{how}", leak.rate, leak.interval, count, leak.chance, (), hits, whose)
                )
    score = triplet_score(rows.vectors, rows.labels, rows.identities, seed=seed)
    if score is not None:
        figures.append(triplet_metric("expression_over_identity", score, by_person=True))
    return tuple(figures), left_out


def _run(task: Task) -> Section:
    plan = task.plan
    columns, seed = plan.leak_columns(), plan.settings.seed
    below = {}
    for other in baselines(task.subject.source, plan.test_data, task.device):
        if other.key not in task.leaks:
            rows = rows_of(other, plan.test_data, task.progress)
            task.leaks[other.key] = leakage_figures(rows, columns, seed)[0]
        below[other.reference] = task.leaks[other.key]
    return leakage_section(task.subject.test_rows, columns, below, seed=seed)


PROTOCOL = Protocol("What else the vectors tell", ProbePlan.leak_columns, _run)
