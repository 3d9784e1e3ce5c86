"""Find the faces of images: boxes, scores and five landmarks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from itertools import pairwise
from threading import Lock
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from ferkit.errors import InputError
from ferkit.faces.cascade import OVERLAP, Cascade, Faces
from ferkit.faces.packed_pyramid import CELL
from ferkit.faces.parallel import map_in_threads
from ferkit.faces.verify import PATCH, box_around, verify
from ferkit.ops.boxes import box_iou, nms_min
from ferkit.ops.device import pick_device

Pixels = NDArray[np.uint8]
Floats = NDArray[np.floating]

RUNTIMES = ("torch", "openvino")

_SAME_FACE = 0.5
"""Least overlap (IoU) of a face that is followed with where it must be."""

_FOLLOWED = 64
"""Faces that are followed at once."""

_GRID = 64
"""Pixels to whose multiples a part of a picture is cut: halved six times, it still has the picture's own pixels."""

_BATCH_PIXELS = {"cpu": 1 << 21, "accelerator": 1 << 23}
"""Pixels of the images that go through the cascade together; one larger image goes alone."""

_SMALLEST, _SMALLEST_OF_LARGE = 20, 60
"""Side of the smallest face looked for by default: in pixels of the image, and of an original that it is a copy of."""

_TURNED_SIDE, _TURNED_SCORE = 400, 0.98
"""Longer side at which photos are searched that lie on their side or upside down, and the least score of faces there.

Of 126 faces of turned photos 120 are found so, as many as at 640 px, and none on animals.
"""

_UPRIGHT = 60.0
"""Degrees that the eyes' line of a face may be turned by in a photo that is the right way up."""

_SURE = 0.95
"""Score of an upright face from which on its image is taken to be the right way up."""

_OVERLAP = 0.7

_DARK, _GAIN = 80, 25
"""Level that a hundredth of a dark photo's pixels exceeds at most, and how many times brighter it is made at most."""


@dataclass(frozen=True)
class Detections:
    """The faces of one image, best first; row i of every array is the same face."""

    # (n, 4) left, top, right, bottom in pixels of the image, the centre of its first pixel being (0, 0); a box may
    # reach over the border
    boxes: NDArray[np.floating]
    scores: NDArray[np.floating]  # (n,) probability in [0, 1], falling
    # (n, 5, 2) pixel coordinates (x, y): eye on the image's left, eye on its right, tip of the nose, corner of the
    # mouth on the left, on the right
    landmarks: NDArray[np.floating]

    def __len__(self) -> int:
        return len(self.scores)

    def select(self, rows: NDArray[np.intp]) -> Detections:
        """Return some of the faces, in the given order."""
        return Detections(self.boxes[rows], self.scores[rows], self.landmarks[rows])

    @property
    def surely_upright(self) -> bool:
        """Whether a face shows that the image is the right way up."""
        return bool(self.scores[self.upright].max(initial=0) >= _SURE)

    def rescaled(self, step: float) -> Detections:
        """Return the faces in float64 pixels of a picture in which one pixel of this one spans ``step``."""
        boxes, landmarks = ((values.astype(np.float64) + 0.5) * step - 0.5 for values in (self.boxes, self.landmarks))
        return Detections(boxes, self.scores, landmarks)

    def __add__(self, other: Detections) -> Detections:
        """Return the faces of both."""
        pairs = ((self.boxes, other.boxes), (self.scores, other.scores), (self.landmarks, other.landmarks))
        return Detections(*map(np.concatenate, pairs))

    @property
    def upright(self) -> NDArray[np.bool_]:
        """(n,) whether the eyes' line is nearer to level than to a quarter turn."""
        across, down = (self.landmarks[:, 1] - self.landmarks[:, 0]).T
        level: NDArray[np.bool_] = np.abs(np.degrees(np.arctan2(down, across))) <= _UPRIGHT
        return level


