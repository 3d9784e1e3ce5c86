"""From decoded pictures to faces: search, choose, align, measure.

What becomes of a picture that shows no face, or none that is wanted, is decided here and nowhere else: it is listed
as a `Problem` and the work goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ferkit.data.faces import Face, crop_sha256
from ferkit.data.filters import FaceFilter
from ferkit.data.sources import Picture
from ferkit.errors import UnreadableImageError
from ferkit.faces.parallel import map_in_threads
from ferkit.faces.quality import face_quality
from ferkit.faces.template import CROP_SIZE, template_points
from ferkit.pipeline.decoding import Decoded, cut_scales
from ferkit.pipeline.face_options import FaceOptions

if TYPE_CHECKING:
    from ferkit.faces.detect import Detections, FaceDetector
    from ferkit.faces.image_faces import ImageFace

Pixels = NDArray[np.uint8]
Bookmark = Any
"""Where to go on in a stream of faces, as a JSON value."""

NO_FACE = "no face"
"""The problem of a picture that could be read and shows nobody."""

FILTERED = "left out by "
"""How the problem of a picture begins whose faces were all left out; what they failed follows."""

_WORTH_LOADING = 50
"""Pictures, or seconds of video, from which on OpenVINO saves more time than it takes to load."""

_SAME_FACE = 0.3
"""Least overlap (IoU) of a detected face with the box that a source states; annotators draw boxes very differently."""


_SAID = ("clip", "identity", "time_s", "label", "valence", "arousal")
_UNMEASURED = dict.fromkeys(("box", "landmarks", "score"))


class Problem(NamedTuple):
    """A picture that gave no face, and why."""

    source: str
    what: str


class PictureFaces(NamedTuple):
    """The faces of one picture."""

    crops: Pixels  # (n, S, S, 3) uint8 RGB; of any side where n is 0
    faces: list[Face]  # one entry per crop
    problem: Problem | None = None  # why there are none, if there are none


Finder = Callable[[list[Decoded]], list[PictureFaces]]


@dataclass(frozen=True)
class FaceBatch:
    """The faces of a few consecutive pictures, frames of a video, or rows of a face set."""

    crops: Pixels  # (n, S, S, 3) uint8 RGB
    # one entry per crop; those of one picture are numbered from 1, left to right, before any are left out
    faces: list[Face]
    pictures: int  # how many pictures the batch covers, those without a face included
    problems: list[Problem]  # those of them that gave no face
    state: Bookmark = None  # where to go on after this batch; None after pictures, which are counted


def finder_of(options: FaceOptions, aligned: bool | None, device: str | None, size: int = CROP_SIZE) -> Finder:
    """Return what finds the faces of pictures, or takes the pictures as they are; the detector is loaded here.

    With ``aligned=None`` that goes by what the pictures of each group were read as: all of them photos, or all crops.
    """
    if aligned:
        return take_crops
    if aligned is None:
        return lambda group: finder_of(options, group[0].aligned, device, size)(group)
    return partial(find_faces, detector=_detector_of(options, device), which=options.faces, size=size)


def _detector_of(options: FaceOptions, device: str | None) -> FaceDetector:
    from ferkit.faces.detect import shared_detector

    return shared_detector(
        device,
        min_face=options.min_face,
        max_side=options.max_side,
        thresholds=options.thresholds,
        workers=options.workers,
        runtime=options.detector or "torch",
    )


def with_runtime(options: FaceOptions, steps: float) -> FaceOptions:
    """Return options that say what computes the detector: OpenVINO, where ``steps`` pictures are worth loading it."""
    if options.detector is not None:
        return options
    fast = steps >= _WORTH_LOADING and find_spec("openvino") is not None
    return replace(options, detector="openvino" if fast else "torch")


def filter_of(options: FaceOptions) -> FaceFilter:
    """Return what leaves faces out."""
    return FaceFilter(options.min_size, options.max_yaw, options.min_sharpness, options.min_score)


class VideoFinder:
    """Finds the faces of a video's frames, given in order.

    Faces are followed between the frames that are searched, see `ferkit.faces.follow`; where the options ask for that,
    or where the frames are crops already, each frame stands for itself.

    Args:
        options: how faces are found and chosen.
        aligned: whether the frames are face crops already.
        device: where the detector runs; None takes the best one present.
        size: side of the crops in pixels.
        state: of the finder that found the faces until here; None at a video's beginning.
    """

    def __init__(
        self, options: FaceOptions, aligned: bool, device: str | None, size: int = CROP_SIZE, state: Bookmark = None
    ) -> None:
        self._each = finder_of(options, aligned, device, size) if aligned or options.every_frame else None
        if self._each is None:
            from ferkit.faces.follow import FrameFinder

            self._detector, self._which, self._size = _detector_of(options, device), options.faces, size
            self._followed = FrameFinder(self._detector, state)

    @property
    def state(self) -> Bookmark:
        """All that the next frames' faces depend on."""
        return self._followed.state if self._each is None else None

    def __call__(self, group: list[Decoded]) -> list[PictureFaces]:
        """Find the faces of the next frames."""
        if self._each is not None:
            return self._each(group)
        times = [float(item.picture.time_s or 0) for item in group]
        detections = self._followed.find(times, [item.image for item in group])
        return _cut_all(group, detections, self._detector, self._which, self._size)


