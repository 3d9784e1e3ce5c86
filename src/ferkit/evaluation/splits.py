"""Parts and folds that share no person and have their share of every label."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ferkit.errors import InputError
from ferkit.evaluation.rows import numbered_groups

__all__ = ["identity_folds", "identity_split"]


def identity_folds(
    labels: Sequence[str], identities: Sequence[str | None], *, folds: int = 5, seed: int = 0
) -> NDArray[np.int64]:
    """Deal rows out to folds: nobody is in two, and labels are spread as evenly as that allows.

    scikit-learn's ``StratifiedGroupKFold``, or ``StratifiedKFold`` where nobody has two rows.

    Args:
        labels: of the N rows.
        identities: of the N rows; each None stands for a person of its own.
        folds: how many, at least 2.
        seed: of the order in which people are dealt.

    Returns:
        (N,) the fold of each row, from 0; no fold is empty.

    Raises:
        InputError: lengths differ, or there are fewer people, or fewer rows of every label, than folds.
    """
    if len(labels) != len(identities):
        raise InputError(f"{len(labels)} labels do not match {len(identities)} identities; give one for each row")
    people, groups = np.unique(numbered_groups(identities), return_inverse=True)
    most = max(Counter(labels).values(), default=0)
    if folds < 2 or len(people) < folds:
        raise InputError(f"{len(people)} people cannot make {folds} folds; choose from 2 to the number of people")
    if most < folds:
        raise InputError(f"no label has more than {most} rows, too few for {folds} folds; ask for fewer")
    dealt = _dealt(np.asarray(labels), groups, folds, seed)
    if len(np.unique(dealt)) < folds:
        raise InputError(f"the {len(people)} people do not fill {folds} folds evenly; ask for fewer")
    return dealt


def identity_split(
    labels: Sequence[str], identities: Sequence[str | None], *, held_out: int = 5, seed: int = 0
) -> NDArray[np.bool_]:
    """Return (N,) True for one part in ``held_out``: the first of that many `identity_folds`."""
    return np.asarray(identity_folds(labels, identities, folds=held_out, seed=seed) == 0)


def _dealt(labels: NDArray[np.str_], groups: NDArray[np.intp], folds: int, seed: int) -> NDArray[np.int64]:
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    # Where nobody has two rows, the simpler dealer does the same far faster.
    alone = len(np.unique(groups)) == len(groups)
    dealer = (StratifiedKFold if alone else StratifiedGroupKFold)(folds, shuffle=True, random_state=seed)
    dealt = np.empty(len(labels), np.int64)
    with warnings.catch_warnings():
        # A label with fewer rows than folds is absent from some, as it must be.
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        for number, (_, rows) in enumerate(dealer.split(labels, labels, None if alone else groups)):
            dealt[rows] = number
    return dealt