class FaceDetector:
    """MTCNN (arXiv:1604.02878) as one batched cascade over the networks that facenet-pytorch ships.

    Args:
        device: where the networks run, e.g. "cpu" or "cuda".
        min_face: side of the smallest face looked for: pixels (12 or more), or, below 1, a share of the image's
            shorter side; None takes 20, or less in images that were shrunk to a third or more. Time grows with
            1 / min_face squared.
        thresholds: probabilities that a candidate must reach in the three stages, each between 0 and 1.
        factor: scale from one pyramid level to the next, between 0 and 1.
        max_side: larger images are first averaged down to this longest side, and faces that are then below 12 px are
            not looked for; None keeps every image as it is.
        workers: on a CPU, how many groups of images are worked on side by side, each by one thread; by default
            torch's number of threads. It changes the time alone, never what is found. An accelerator needs none.
        runtime: what computes the networks on a CPU: ``torch``, or ``openvino``, which gives the same faces; where the
            processor knows bfloat16, P-Net and R-Net are rounded to it, and boxes move by .3 pixels in the median.

    Raises:
        InputError: An argument is outside its range.
        WeightsError: facenet-pytorch's weights are missing or damaged.
    """

    def __init__(
        self,
        device: str = "cpu",
        *,
        min_face: float | None = None,
        thresholds: tuple[float, float, float] = (0.6, 0.7, 0.7),
        factor: float = 0.709,
        max_side: int | None = None,
        workers: int | None = None,
        runtime: str = "torch",
    ) -> None:
        _check(
            min_face is None or 0 < min_face < 1 or min_face >= CELL,
            f"--min-face must be a share of the image between 0 and 1 or at least {CELL} pixels, not {min_face}",
        )
        _check(all(0 < p < 1 for p in thresholds), f"--thresholds must lie between 0 and 1, not {thresholds}")
        _check(0 < factor < 1, f"factor must lie between 0 and 1, not {factor}; MTCNN's own is 0.709")
        _check(max_side is None or max_side >= CELL, f"--max-side must be at least {CELL} pixels, not {max_side}")
        _check(workers is None or workers >= 1, f"--workers must be at least 1, not {workers}")
        _check(runtime in RUNTIMES, f"--detector must be one of {', '.join(RUNTIMES)}, not {runtime!r}")
        _check(
            runtime == "torch" or find_spec("openvino") is not None,
            "openvino is not installed; type `pip install openvino`, or give --detector torch",
        )
        self.min_face, self.max_side, self.device = min_face, max_side, torch.device(device)
        self.workers = workers
        self._cascade = Cascade(thresholds, factor).to(self.device, _precision(self.device))
        if runtime == "openvino" and self.device.type == "cpu":
            self._cascade.use_openvino(self.threads)

    def detect(self, images: Sequence[Pixels], scales: Sequence[float] | None = None) -> list[Detections]:
        """Find the faces of images of any sizes.

        Args:
            images: (H, W, 3) uint8 RGB arrays, H and W at least 1.
            scales: how many pixels of the original, in which ``min_face`` counts, one of each image's spans; None: 1.

        Returns:
            One Detections an image, in the same order; empty where no face was found.

        Raises:
            InputError: An array is not (H, W, 3) uint8.
        """
        for image in images:
            _check_image(image)
        items = list(zip(images, scales or [1] * len(images), strict=True))
        batches = list(_batches(items, _BATCH_PIXELS["cpu" if self.device.type == "cpu" else "accelerator"]))
        return [faces for found in map_in_threads(self._detect_batch, batches, self.threads) for faces in found]

    def follow(self, images: Sequence[Pixels], boxes: Sequence[Floats]) -> list[Detections]:
        """Look again for faces where they must be near, at a small part of what `detect` costs.

        Args:
            images: (H, W, 3) uint8 RGB arrays.
            boxes: (n, 4) for each, where its faces must be, in pixels as of `Detections`.

        Returns:
            One Detections an image: the faces found near their boxes, by falling score; fewer than the boxes where one
            was not found, or two were the same.
        """
        parts = [
            _around(_brighten(_shrink(image, self.max_side)), image.shape[1], box)
            for image, near in zip(images, boxes, strict=True)
            for box in near
        ]
        size = max(1, min(_FOLLOWED, -(-len(parts) // self.threads)))
        groups = [parts[start : start + size] for start in range(0, len(parts), size)]
        found = [face for group in map_in_threads(self._follow_group, groups, self.threads) for face in group]
        counts = np.cumsum([0, *map(len, boxes)])
        return [_apart(found[start:end]) for start, end in pairwise(counts.tolist())]

    def _follow_group(self, parts: Sequence[_Part]) -> list[Detections | None]:
        found = self._near(parts, beside=False)
        lost = [number for number, face in enumerate(found) if face is None]
        for number, face in zip(lost, self._near([parts[number] for number in lost], beside=True), strict=True):
            found[number] = face
        return found

    def _near(self, parts: Sequence[_Part], *, beside: bool) -> list[Detections | None]:
        if not parts:
            return []
        expected = np.stack([part.box for part in parts])
        faces = self._cascade.follow([part.image for part in parts], expected, self.device, beside=beside)
        values = (faces.image, faces.boxes, faces.scores, faces.landmarks)
        image, boxes, scores, points = (value.cpu().numpy() for value in values)
        overlap = box_iou(torch.from_numpy(boxes), torch.from_numpy(expected)).numpy()
        chosen: list[Detections | None] = []
        for number, part in enumerate(parts):
            near = np.where(image == number, overlap[:, number], 0.0)
            if not near.size or near.max() < _SAME_FACE:
                chosen.append(None)
                continue
            best = int(near.argmax())
            box = (boxes[[best]] + np.tile(part.origin, 2)) * part.step - 0.5
            landmarks = (points[[best]] + part.origin) * part.step - 0.5
            chosen.append(Detections(box.astype(np.float32), scores[[best]], landmarks.astype(np.float32)))
        return chosen

    def detect_turned(self, image: Pixels) -> Detections:
        """Find the faces of a photo that lies on its side or upside down: of three turns, those that most are sure of.

        It is searched at no more than 400 px, for faces that are beyond doubt.

        Returns:
            Its faces in pixels of ``image``, landmarks of the face's own left and right as if it were upright; empty
            where no turn shows any.
        """
        small = _shrink(image, _TURNED_SIDE)
        turned = [np.ascontiguousarray(np.rot90(small, turns)) for turns in (1, 2, 3)]
        found = [self.verify(copy, faces) for copy, faces in zip(turned, self.detect(turned), strict=True)]
        found = [faces.select(np.flatnonzero(faces.upright & (faces.scores >= _TURNED_SCORE))) for faces in found]
        turns = max((1, 2, 3), key=lambda turns: float(found[turns - 1].scores.sum()))
        faces = _turned_back(found[turns - 1], turns, small.shape[:2])
        return faces.rescaled(image.shape[1] / small.shape[1])

    def find(self, images: Sequence[Pixels]) -> list[Detections]:
        """Find faces as `detect`, verify each, and where none is surely upright search the turned image as well."""
        return map_in_threads(self._find, list(zip(images, self.detect(images), strict=True)), self.threads)

    def _find(self, pair: tuple[Pixels, Detections]) -> Detections:
        image, found = pair
        faces = self.verify(image, found)
        if faces.surely_upright:
            return faces
        turned = self.verify(image, self.detect_turned(image))
        return turned if turned.scores.sum() > faces.scores[faces.upright].sum() else faces

    def verify(self, image: Pixels, found: Detections, *, smaller: bool = False) -> Detections:
        """Look at each face once more, see `ferkit.faces.verify`.

        Args:
            image: (H, W, 3) uint8 RGB.
            found: faces in its pixels.
            smaller: they were found on a smaller copy: landmarks are first placed anew.

        Returns:
            Those that can be confirmed, best first: as they were, or with the landmarks of the turned face that is
            there.
        """
        if not len(found):
            return found
        placed = verify(_brighten(image), found.landmarks, self._look, again=smaller)
        boxes = np.where(placed.turned[:, None], box_around(placed.landmarks), found.boxes)
        scores = np.where(placed.turned, placed.scores, found.scores)
        faces = Detections(boxes, scores, placed.landmarks).select(np.flatnonzero(placed.kept))
        return _without_overlap(faces, _OVERLAP) if placed.turned.any() else faces

    @property
    def threads(self) -> int:
        """How many pictures are worked on side by side."""
        return (self.workers or torch.get_num_threads()) if self.device.type == "cpu" else 1

    def _detect_batch(self, items: Sequence[tuple[Pixels, float]]) -> list[Detections]:
        images = [image for image, _ in items]
        shrunk = [_brighten(_shrink(image, self.max_side)) for image in images]
        steps = [image.shape[1] / small.shape[1] for image, small in zip(images, shrunk, strict=True)]
        smallest = [self._smallest_face(*item, step) for item, step in zip(items, steps, strict=True)]
        return _per_image(self._cascade(shrunk, smallest, self.device), steps)

    def _look(self, patches: Pixels) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        heads = self._cascade.look(torch.from_numpy(patches), self.device).cpu().numpy().astype(np.float64)
        return heads[:, 0], heads[:, 5:].reshape(-1, 2, 5).transpose(0, 2, 1) * PATCH - 0.5

    def _smallest_face(self, image: Pixels, scale: float, step: float) -> float:
        """Side of the smallest wanted face in the copy whose pixels are ``step`` pixels of the image."""
        if self.min_face is None:
            wanted = min(_SMALLEST, _SMALLEST_OF_LARGE / scale)
        else:
            wanted = self.min_face / scale if self.min_face >= 1 else self.min_face * min(image.shape[:2])
        return max(wanted / step, CELL)


def shared_detector(device: str | None, **settings: Any) -> FaceDetector:  # noqa: ANN401 (as FaceDetector's)
    """Return the one detector with these settings, which threads may share: it is loaded at the first call.

    Args:
        device: where the networks run; None takes the best one present.
        settings: as of `FaceDetector`.

    Raises:
        InputError, WeightsError: as `FaceDetector`.
    """
    place = str(pick_device(device))
    with _loading:
        return _detector(place, tuple(sorted(settings.items())))


@lru_cache(maxsize=4)
def _detector(device: str, settings: tuple[tuple[str, Any], ...]) -> FaceDetector:
    return FaceDetector(device, **dict(settings))


_loading = Lock()


def _check(valid: bool, message: str) -> None:
    if not valid:
        raise InputError(message)


def _check_image(image: Pixels) -> None:
    valid = image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3 and image.size > 0
    _check(valid, f"an image must be a (height, width, 3) uint8 array, not {image.shape} {image.dtype}")


@dataclass(frozen=True)
class _Part:
    """What lies around a face: part of a picture that may have been shrunk."""

    image: Pixels  # (H, W, 3) uint8 RGB
    box: NDArray[np.float32]  # (4,) float32, where the face must be, in continuous pixels of the part
    origin: NDArray[np.float32]  # (2,) x and y of the part in the shrunk picture
    step: float  # pixels of the picture that one of the part spans


def _around(image: Pixels, width: int, box: Floats) -> _Part:
    """Cut out twice the box, from where halved copies of the part have the same pixels as those of the picture."""
    step = width / image.shape[1]
    inside = (np.asarray(box, np.float64) + 0.5) / step
    middle, reach = (inside[:2] + inside[2:]) / 2, (inside[2:] - inside[:2]).max()
    limit = np.array(image.shape[1::-1])
    low = np.clip(np.floor((middle - reach) / _GRID) * _GRID, 0, np.maximum(limit - 1, 0) // _GRID * _GRID).astype(int)
    high = np.clip(np.ceil((middle + reach) / _GRID) * _GRID, low + 1, limit).astype(int)
    part = image[low[1] : high[1], low[0] : high[0]]
    return _Part(part, (inside - np.tile(low, 2)).astype(np.float32), low.astype(np.float32), step)


def _apart(faces: Sequence[Detections | None]) -> Detections:
    """Those that were found, of faces that lie on one another the best."""
    none = Detections(*(np.empty(shape, np.float32) for shape in ((0, 4), 0, (0, 5, 2))))
    return _without_overlap(sum((face for face in faces if face is not None), none), OVERLAP)


def _without_overlap(faces: Detections, overlap: float) -> Detections:
    """Return faces, best first, without those that lie on a better one by more than ``overlap``."""
    boxes, scores = (torch.from_numpy(values.astype(np.float32)) for values in (faces.boxes, faces.scores))
    return faces.select(nms_min(boxes, scores, torch.zeros(len(faces), dtype=torch.int64), overlap).numpy())


def _precision(device: torch.device) -> torch.dtype:
    """That of the networks: half on CUDA, which holds pixels exactly. Boxes are float32 everywhere."""
    return torch.float16 if device.type == "cuda" else torch.float32


def _batches(items: Sequence[tuple[Pixels, float]], at_most: int) -> Iterator[list[tuple[Pixels, float]]]:
    """Split images, in order, into lists of at most ``at_most`` pixels; a larger image comes alone."""
    batch: list[tuple[Pixels, float]] = []
    total = 0
    for image, scale in items:
        pixels = image.shape[0] * image.shape[1]
        if batch and total + pixels > at_most:
            yield batch
            batch, total = [], 0
        batch.append((image, scale))
        total += pixels
    if batch:
        yield batch


def _shrink(image: Pixels, max_side: int | None) -> Pixels:
    height, width = image.shape[:2]
    if max_side is None or max(height, width) <= max_side:
        return image
    scale = max_side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    shrunk: Pixels = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return shrunk


def _brighten(image: Pixels) -> Pixels:
    """Return a dark image with its brightest hundredth brought to white, and any other as it is."""
    level = float(np.percentile(image[::16, ::16], 99))
    if level >= _DARK:
        return image
    bright: Pixels = cv2.convertScaleAbs(image, alpha=min(255 / max(level, 1.0), _GAIN))
    return bright


def _turned_back(faces: Detections, turns: int, size: tuple[int, int]) -> Detections:
    """Carry faces of ``np.rot90(image, turns)`` back into the image of this height and width."""
    corners, landmarks = faces.boxes.reshape(-1, 2, 2), faces.landmarks
    for turn in reversed(range(turns)):
        width = size[1] if turn % 2 == 0 else size[0]
        corners, landmarks = (np.stack([width - 1 - p[..., 1], p[..., 0]], axis=-1) for p in (corners, landmarks))
    boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
    return Detections(boxes, faces.scores, landmarks)


def _per_image(faces: Faces, steps: Sequence[float]) -> list[Detections]:
    """Split faces by image, in pixels of the images as given, pixel centres at whole numbers."""
    step = torch.tensor(steps, device=faces.image.device)[faces.image]
    boxes = faces.boxes * step[:, None] - 0.5
    landmarks = faces.landmarks * step[:, None, None] - 0.5
    image, *parts = (part.cpu().numpy() for part in (faces.image, boxes, faces.scores, landmarks))
    return [Detections(*(part[image == number] for part in parts)) for number in range(len(steps))]
