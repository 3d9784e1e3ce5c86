import numpy as np
import pytest

from ferkit.probing.folds import cross_validation_split, fixed_split


def crowd():
    people = [f"p{number}" for number in np.repeat(np.arange(20), 3)]
    return np.arange(100, 160), ["a", "b", "c"] * 20, people


@pytest.mark.parametrize("folds", [1, 4])
def test_nobody_is_on_both_sides_and_every_test_row_is_answered_once_a_seed(folds):
    rows, labels, people = crowd()
    split = cross_validation_split(rows, labels, people, (0, 1), folds)
    whose = dict(zip(rows.tolist(), people, strict=True))
    assert len(split.test) == (60 if folds > 1 else 12)
    for of_seed in split.folds:
        assert len(of_seed) == folds
        assert sorted(np.concatenate([fold.test for fold in of_seed])) == list(range(len(split.test)))
        for fold in of_seed:
            train, test = ({whose[row] for row in part.tolist()} for part in (fold.train, split.test[fold.test]))
            assert not train & test
            assert len(train | test) == 20


def test_one_fold_asks_the_same_people_for_all_seeds_and_several_deal_anew():
    rows, labels, people = crowd()
    (first,), (second,) = cross_validation_split(rows, labels, people, (0, 1), 1).folds
    assert np.array_equal(first.train, second.train)
    first, second = cross_validation_split(rows, labels, people, (0, 1), 4).folds
    assert not np.array_equal(first[0].train, second[0].train)


def test_a_given_test_part_is_asked_as_a_whole():
    split = fixed_split(np.array([0, 2]), np.array([5, 6, 9]), (0, 1))
    assert [len(folds) for folds in split.folds] == [1, 1]
    assert split.folds[0][0].train.tolist() == [0, 2]
    assert split.test[split.folds[0][0].test].tolist() == [5, 6, 9]
