"""Parts and folds that share no person and have their share of every label."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ferkit.errors import InputError
from ferkit.evaluation.rows import numbered_groups
from ferkit.ops.stratified_groups import stratified_group_split


def identity_folds(
    labels: Sequence[str], identities: Sequence[str | None], *, folds: int = 5, seed: int = 0
) -> NDArray[np.int64]:
    """Deal rows out to folds: nobody is in two, and labels are spread as evenly as that allows.

    By `stratified_group_split`, as `ferkit faces split` does; no less evenly than scikit-learn's
    ``StratifiedGroupKFold``.

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
    groups = numbered_groups(identities)
    people = len(np.unique(groups))
    most = max(Counter(labels).values(), default=0)
    if folds < 2 or people < folds:
        raise InputError(f"{people} people cannot make {folds} folds; choose from 2 to the number of people")
    if most < folds:
        raise InputError(f"no label has more than {most} rows, too few for {folds} folds; ask for fewer")
    _, numbers = np.unique(np.asarray(labels), return_inverse=True)
    return stratified_group_split(groups, numbers, np.full(folds, 1 / folds), seed)


def identity_split(
    labels: Sequence[str], identities: Sequence[str | None], *, held_out: int = 5, seed: int = 0
) -> NDArray[np.bool_]:
    """Return (N,) True for one part in ``held_out``: the first of that many `identity_folds`."""
    return np.asarray(identity_folds(labels, identities, folds=held_out, seed=seed) == 0)
