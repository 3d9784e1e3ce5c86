import pytest

from ferkit.evaluation.classification import classification_of
from ferkit.evaluation.few_labels import few_label_curve, few_label_rows
from ferkit.evaluation.linear import linear_answers

LABELS = ["a"] * 100 + ["b"] * 40 + ["rare"] * 3 + ["once"]


@pytest.mark.parametrize(
    ("share", "counts"),
    [(0.01, [2, 2, 2, 1]), (0.10, [10, 4, 2, 1]), (0.25, [25, 10, 2, 1]), (1.0, [100, 40, 3, 1])],
)
def test_each_class_gives_its_share_and_two_rows_at_least(share, counts):
    names = [LABELS[row] for row in few_label_rows(LABELS, share)]
    assert [names.count(name) for name in ("a", "b", "rare", "once")] == counts


def test_the_whole_is_the_plain_probe(planted):
    vectors, labels, who = planted(20, expression=0.3, noise=1)
    train, test = slice(0, 60), slice(60, None)
    parts = vectors[train], labels[train], vectors[test], labels[test]
    (point,) = few_label_curve(*parts, train_identities=who[train], shares=[1.0], seeds=[3])
    plain = linear_answers(*parts[:3], train_identities=who[train], seed=3)
    assert point.results == (classification_of(labels[test], plain.predicted),)
    assert point.rows == 60