def find_faces(group: list[Decoded], detector: FaceDetector, which: str, size: int = CROP_SIZE) -> list[PictureFaces]:
    """Search photos for faces and bring those that are wanted onto the template."""
    readable = [item for item in group if item.problem is None]
    detections = detector.detect([item.image for item in readable], [item.scale for item in readable])
    found = iter(_cut_all(readable, detections, detector, which, size))
    return [_faceless(item, item.problem) if item.problem else next(found) for item in group]


def take_crops(group: list[Decoded]) -> list[PictureFaces]:
    """Take pictures that are face crops already as they are."""
    return [_faceless(item, item.problem) if item.problem else _as_it_is(item) for item in group]


def batch_of(found: Sequence[PictureFaces], wanted: FaceFilter, size: int = CROP_SIZE) -> FaceBatch:
    """Put the faces of consecutive pictures together, without those that the filter leaves out.

    Args:
        found: faces of one picture each.
        wanted: which faces stay.
        size: side of the crops, where there are none.
    """
    passed = [_filtered(item, wanted) for item in found]
    none = np.empty((0, size, size, 3), np.uint8)
    crops = np.concatenate([none, *(item.crops for item in passed if item.faces)])
    faces = [face for item in passed for face in item.faces]
    return FaceBatch(crops, faces, len(found), [item.problem for item in passed if item.problem])


def _filtered(found: PictureFaces, wanted: FaceFilter) -> PictureFaces:
    if not wanted or not found.faces:
        return found
    keep = wanted.keep(found.faces)
    faces = [face for face, kept in zip(found.faces, keep, strict=True) if kept]
    problem = None if faces else Problem(found.faces[0].source, FILTERED + wanted.describe())
    return PictureFaces(found.crops[keep], faces, problem)


def _faceless(item: Decoded, what: str) -> PictureFaces:
    return PictureFaces(np.empty((0, CROP_SIZE, CROP_SIZE, 3), np.uint8), [], Problem(item.picture.source, what))


def _as_it_is(item: Decoded) -> PictureFaces:
    crops = item.image[None]
    quality = {**face_quality(crops).row(0), "size": item.scale * len(crops[0])}
    return PictureFaces(crops, [_face(item.picture, 1, crops[0], quality)])


class _Cut(NamedTuple):
    """Faces of a picture with their crops; boxes and landmarks are in pixels of the original."""

    faces: Detections
    crops: Pixels


