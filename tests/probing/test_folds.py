import numpy as np
import pytest

from ferkit.errors import InputError
from ferkit.probing.folds import dealt_split, given_split


def crowd():
    people = [f"p{number}" for number in np.repeat(np.arange(20), 3)]
    return np.arange(100, 160), ["a", "b", "c"] * 20, people


@pytest.mark.parametrize("folds", [1, 4])
def test_nobody_is_on_both_sides_and_every_asked_row_is_judged_once_a_seed(folds):
    rows, labels, people = crowd()
    split = dealt_split(rows, labels, people, (0, 1), folds)
    whose = dict(zip(rows.tolist(), people, strict=True))
    assert len(split.asked) == (60 if folds > 1 else 12)
    for trials in split.trials:
        assert len(trials) == folds
        assert sorted(np.concatenate([trial.judged for trial in trials])) == list(range(len(split.asked)))
        for trial in trials:
            known, asked = ({whose[row] for row in part.tolist()} for part in (trial.known, split.asked[trial.judged]))
            assert not known & asked
            assert len(known | asked) == 20


def test_one_fold_asks_the_same_people_for_all_seeds_and_several_deal_anew():
    rows, labels, people = crowd()
    (first,), (second,) = dealt_split(rows, labels, people, (0, 1), 1).trials
    assert np.array_equal(first.known, second.known)
    first, second = dealt_split(rows, labels, people, (0, 1), 4).trials
    assert not np.array_equal(first[0].known, second[0].known)


def test_words_claim_no_people_where_there_are_pictures_alone():
    rows, labels, people = crowd()
    assert "nobody is" in dealt_split(rows, labels, people, (0,), 4).words
    assert "no picture is" in dealt_split(rows, labels, people, (0,), 4, known=False).words


def test_a_given_test_part_is_asked_as_a_whole():
    split = given_split(np.array([0, 2]), np.array([5, 6, 9]), (0, 1))
    assert [len(trials) for trials in split.trials] == [1, 1]
    assert split.trials[0][0].known.tolist() == [0, 2]
    assert split.asked[split.trials[0][0].judged].tolist() == [5, 6, 9]


def test_fewer_people_than_folds():
    with pytest.raises(InputError, match="3 people cannot make 5 folds"):
        dealt_split(np.arange(9), ["a", "b", "c"] * 3, list("xxxyyyzzz"), (0,), 5)
