"""Aff-Wild2, videos annotated frame by frame (Kollias and Zafeiriou, BMVC 2019, and the ABAW challenges)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePath

import numpy as np
from numpy.typing import NDArray

from ferkit.data.expressions import expression
from ferkit.data.sources.layouts.layout import MissingPartError, Parts, frame_number, pictures_by_path, require_path
from ferkit.data.sources.picture import LazyPictures, Picture
from ferkit.errors import InputError

_FRAMES = "cropped_aligned"
_PLACES = ("", "*/", "*nnotations*/*/")  # a folder of frames is too long to be searched
_SETS = ("Train_Set", "Training_Set", "Validation_Set")
_NO_EXPRESSION = -1
_NO_AFFECT = -5


@dataclass(frozen=True)
class _PerFrame:
    """One annotation file: the names of its columns or classes, and (frames, columns) float64."""

    names: tuple[str, ...]
    values: NDArray[np.float64]


def read_aff_wild2(root: Path) -> Parts:
    """Read ``cropped_aligned/<video>/00001.jpg`` with the annotations of expression (``EXPR_*``) and of ``VA_*``.

    Frame n, counted from 1, belongs to the nth row below the first line of ``<video>.txt``. Frames of other videos,
    and those marked as invalid (-1, -5), have no label. Rates differ from video to video: frames have no time.
    """
    frames = require_path(root, _FRAMES)
    classes = {video: _read_classes(file) for video, file in _annotation_files(root, "EXPR")}
    affects = {video: _read_affect(file) for video, file in _annotation_files(root, "VA")}
    if not classes and not affects:
        raise MissingPartError(root, f"EXPR_* or VA_* folder with {_SETS[0]} or {_SETS[-1]}")
    return {"": LazyPictures(pictures_by_path(frames, "(?P<clip>[^/]+)/[^/]+"), partial(_annotate, classes, affects))}


def _annotation_files(root: Path, task: str) -> Iterator[tuple[str, Path]]:
    """Yield the annotation files of each video; that of the challenge that sorts last comes last."""
    challenges = sorted(folder for place in _PLACES for folder in root.glob(f"{place}{task}_*") if folder.is_dir())
    return ((file.stem, file) for folder in challenges for name in _SETS for file in (folder / name).glob("*.txt"))


def _annotate(classes: Mapping[str, _PerFrame], affects: Mapping[str, _PerFrame], frame: Picture) -> Picture:
    path = PurePath(frame.source)
    video, number = path.parent.name, frame_number(path.name)
    of_classes = classes.get(video)
    label, *_ = _row(of_classes, number) or (_NO_EXPRESSION,)
    valence, arousal = _row(affects.get(video), number) or (_NO_AFFECT, _NO_AFFECT)
    return replace(
        frame,
        label=None if of_classes is None or label == _NO_EXPRESSION else of_classes.names[int(label)],
        valence=None if valence == _NO_AFFECT else valence,
        arousal=None if arousal == _NO_AFFECT else arousal,
    )


def _row(annotation: _PerFrame | None, number: int | None) -> list[float]:
    """Return the row of frame ``number``, counted from 1; [] where there is none."""
    if annotation is None or number is None or not 1 <= number <= len(annotation.values):
        return []
    return [float(value) for value in annotation.values[number - 1]]


def _read_classes(path: Path) -> _PerFrame:
    """Read one class number a line, below the names of the classes."""
    names, values = _read(path, columns=1)
    classes = tuple(expression(name) for name in names)
    allowed = np.arange(_NO_EXPRESSION, len(classes))
    return _PerFrame(classes, _require(path, values, np.isin(values, allowed), f"-1 to {len(classes) - 1}"))


def _read_affect(path: Path) -> _PerFrame:
    """Read valence and arousal."""
    names, values = _read(path, columns=2)
    return _PerFrame(names, _require(path, values, (np.abs(values) <= 1) | (values == _NO_AFFECT), "[-1, 1] and -5"))


def _read(path: Path, *, columns: int) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    try:
        header, *lines = path.read_text("utf-8-sig").split("\n")
        rows = [[float(value) for value in line.split(",")] for line in lines if line.strip()]
        return tuple(header.split(",")), np.array(rows, np.float64).reshape(len(rows), columns)
    except ValueError as error:
        raise InputError(f"{str(path)!r} is damaged ({error}); give it as published") from error


def _require(path: Path, values: NDArray[np.float64], good: NDArray[np.bool_], allowed: str) -> NDArray[np.float64]:
    if not good.all():
        bad = values[~good][0]
        raise InputError(f"{str(path)!r} holds {bad:g}, which is none of {allowed}; give it as published")
    return values