def _cut_all(
    items: Sequence[Decoded], detections: Sequence[Detections], detector: FaceDetector, which: str, size: int
) -> list[PictureFaces]:
    cut = partial(_faces_of, detector=detector, which=which, size=size)
    return map_in_threads(cut, list(zip(items, detections, strict=True)), detector.threads)


def _faces_of(pair: tuple[Decoded, Detections], detector: FaceDetector, which: str, size: int) -> PictureFaces:
    from ferkit.faces.choose import choose
    from ferkit.faces.image_faces import measure_faces

    item, detections = pair
    height, width = (side * item.scale for side in item.image.shape[:2])
    try:
        found = _cut(item, detections, detector, size)
        if not found.faces.surely_upright and item.picture.time_s is None:  # frames are the right way up
            turned = _cut(item, detector.detect_turned(item.image), detector, size)
            found = turned if turned.faces.scores.sum() > found.faces.scores[found.faces.upright].sum() else found
    except UnreadableImageError as error:  # it has changed or gone since it was searched
        return _faceless(item, error.why)
    if not len(found.faces):
        return _faceless(item, NO_FACE)
    shown = found.faces
    rows = choose(shown, (height, width), which) if item.picture.box is None else _meant(shown.boxes, item.picture.box)
    faces = measure_faces(found.crops, shown, rows, (width, height))
    if not faces:
        return _faceless(item, f"{NO_FACE} where the source says")
    return PictureFaces(np.stack([face.crop for face in faces]), [_measured(item.picture, face) for face in faces])


def _cut(item: Decoded, found: Detections, detector: FaceDetector, size: int) -> _Cut:
    """Check faces and cut them out: of the copy that was searched, or, those that it shows small, of a larger one.

    Raises:
        UnreadableImageError: as `Picture.read`.
    """
    scales = cut_scales(found.rescaled(item.scale).landmarks, size)
    small = scales < item.scale
    faces, crops = _cut_from(item.image, item.scale, found.select(np.flatnonzero(~small)), detector, size)
    if not small.any():
        return _Cut(faces, crops)
    image, scale = item.picture.read_scaled(scale=lambda _: int(scales.min()))
    part = found.select(np.flatnonzero(small)).rescaled(item.scale / scale)
    more, their_crops = _cut_from(image, scale, part, detector, size, smaller=True)
    return _Cut(faces + more, np.concatenate([crops, their_crops]))


def _cut_from(
    image: Pixels, scale: float, found: Detections, detector: FaceDetector, size: int, *, smaller: bool = False
) -> _Cut:
    from ferkit.faces.align import align_faces

    faces = detector.verify(image, found, smaller=smaller)
    return _Cut(faces.rescaled(scale), align_faces(image, faces.landmarks, template_points(size), size))


def _meant(boxes: NDArray[np.floating], stated: tuple[float, float, float, float]) -> NDArray[np.intp]:
    """The row whose box overlaps most with the one that the source states; none where none does enough."""
    import torch

    from ferkit.ops.boxes import box_iou

    overlap = box_iou(torch.from_numpy(boxes).double(), torch.tensor([stated], dtype=torch.float64))[:, 0]
    best = overlap.argmax()
    return np.array([best] if overlap[best] >= _SAME_FACE else [], np.intp)


def _measured(picture: Picture, found: ImageFace) -> Face:
    """A face with what was measured of it, in pixels of the original."""
    assert found.box is not None  # noqa: S101 (a detector always gives one)
    points = {"box": tuple(found.box.tolist()), "landmarks": tuple(found.landmarks.ravel().tolist())}
    return _face(picture, found.face, found.crop, {"score": found.score, **points, **found.quality})


def _face(picture: Picture, number: int, crop: Pixels, measured: Mapping[str, Any]) -> Face:
    """A face with what its picture says of it."""
    known = {name: getattr(picture, name) for name in _SAID} | _UNMEASURED | dict(measured)
    return Face(picture.source, number, sha256=crop_sha256(crop), **known)
