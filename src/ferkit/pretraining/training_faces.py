"""A face set as training reads it: batches of crops, with what a method asks for beside them."""

from collections.abc import Callable, Collection, Sequence
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ferkit.data.clip_windows import WINDOWS, ClipMates, ClipWindows, Strangers, Windows
from ferkit.data.face_selection import codes
from ferkit.data.face_set import FaceSet
from ferkit.documents import parse_json
from ferkit.errors import TrainingError
from ferkit.methods import MethodSettings
from ferkit.progress import Progress

_WITHOUT_CLIPS = ("face-swap,mask-fn", "face-swap,cutmix")
"""Parts of SSL-FER that draw no other frame."""

_WINDOWED = ("positive", "hard_negative", "hard_positive")
_DRAWN = (*_WINDOWED, "partner", "stranger")


def windows_of(settings: MethodSettings) -> Windows:
    """How far apart the frames of a pair are, of methods that have such a setting."""
    return cast(Windows, getattr(settings, "windows", WINDOWS))


class TrainingFaces:
    """What `ferkit.training.loop.train` reads.

    Args:
        faces: an opened face set, of which `usable_faces` has left what is of no use.
        needs: of the method, see `ferkit.methods.base.Method.batch_fields`.
        classes: labels in the order of their numbers.
        windows: how far apart the faces of a pair are.
    """

    def __init__(
        self, faces: FaceSet, needs: Collection[str] = (), classes: Sequence[str] = (), windows: Windows = WINDOWS
    ) -> None:
        self.faces = faces
        self.weights: NDArray[np.float64] | None = None
        self._drawn = [name for name in _DRAWN if name in needs]
        self._windows = _clip_windows(faces, windows) if _are_windowed(needs) else None
        columns: dict[str, Callable[[], NDArray[Any]]] = {
            "label": lambda: _class_numbers(faces, classes),
            "votes": lambda: _votes(faces, classes),
            "landmarks": lambda: _crop_landmarks(faces),
            "clip": lambda: codes(faces.column("clip"))[0],
            "moment": lambda: cast(ClipWindows, self._windows).moments,
            "person": lambda: _person_numbers(faces),
            "row": lambda: np.arange(len(faces)),
        }
        self._fields = [(of, what) for of in ("", *self._drawn) for what in columns if _name(of, what) in needs]
        self._columns = {what: columns[what]() for what in dict.fromkeys(what for _, what in self._fields)}
        self._mates = ClipMates(codes(faces.column("clip"))[0]) if "partner" in needs else None
        self._strangers = Strangers(_person_numbers(faces)) if "stranger" in needs else None

    def __len__(self) -> int:
        return len(self.faces)

    def weigh(self, face_weights: Callable[[Tensor], Tensor | None]) -> None:
        """Let a method that needs labels say how often each face is drawn: its `Method.face_weights`."""
        if "label" in self._columns:
            weights = face_weights(torch.from_numpy(self._columns["label"]))
            self.weights = None if weights is None else weights.numpy()

    def batch(self, indices: NDArray[np.int64], generator: np.random.Generator) -> dict[str, NDArray[Any]]:
        """Return "crops", (n, H, W, 3) uint8, and what is needed, see `ferkit.methods.base.Method.batch_fields`."""
        rows = {"crops": indices, **self._draw(indices, generator)}
        read = np.split(self.faces.crops(np.concatenate(list(rows.values()))), len(rows))
        fields = {_name(of, what): self._columns[what][rows[of or "crops"]] for of, what in self._fields}
        return {**dict(zip(rows, read, strict=True)), **fields}

    def fields(self, indices: NDArray[np.int64]) -> dict[str, Tensor]:
        """Return what `batch` holds of (n,) faces themselves beside their crops."""
        return {name: torch.from_numpy(values[indices]) for name, values in self._columns.items()}

    def _draw(self, indices: NDArray[np.int64], generator: np.random.Generator) -> dict[str, NDArray[np.int64]]:
        """(n,) rows of the other faces that are needed."""
        rows = {}
        if self._windows is not None:
            pairs = self._windows.draw(indices, generator)
            rows = {name: getattr(pairs, name) for name in self._drawn if name in _WINDOWED}
        if self._mates is not None:
            rows["partner"] = self._mates.draw(indices, generator)
        if self._strangers is not None:
            rows["stranger"] = self._strangers.draw(indices, generator)
        return rows


