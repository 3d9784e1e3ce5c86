"""Facets of a set: the few ways in which its faces differ that people choose by, and how many there are of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ferkit.data.embedding_set import EmbeddingSet
from ferkit.data.face_selection import codes, picture_of
from ferkit.errors import InputError

Mask = NDArray[np.bool_]

QUALITIES = ("large", "frontal", "sharp", "whole")
"""At least 96 px of the photo, turned by 20 degrees at most, sharpness of 0.5 or more, nothing cut off."""

_MOST_VALUES = 40


@dataclass(frozen=True)
class Choice:
    """Which faces to search."""

    # of each facet, those that are let through; a facet without any lets everything through
    values: Mapping[str, Sequence[str]] = field(default_factory=dict)
    quality: Sequence[str] = ()  # which of `QUALITIES` a face must have
    text: str = ""  # what its path, identity or label must hold, in any case


class Facets:
    """The facets of one embedding set; ``shows`` and ``month`` come later, with `add`.

    Args:
        embeddings: an opened embedding set.

    Attributes:
        columns: (N,) numbers of each facet's values, -1 where a face has none, and the values.
    """

    def __init__(self, embeddings: EmbeddingSet) -> None:
        self._set = embeddings
        self.columns = {"label": codes(embeddings.column("label")), "folder": codes(_folders(embeddings))}

    def add(self, name: str, numbers: NDArray[np.int64], values: Sequence[str]) -> None:
        """Add a facet: (N,) numbers of its values, -1 where a face has none."""
        self.columns = {**self.columns, name: (numbers, list(values))}

    @cached_property
    def _qualities(self) -> dict[str, Mask]:
        rows = self._set.columns(["size", "yaw", "sharpness", "clipped"])
        size, yaw, sharpness, clipped = (column.to_numpy().astype(np.float64) for column in rows.columns)
        with np.errstate(invalid="ignore"):  # what is not known does not pass
            return dict(zip(QUALITIES, (size >= 96, np.abs(yaw) <= 20, sharpness >= 0.5, clipped <= 0), strict=True))

    def rows(self, choice: Choice) -> Mask:
        """Return (N,) whether each face is let through.

        Raises:
            InputError: there is no such quality.
        """
        masks = self._masks(choice)
        return np.logical_and.reduce(list(masks.values())) if masks else np.ones(len(self._set), np.bool_)

    def counts(self, choice: Choice) -> dict[str, list[tuple[str, int]]]:
        """Return the values of each facet with how many faces the rest of the choice leaves them, most first."""
        masks = self._masks(choice)
        counted = {}
        for name, (numbers, values) in self.columns.items():
            others = [mask for other, mask in masks.items() if other != name]
            kept = numbers[np.logical_and.reduce(others)] if others else numbers
            found = np.bincount(kept[kept >= 0], minlength=len(values))
            order = np.argsort(-found, kind="stable")[:_MOST_VALUES]
            chosen = [values.index(value) for value in choice.values.get(name, ()) if value in values]
            shown = dict.fromkeys([*order.tolist(), *chosen])
            counted[name] = [(values[at], int(found[at])) for at in shown if found[at] or at in chosen]
        rest = self.rows(Choice(choice.values, (), choice.text))
        counted["quality"] = [(name, int((mask & rest).sum())) for name, mask in self._qualities.items()]
        return {name: found for name, found in counted.items() if any(number for _, number in found)}

    def _masks(self, choice: Choice) -> dict[str, Mask]:
        masks = {}
        for name, wanted in choice.values.items():
            if wanted and name in self.columns:
                numbers, values = self.columns[name]
                masks[name] = np.isin(numbers, [values.index(value) for value in wanted if value in values])
        for name in choice.quality:
            if name not in self._qualities:
                raise InputError(f"there is no quality {name!r}; there are {', '.join(QUALITIES)}")
            masks[name] = self._qualities[name]
        if choice.text:
            masks["text"] = self._holding(choice.text)
        return masks

    def _holding(self, text: str) -> Mask:
        found = np.zeros(len(self._set), np.bool_)
        for column in self._set.columns(["source", "identity", "label"]).columns:
            holds = pc.match_substring(column, text, ignore_case=True)
            found |= pc.fill_null(holds, False).to_numpy()
        return found


def _folders(embeddings: EmbeddingSet) -> pa.ChunkedArray:
    """The folder of each face's picture, file or archive, below what all of them share."""
    pictures = picture_of(embeddings.column("source"))
    folders = pc.replace_substring_regex(pictures, r"[\\/][^\\/]*$", "")
    numbers, names = codes(folders)
    if len(names) < 2:
        return pa.chunked_array([pa.nulls(len(embeddings), pa.string())])
    first, last = min(names).split("/"), max(names).split("/")
    shared = next(
        (at for at, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last))
    )
    short = pa.array(["/".join(name.split("/")[shared:]) or "." for name in names])
    return pa.chunked_array([short.take(pa.array(numbers))])
