"""Find the faces of a video's frames without searching every one of them."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from ferkit.faces.detect import Detections, FaceDetector
from ferkit.ops.boxes import box_iou

Pixels = NDArray[np.uint8]
Floats = NDArray[np.floating]

# ferkit defaults.
_SEARCH_EVERY_S = 0.5
_SAME_FACE = 0.25  # IoU of a face between two searched frames
_CUT = 12.0  # mean difference of thumbnails' grays beyond which frames may be of different shots
_THUMBNAIL = (32, 18)


class FrameFinder:
    """Find the faces of a video's frames, given in order, group by group.

    A frame is searched wholly every 0.5 s, on both sides of what may be a cut within a group, and at a group's end.
    Where two searched frames show the same faces, those of the frames between are looked for only near where they must
    be, on the straight way from one to the other (`FaceDetector.follow`); a frame in which one of them is not found is
    searched. Where two searched frames do not show the same faces, the frame in their middle is searched, and so on, so
    that a face is found from its first frame on. A face that comes and goes between two searched frames is missed.
    A frame whose pixels are those of the one before it has that one's faces.

    Args:
        detector: searches.
        state: the `state` of a finder, to go on exactly as that one would; None begins with a video's first frame.
    """

    def __init__(self, detector: FaceDetector, state: Mapping[str, Any] | None = None) -> None:
        self._detector = detector
        self._time_s: float | None = None if state is None else state["time_s"]
        self._boxes = np.array([] if state is None else state["boxes"], np.float32).reshape(-1, 4)

    @property
    def state(self) -> dict[str, Any]:
        """All that the next `find` depends on, in values that JSON holds without loss."""
        return {"time_s": self._time_s, "boxes": self._boxes.tolist()}

    def find(self, times: Sequence[float], images: Sequence[Pixels]) -> list[Detections]:
        """Find the faces of the next frames.

        Args:
            times: when they are shown, in seconds; rising from call to call.
            images: (H, W, 3) uint8 RGB.

        Returns:
            One Detections a frame.
        """
        small = [_thumbnail(image) for image in images]
        pairs = zip(pairwise(small), pairwise(images), strict=True)
        changed = [True, *(not (np.array_equal(*few) and np.array_equal(*all_)) for few, all_ in pairs)]
        distinct = np.flatnonzero(changed).tolist()
        faces = self._find(
            [times[place] for place in distinct],
            [images[place] for place in distinct],
            [small[place] for place in distinct],
        )
        self._time_s = times[-1]
        return [faces[number - 1] for number in np.cumsum(changed).tolist()]

    def _find(
        self, times: Sequence[float], images: Sequence[Pixels], small: Sequence[NDArray[np.float64]]
    ) -> list[Detections]:
        """Find the faces of frames of which each differs from the one before."""
        found: dict[int, Detections] = {}
        wanted = self._keys(times, small)
        while wanted:
            searched = self._detector.detect([images[place] for place in wanted])
            found |= dict(zip(wanted, searched, strict=True))
            wanted = self._between(times, images, found)
        self._boxes = found[len(images) - 1].boxes
        return [found[place] for place in range(len(images))]

    def _keys(self, times: Sequence[float], small: Sequence[NDArray[np.float64]]) -> list[int]:
        """The frames that are searched whatever they show."""
        keys = {len(times) - 1}
        last = self._time_s
        if last is None:
            keys.add(0)
            last = times[0]
        for place, (time_s, after) in enumerate(pairwise(times)):
            if after - last > _SEARCH_EVERY_S:
                keys.add(place)
                last = time_s
        for place, (one, other) in enumerate(pairwise(small)):
            if np.abs(other - one).mean() > _CUT:
                keys |= {place, place + 1}
        return sorted(keys)

    def _between(self, times: Sequence[float], images: Sequence[Pixels], found: dict[int, Detections]) -> list[int]:
        """Fill in the frames between searched ones where that can be done; return those that must be searched next."""
        known = {place: (times[place], faces.boxes) for place, faces in found.items()}
        if self._time_s is not None:
            known[-1] = (self._time_s, self._boxes)
        search: list[int] = []
        places: list[int] = []
        boxes: list[Floats] = []
        for first, last in pairwise(sorted(known)):
            if last - first < 2:
                continue
            (start, before), (end, after) = known[first], known[last]
            partners = _partners(before, after)
            if partners is None:
                search.append((first + last) // 2)
                continue
            for place in range(first + 1, last):
                share = (times[place] - start) / (end - start)
                places.append(place)
                boxes.append((1 - share) * before + share * after[partners])
        followed = self._detector.follow([images[place] for place in places], boxes)
        for place, near, faces in zip(places, boxes, followed, strict=True):
            if len(faces) == len(near):
                found[place] = faces
            else:
                search.append(place)
        return sorted(search)


def _thumbnail(image: Pixels) -> NDArray[np.float64]:
    small = cv2.resize(image, _THUMBNAIL, interpolation=cv2.INTER_AREA)
    gray: NDArray[np.float64] = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float64)
    return gray


def _partners(before: Floats, after: Floats) -> NDArray[np.int64] | None:
    """(n,) which box of the second frame is that of the first; None where one has none."""
    if len(before) != len(after):
        return None
    if not len(before):
        return np.empty(0, np.int64)
    overlap = box_iou(torch.as_tensor(before), torch.as_tensor(after)).numpy()
    partners: NDArray[np.int64] = overlap.argmax(axis=1)
    alike = (overlap.max(axis=1) >= _SAME_FACE).all() and len(np.unique(partners)) == len(partners)
    return partners if alike else None
