from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score, f1_score

from ferkit.errors import InputError
from ferkit.evaluation.retrieval import retrieval_score
from ferkit.evaluation.sgd import SgdSchedule
from ferkit.evaluation.triplets import triplet_score
from ferkit.probing.folds import ProbeRows, cross_validation_split, fixed_split
from ferkit.probing.protocols.affect import affect_section
from ferkit.probing.protocols.base import FoldResult, classifier_section
from ferkit.probing.protocols.leakage import leakage_figures, leakage_section
from ferkit.probing.protocols.linear import linear_section, random_crops
from ferkit.probing.protocols.retrieval import retrieval_section
from ferkit.probing.protocols.triplets import triplet_section

PURE = {"expression": {"expression": 1, "noise": 0.05}, "noise": {"noise": 1}}


def rows_of(vectors, labels, who, affect=None):
    nothing = np.full((len(labels), 2), np.nan)
    return ProbeRows(vectors, vectors, labels, who, who, [None] * len(who), nothing if affect is None else affect)


@pytest.fixture
def planted_rows(planted):
    return lambda plan="expression", **more: rows_of(*planted(**PURE.get(plan, {}), **more))


def folds_of(rows, folds=3, seeds=(0,)):
    return cross_validation_split(np.arange(len(rows)), rows.true_labels, rows.people, seeds, folds)


def value_of(section, name):
    return next(figure.value for figure in section.figures if figure.name == name)


def test_random_crops_are_torchvisions():
    """Sizes and aspects by their distribution, measured on a picture whose colours are its coordinates."""
    ramp = np.linspace(0, 255, 64).round().astype(np.uint8)
    picture = np.stack([*np.broadcast_arrays(ramp[None], ramp[:, None]), np.zeros((64, 64), np.uint8)], 2)
    crops = random_crops(np.tile(picture, (400, 1, 1, 1)), 0.25, torch.Generator().manual_seed(0)).astype(float)
    assert crops.shape == (400, 64, 64, 3)
    across, down = (np.abs(crops[:, -1, -1, axis] - crops[:, 0, 0, axis]) / 255 for axis in (0, 1))
    area, aspect = across * down, across / down
    assert 0.24 < area.min() < 0.3
    assert area.max() <= 1
    assert 0.5 < area.mean() < 0.65  # 0.625, less what aspects cut off
    assert (aspect.min(), aspect.max()) == (pytest.approx(3 / 4, abs=0.03), pytest.approx(4 / 3, abs=0.03))
    mirrored = (crops[:, 0, -1, 0] < crops[:, 0, 0, 0]).mean()
    assert mirrored == pytest.approx(0.5, abs=0.08)


def test_the_linear_probe_sees_other_crops_each_epoch(planted_rows):
    rows, asked = planted_rows(), []

    def augmented(some, generator):
        asked.append((some.tolist(), torch.rand(1, generator=generator).item()))
        return rows.features[some]

    split = folds_of(rows, folds=2)
    schedule = SgdSchedule(lr=0.1, epochs=3, least_area=0.2)
    section = linear_section(rows, rows, split, schedule, augmented)
    assert value_of(section, "accuracy") == 1
    assert "other crops of 20% of the area or more each epoch" in section.protocol
    assert [some for some, _ in asked] == [fold.train.tolist() for fold in split.folds[0] for _ in range(3)]
    assert len({drawn for _, drawn in asked}) == 3  # the same in each fold, another in each epoch


