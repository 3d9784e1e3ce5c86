"""Follow faces through a video: which of one frame's faces are those of the frames before."""

from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from ferkit.ops.boxes import box_iou

Pixels = NDArray[np.uint8]
Floats = NDArray[np.floating]
Doubles = NDArray[np.float64]

# All thresholds are ferkit defaults, chosen on frames 0.04 to 2 s apart, within shots and across cuts.
_MAX_GAP_S = 0.5
_MIN_IOU = 0.1
_MIN_LIKENESS = 0.75  # one person within 2 s: 0.81 and more; two people: 0.42 in the median, 0.77 at most in 95 %
_MIN_LIKENESS_IN_DOUBT = 0.9
_CUT_COLOURS = 0.4  # within a shot: at most 0.26 in 0.5 s, 0.40 in 2 s
_CUT_PATTERN = 0.2  # tells a cut from a change of light, which turns all colours and leaves the pattern
_DOUBT_COLOURS = 0.12  # within a shot at most 0.07 in 0.04 s; the least of 90 cuts between much the same pictures: 0.13

_THUMBNAIL = (32, 18)
_LOOK_SIDE = 16
_LOOK_BINS = 6
_THUMBNAIL_BINS = 8


@dataclass(frozen=True)
class _Track:
    """One face that is being followed, as it was when last seen.

    Its look has half precision, and stays bytes, since it is written down after every batch of frames.
    """

    clip: int
    time_s: float
    box: list[float]
    look: bytes


class Tracker:
    """Link the faces of a video's frames, given in order, into clips: one face followed without a break.

    A face goes on with the clip of the face that it overlaps and looks like, in the same shot; pairs are taken by
    falling sum of IoU and likeness. Likeness is the mean of two correlations of aligned crops: of 16 x 16 gray pixels,
    and of the roots of colour histograms. A clip ends at a cut, and when its face has been missing for more than 0.5 s
    and at least one frame. Memory holds the faces of the last 0.5 s and one thumbnail.

    A cut is a frame of which 40 % has other colours than the frame before, and whose grays correlate with those of that
    frame by less than 0.8. Where 12 % has other colours, it may be a cut between like pictures, and only faces that
    look very much alike go on. Dissolves are not seen as cuts.

    Args:
        state: the `state` of a tracker, to go on exactly as that one would; None begins with a video's first frame.
    """

    def __init__(self, state: Mapping[str, Any] | None = None) -> None:
        state = state or {"clips": 0, "time_s": 0.0, "thumbnail": None, "tracks": []}
        self._clips: int = state["clips"]
        self._time_s: float = state["time_s"]
        self._thumbnail = state["thumbnail"] and _picture(b64decode(state["thumbnail"]))
        self._tracks = [_Track(**{**track, "look": b64decode(track["look"])}) for track in state["tracks"]]

    @property
    def state(self) -> dict[str, Any]:
        """All that the next `link` depends on, in values that JSON holds without loss."""
        return {
            "clips": self._clips,
            "time_s": self._time_s,
            "thumbnail": None if self._thumbnail is None else _text(self._thumbnail.tobytes()),
            "tracks": [{**asdict(track), "look": _text(track.look)} for track in self._tracks],
        }

    def link(self, time_s: float, frame: Pixels, boxes: Floats, crops: Pixels) -> list[int]:
        """Say which clip each face of the next frame belongs to.

        Every frame that is looked at must be given, those without a face too.

        Args:
            time_s: when the frame is shown, in seconds; rises from call to call.
            frame: (H, W, 3) uint8 RGB.
            boxes: (n, 4) left, top, right, bottom in pixels of the frame.
            crops: (n, S, S, 3) uint8 RGB, the aligned crops of the same faces (`ferkit.faces.align_faces`).

        Returns:
            n clip numbers: 1, 2, ... in the order in which the clips begin; new ones of one frame in its faces' order.
        """
        colours, pattern = self._change(frame)
        self._drop_tracks(time_s, cut=colours >= _CUT_COLOURS and pattern >= _CUT_PATTERN)
        looks = [_look(crop) for crop in crops]
        least = _MIN_LIKENESS_IN_DOUBT if colours >= _DOUBT_COLOURS else _MIN_LIKENESS
        partners = _match(boxes, looks, self._tracks, least)
        seen = [
            self._follow(time_s, box, look, partners.get(face))
            for face, (box, look) in enumerate(zip(boxes.tolist(), looks, strict=True))
        ]
        missing = [track for number, track in enumerate(self._tracks) if number not in partners.values()]
        self._tracks, self._time_s = seen + missing, time_s
        return [track.clip for track in seen]

    def _change(self, frame: Pixels) -> tuple[float, float]:
        """How this frame differs from the one before: share of other colours, wherever; 1 - correlation of grays."""
        before, self._thumbnail = self._thumbnail, cv2.resize(frame, _THUMBNAIL, interpolation=cv2.INTER_AREA)
        if before is None:
            return 0.0, 0.0
        shared = np.minimum(_histogram(before, _THUMBNAIL_BINS), _histogram(self._thumbnail, _THUMBNAIL_BINS))
        return 1.0 - float(shared.sum()), 1.0 - float(_pattern(before) @ _pattern(self._thumbnail))

    def _drop_tracks(self, time_s: float, *, cut: bool) -> None:
        """Forget the faces that cannot go on: all at a cut, else those missing for too long."""
        # A face of the frame before is never missing, however far apart the frames are.
        self._tracks = [
            track
            for track in self._tracks
            if not cut and (track.time_s == self._time_s or time_s - track.time_s <= _MAX_GAP_S)
        ]

    def _follow(self, time_s: float, box: list[float], look: Doubles, partner: int | None) -> _Track:
        if partner is None:
            self._clips += 1
            return _Track(self._clips, time_s, box, _to_half(look))
        track = self._tracks[partner]
        return _Track(track.clip, time_s, box, _to_half((_from_half(track.look) + look) / 2))