def usable_faces(faces: FaceSet, needs: Collection[str], windows: Windows, progress: Progress) -> FaceSet:
    """Leave out the faces whose clip has no other face for them, where a method needs one, and say how many.

    Raises:
        TrainingError: there is no such clip, only one, or none that has hard negatives for a method that needs them;
            or all faces are of one person and the method needs two.
    """
    if "stranger" in needs and len(np.unique(_person_numbers(faces))) < 2:
        raise TrainingError(f"all {len(faces)} faces are of one person; give faces of several")
    if not _are_windowed(needs):
        return _faces_with_mates(faces, progress) if "partner" in needs else faces
    pairs = _clip_windows(faces, windows)
    counts, anchors = pairs.counts, len(pairs.anchors)
    if counts.untimed == len(faces):
        raise _no_clips(len(faces), "a clip and a time", f"; photos do for --parts {' or '.join(_WITHOUT_CLIPS)}")
    span = f"{windows.nearest:g} to {windows.farthest:g} s apart"
    if counts.clips < 2:
        raise TrainingError(
            f"{counts.clips} of the clips of {len(faces)} faces have frames that are {span}, and it takes two; "
            "give more or longer videos, align them with a higher --fps, or widen windows.nearest and windows.farthest"
        )
    summary = f"{anchors:,} of {len(faces):,} faces are anchors, in {counts.clips:,} clips with frames {span}"
    if "hard_negative" in needs:
        if not pairs.has_hard_negative.any():
            raise TrainingError(
                f"no clip has frames {windows.hard:g} s apart, as hard negatives are; "
                "give longer videos, lower windows.hard, or leave the part hard-neg out"
            )
        summary += (
            f"; {anchors - counts.without_hard_negative:,} of them have hard negatives "
            f"(clips too short for {windows.hard:g} s: {counts.short_clips:,})"
        )
    progress.say(summary)
    return faces if anchors == len(faces) else faces.subset(np.sort(pairs.anchors))


def _faces_with_mates(faces: FaceSet, progress: Progress) -> FaceSet:
    members = ClipMates(codes(faces.column("clip"))[0]).members
    if not len(members):
        raise _no_clips(len(faces), "another face of its clip")
    if len(members) == len(faces):
        return faces
    progress.say(f"{len(members):,} of {len(faces):,} faces have another of their clip; the others are left out")
    return faces.subset(np.sort(members))


def _no_clips(count: int, what: str, other: str = "") -> TrainingError:
    return TrainingError(
        f"none of the {count} faces has {what}, and the method learns from frames of one clip; "
        f"give the faces of videos, or of a data set of their frames, such as --layout voxceleb1{other}"
    )


def _are_windowed(needs: Collection[str]) -> bool:
    return not set(_WINDOWED).isdisjoint(needs)


def _clip_windows(faces: FaceSet, windows: Windows) -> ClipWindows:
    time_s = np.asarray(faces.column("time_s").to_numpy(), np.float64)  # None becomes NaN
    return ClipWindows(codes(faces.column("clip"))[0], time_s, windows)


def _name(of: str, what: str) -> str:
    return f"{of}_{what}" if of else what


def _class_numbers(faces: FaceSet, classes: Sequence[str]) -> NDArray[np.int64]:
    """(N,) place of each face's label among ``classes``; -1 for none and for others."""
    numbers = {name: number for number, name in enumerate(classes)}
    return np.array([numbers.get(label, -1) for label in faces.column("label").to_pylist()], np.int64)


def _votes(faces: FaceSet, classes: Sequence[str]) -> NDArray[np.float32]:
    """(N, C) share of each class in the column "votes", a list of a share for each class that its metadata names.

    Where a face has no votes its label has them all; where it has neither, nothing has any.
    """
    numbers = _class_numbers(faces, classes)
    shares = np.eye(len(classes), dtype=np.float32)[numbers]
    shares[numbers < 0] = 0
    try:
        voted = faces.columns(["votes"])
    except KeyError:
        return shares
    try:
        names = parse_json((voted.schema.field("votes").metadata or {})[b"classes"])
        places = [names.index(name) if name in names else -1 for name in classes]
        for row, votes in enumerate(voted.column("votes").to_pylist()):
            if votes is not None:
                shares[row] = [votes[place] if place >= 0 else 0 for place in places]
    except (KeyError, ValueError, TypeError, AttributeError, IndexError) as error:
        raise TrainingError(
            f"the column 'votes' of {str(faces.path)!r} is no list with one share for each class that the field's "
            "metadata names as JSON under 'classes'; write it so, or take the column out"
        ) from error
    return shares


def _person_numbers(faces: FaceSet) -> NDArray[np.int64]:
    """(N,) equal for faces of one identity or clip; a face of neither is a person of its own."""
    columns = zip(*(faces.column(name).to_pylist() for name in ("identity", "clip")), strict=True)
    names = [identity or clip or f"\0{row}" for row, (identity, clip) in enumerate(columns)]
    return np.unique(names, return_inverse=True)[1].astype(np.int64)


def _crop_landmarks(faces: FaceSet) -> NDArray[np.float32]:
    """(N, 5, 2) where the landmarks of the photo lie in the crop; those of the template where there are none."""
    from ferkit.faces.align import landmarks_in_crops
    from ferkit.faces.template import TEMPLATE

    column = faces.column("landmarks").combine_chunks()
    has_landmarks = np.asarray(column.is_valid())
    points = np.tile(TEMPLATE, (len(faces), 1, 1))
    if has_landmarks.any():
        points[has_landmarks] = landmarks_in_crops(np.asarray(column.drop_null().flatten()).reshape(-1, 5, 2))
    return points