def test_figures_are_scikit_learns_with_two_seeds_pooled():
    random = np.random.default_rng(0)
    labels = random.choice(["a", "b", "c"], 40, p=[0.6, 0.3, 0.1]).tolist()
    answers = [random.choice(["a", "b", "c"], 40) for _ in range(2)]
    rows = rows_of(np.zeros((40, 1)), labels, [str(number // 2) for number in range(40)])
    split = fixed_split(np.arange(40), np.arange(40), (0, 1))
    section = classifier_section("x", rows, rows, split, lambda fold, seed: FoldResult(answers[seed].astype(object)))
    true, predicted = labels * 2, np.concatenate(answers)
    accuracy, balanced, f1 = section.figures
    assert accuracy.value == pytest.approx(np.mean(predicted == true))
    assert balanced.value == pytest.approx(balanced_accuracy_score(true, predicted))
    assert f1.value == pytest.approx(f1_score(true, predicted, average="macro"))
    assert accuracy.by_seed == pytest.approx([np.mean(one == labels) for one in answers])
    assert accuracy.chance == pytest.approx(max(labels.count(name) for name in "abc") / 40)
    assert (accuracy.groups, section.result.count) == (20, 80)
    assert accuracy.interval[0] < accuracy.value < accuracy.interval[1]


def test_planted_affect_is_read(planted):
    vectors, labels, who = planted(20, noise=1)
    affect = np.tanh(vectors[:, :2] + vectors[:, 2:4])
    rows = rows_of(vectors, labels, who, affect)
    section = affect_section(rows, rows, folds_of(rows))
    assert [figure.name for figure in section.figures] == [
        f"{what}.{figure}" for what in ("valence", "arousal") for figure in ("ccc", "pcc", "sagr", "rmse")
    ]
    assert value_of(section, "valence.ccc") > 0.7
    expected = np.sqrt(np.mean((section.predicted[:, 1] - affect[:, 1]) ** 2))
    assert value_of(section, "arousal.rmse") == pytest.approx(expected)


def test_retrieval_and_triplets_are_those_of_the_scores(planted_rows):
    rows = planted_rows("noise", people=8)
    score, section = retrieval_score(rows.vectors, rows.true_labels, rows.people, k=3), retrieval_section(rows, k=3)
    assert value_of(section, "precision") == pytest.approx(score.precision)
    assert value_of(section, "mean_average_precision") == pytest.approx(score.mean_average_precision)
    assert section.figures[0].chance == pytest.approx(1 / 3)
    score, section = triplet_score(rows.vectors, rows.labels, rows.people), triplet_section(rows)
    expected = list(zip((score.accuracy, score.by_person), score.intervals, strict=True))
    assert [(figure.value, figure.interval) for figure in section.figures] == expected
    for figure in section.figures:
        assert figure.statistic(np.arange(len(figure.people))) == pytest.approx(figure.value)
    some = triplet_section(rows, pair=("anger", "neutral"))
    assert some.triplets < section.triplets
    with pytest.raises(InputError, match="both 'anger' and 'fear'"):
        triplet_section(rows, pair=("anger", "fear"))


def test_leakage_beside_its_baselines(planted):
    pure = rows_of(*planted(10, expression=1, noise=0.01))
    known = rows_of(*planted(10, identity=1, noise=0.01))
    below, _ = leakage_figures(pure, {"identity": pure.people})
    section = leakage_section(known, {"identity": known.people}, {"pixels": below})
    figures = {figure.name: figure for figure in section.figures}
    below = {figure.name: figure.value for figure in section.baselines["pixels"]}
    assert figures["identity.nearest"].value == figures["identity.linear"].value == 1
    assert figures["expression_over_identity"].value == 0
    assert below["expression_over_identity"] == 1
    assert below["identity.nearest"] < 0.5
    for figure in section.figures:
        assert figure.statistic(np.arange(len(figure.people))) == pytest.approx(figure.value)


def test_a_column_that_cannot_be_asked_is_left_out_and_alone_is_refused(planted_rows):
    rows = planted_rows(people=4)
    one = ["x"] * len(rows)
    section = leakage_section(rows, {"identity": rows.people, "pose": one}, {})
    assert set(section.left_out) == {"pose.nearest", "pose.linear"}
    nameless = replace(rows, labels=[None] * len(rows))
    with pytest.raises(InputError, match="nothing to tell apart"):
        leakage_section(nameless, {"pose": one}, {})