def _match(boxes: Floats, looks: list[Doubles], tracks: list[_Track], least: float) -> dict[int, int]:
    """Return {face: track} of those that are one, the best pair first; ``least`` likeness is asked for."""
    if not tracks or not looks:
        return {}
    last = torch.tensor([track.box for track in tracks], dtype=torch.float64)
    overlap = box_iou(torch.as_tensor(boxes, dtype=torch.float64), last).numpy()
    likeness = np.stack(looks) @ np.stack([_unit(_from_half(track.look)) for track in tracks]).T
    score = np.where((overlap >= _MIN_IOU) & (likeness >= least), overlap + likeness, 0.0)
    partners: dict[int, int] = {}
    while score.any():
        face, track = divmod(int(score.argmax()), len(tracks))
        partners[face] = track
        score[face], score[:, track] = 0.0, 0.0
    return partners


def _to_half(look: Doubles) -> bytes:
    return look.astype("<f2").tobytes()


def _from_half(look: bytes) -> Doubles:
    return np.frombuffer(look, "<f2").astype(np.float64)


def _picture(content: bytes) -> Pixels:
    width, height = _THUMBNAIL
    return np.frombuffer(content, np.uint8).reshape(height, width, 3)


def _text(content: bytes) -> str:
    return b64encode(content).decode()


def _look(crop: Pixels) -> Doubles:
    """Describe an (S, S, 3) crop by a vector of norm 1: 256 grays, 216 colours."""
    small = cv2.resize(crop, (_LOOK_SIDE, _LOOK_SIDE), interpolation=cv2.INTER_AREA)
    return _unit(np.concatenate([_pattern(small), np.sqrt(_histogram(crop, _LOOK_BINS))]))


def _pattern(image: Pixels) -> Doubles:
    """Return an image's grays about their mean, as a vector of norm 1; 0 where they are all one."""
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float64).ravel()
    return _unit(gray - gray.mean())


def _histogram(image: Pixels, bins: int) -> Doubles:
    """Return the shares of an image's pixels in the bins ** 3 cells of the RGB cube."""
    counts = cv2.calcHist([image], [0, 1, 2], None, [bins] * 3, [0, 256] * 3).astype(np.float64).ravel()
    shares: Doubles = counts / counts.sum()
    return shares


def _unit(vector: Doubles) -> Doubles:
    scaled: Doubles = vector / max(float(np.linalg.norm(vector)), 1e-9)
    return scaled
