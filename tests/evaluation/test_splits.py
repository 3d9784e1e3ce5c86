from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ferkit.errors import InputError
from ferkit.evaluation.splits import identity_folds


@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from([None, *"pqrstu"])), min_size=8, max_size=40),
    st.integers(2, 4),
    st.integers(0, 99),
)
def test_nobody_is_in_two_folds_and_none_is_empty(rows, folds, seed):
    labels, people = [label for label, _ in rows], [name for _, name in rows]
    try:
        dealt = identity_folds(labels, people, folds=folds, seed=seed)
    except InputError:
        alone = sum(name is None for name in people) + len({name for name in people if name is not None})
        assert alone < folds or max(Counter(labels).values()) < folds or alone < len(rows)
        return
    assert set(dealt) == set(range(folds))
    for name in {name for name in people if name is not None}:
        assert len({fold for fold, other in zip(dealt, people, strict=True) if other == name}) == 1


def test_each_fold_has_its_share_of_every_label():
    # Twenty people show one label alone, ten another; dealt blindly, a fold in a hundred thousand would come out even.
    people = [str(number) for number in np.repeat(np.arange(30), 5)]
    labels = np.repeat(["neutral", "fear"], [100, 50])
    dealt = identity_folds(labels.tolist(), people, folds=5)
    assert np.bincount(dealt[labels == "neutral"]).tolist() == [20] * 5
    assert np.bincount(dealt[labels == "fear"]).tolist() == [10] * 5


@pytest.mark.parametrize(
    ("labels", "people"), [(["a"] * 9, list("xxxyyyzzz")), (list("abcdefgh"), [None] * 8), (["a"], ["x", "y"])]
)
def test_bad_input(labels, people):
    with pytest.raises(InputError):
        identity_folds(labels, people, folds=5)
