"""Deal groups of rows out to parts, so that no group is in two and each part has its share of every label."""

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Doubles = NDArray[np.float64]


def stratified_group_split(groups: Integers, labels: Integers, shares: Doubles, seed: int) -> Integers:
    """Give every face a part.

    Groups of several faces go first, the largest at the head, each to the part where the sum over labels of
    (faces there - faces wanted there)^2 / faces wanted there grows least. Groups of one face then fill, label by label,
    what is missing. A part that is still empty gets a small group of the part that has most.

    Args:
        groups: (n,) number of each face's group; n > 0.
        labels: (n,) number of each face's label; -1, none, counts as a label.
        shares: (p,) positive share of each part, of sum 1; p is at most the number of groups.
        seed: settles in which order groups of one size come.

    Returns:
        (n,) number of each face's part.
    """
    _, group_of, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    _, label_of = np.unique(labels, return_inverse=True)
    order = np.lexsort((np.random.default_rng(seed).permutation(len(sizes)), -sizes))
    by_group, starts = np.argsort(group_of, kind="stable"), np.cumsum(sizes) - sizes
    target = shares[:, None] * np.bincount(label_of)
    filled = np.zeros_like(target)
    parts = np.empty(len(sizes), np.int64)
    several = int((sizes > 1).sum())
    for group in order[:several].tolist():
        members = by_group[starts[group] : starts[group] + sizes[group]]
        content = np.bincount(label_of[members], minlength=target.shape[1])
        parts[group] = _least_cost(content, filled, target)
        filled[parts[group]] += content
    parts[order[several:]] = _fill(label_of[by_group[starts[order[several:]]]], filled, target)
    _leave_none_empty(parts, order, len(shares))
    return parts[group_of]


def _least_cost(content: Integers, filled: Doubles, target: Doubles) -> int:
    """The part whose sum of (filled - wanted)^2 / wanted grows least when ``content`` (labels,) joins it."""
    growth = content * (2 * (filled - target) + content) / target
    return int(growth.sum(axis=1).argmin())


def _fill(labels: Integers, filled: Doubles, target: Doubles) -> Integers:
    """Give single faces, whose labels (m,) these are, the parts that miss most of their label; adds to ``filled``."""
    parts = np.empty(len(labels), np.int64)
    for label in np.unique(labels).tolist():
        faces = np.flatnonzero(labels == label)
        missing = np.clip(target[:, label] - filled[:, label], 0, None)
        exact = len(faces) * missing / missing.sum()
        counts = np.floor(exact).astype(np.int64)
        # Of equal remainders the part that misses most over all labels comes first, or one part would get them all.
        over_all = (target - filled).sum(axis=1)
        first = np.lexsort((-over_all, -(exact - counts).round(6)))[: len(faces) - counts.sum()]
        counts[first] += 1
        filled[:, label] += counts
        parts[faces] = np.repeat(np.arange(len(counts)), counts)
    return parts


def _leave_none_empty(parts: Integers, order: Integers, count: int) -> None:
    groups = np.bincount(parts, minlength=count)
    for empty in np.flatnonzero(groups == 0).tolist():
        donor = int(groups.argmax())
        group_to_move = [group for group in order.tolist() if parts[group] == donor][-1]
        parts[group_to_move] = empty
        groups[donor] -= 1
        groups[empty] += 1
