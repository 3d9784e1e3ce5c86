"""A second look at faces that were found: O-Net on each once more, brought onto the template and turned.

MTCNN looks for upright faces. Of one that lies on its side or upside down it may be just as sure, with landmarks that
are elsewhere: eyes on the mouth. Brought onto the template by its landmarks, a face shows whether they are right: O-Net
then finds them where the template has them, and likes no turned view of it better.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ferkit.faces.align import align_faces, similarity_from_points
from ferkit.faces.template import CROP_SIZE, TEMPLATE

Doubles = NDArray[np.float64]
Pixels = NDArray[np.uint8]
Network = Callable[[Pixels], tuple[Doubles, Doubles]]
"""(n, 48, 48, 3) uint8 -> (n,) logits of "face" and (n, 5, 2) landmarks in pixels of the patch."""

PATCH = 48
_CENTRE, _BOX = np.array([62.5, 57.3]), np.array([89.3, 117.6])
"""Centre, width and height of the box that MTCNN draws around a face on the template (medians over real photos)."""

_SIDE = float(_BOX.max())
_MIDDLE = (CROP_SIZE - 1) / 2


def _turned_template(turns: int) -> Doubles:
    """Where the template's points lie in the patch that shows the crop turned by quarters against the clock."""
    points: Doubles = TEMPLATE.astype(np.float64) - _MIDDLE
    for _ in range(turns):
        points = np.stack([points[:, 1], -points[:, 0]], axis=1)
    placed: Doubles = (points + _MIDDLE - _CENTRE + _SIDE / 2) * (PATCH / _SIDE) - 0.5
    return placed


_TEMPLATES = [_turned_template(turns) for turns in range(4)]

# Chosen on 660 faces of real photos and on photos of 36 people turned all round; lengths are shares of the face's box.
_ERROR_WEIGHT = 20.0  # what a landmark that is off by the whole box costs, in units of the logit
_RETURNED = 0.1  # landmarks nearer than this to the template have returned to it
_CLEAR = 1.0  # by how much the upright view must be liked better than its half turn to need no further look
_SURE, _LIKELY = (
    0.9,
    0.4,
)  # probabilities: of a face that needs no further look, and of one that no turn explains better
_ROUNDS = 2  # how often landmarks are placed anew


class Verification(NamedTuple):
    """What became of n faces."""

    kept: NDArray[np.bool_]  # (n,) whether the landmarks are right now
    landmarks: Doubles  # (n, 5, 2) pixels of the image: as they were, or placed anew
    turned: NDArray[np.bool_]  # (n,) whether they were placed anew because the face is turned
    scores: Doubles  # (n,) probability as it came out here


class _Look(NamedTuple):
    """What O-Net says of one turned view of n faces; landmarks are in pixels of the image."""

    scores: Doubles
    errors: Doubles
    landmarks: Doubles

    @property
    def quality(self) -> Doubles:
        quality: Doubles = np.log(self.scores / (1 - self.scores)) - _ERROR_WEIGHT * self.errors
        return quality


def verify(image: Pixels, landmarks: NDArray[np.floating], network: Network, *, again: bool = False) -> Verification:
    """Check the landmarks of faces, and place those anew that belong to a turned face.

    Args:
        image: (H, W, 3) uint8 RGB.
        landmarks: (n, 5, 2) pixels of the image.
        network: O-Net.
        again: place all of them anew first, as is right where they were found on a smaller copy.
    """
    points: Doubles = np.array(landmarks, np.float64)
    if again:
        points = _look(image, points, 0, network).landmarks
    upright, half = (_look(image, points, turns, network) for turns in (0, 2))
    kept = (upright.quality >= half.quality + _CLEAR) & (upright.errors <= _RETURNED) & (upright.scores >= _SURE)
    turned, scores = np.zeros(len(points), np.bool_), upright.scores.copy()
    for least in (_LIKELY, *[_SURE] * _ROUNDS):
        left = np.flatnonzero(~kept)
        if not len(left):
            break
        looks = [_look(image, points[left], turns, network) for turns in range(4)]
        best = np.argmax([look.quality for look in looks], axis=0)
        right = (best == 0) & (looks[0].errors <= _RETURNED) & (looks[0].scores >= least)
        kept[left], scores[left] = right, looks[0].scores
        found = np.array([look.landmarks for look in looks])[best, np.arange(len(left))]
        points[left[~right]], turned[left[~right]] = found[~right], True
    return Verification(kept, points, turned, scores)


def box_around(landmarks: Doubles) -> Doubles:
    """Return the (n, 4) boxes x0, y0, x1, y1 that MTCNN would draw around upright faces with these landmarks."""
    points = np.asarray(landmarks, np.float64)
    matrix = similarity_from_points(points, TEMPLATE)
    centre = np.linalg.solve(matrix[:, :, :2], (_CENTRE - matrix[:, :, 2])[:, :, None])[:, :, 0]
    half = _BOX / 2 / np.hypot(matrix[:, 0, 0], matrix[:, 0, 1])[:, None]
    return np.hstack([centre - half, centre + half])


def _look(image: Pixels, landmarks: Doubles, turns: int, network: Network) -> _Look:
    """Look at faces, brought onto the template by their landmarks and turned by quarters against the clock."""
    template = _TEMPLATES[turns]
    logits, points = network(align_faces(image, landmarks, template, PATCH))
    errors: Doubles = np.abs((points - _TEMPLATES[0]).reshape(-1, 10)).max(axis=1) / PATCH
    matrix = similarity_from_points(landmarks, template)
    found = np.linalg.solve(matrix[:, :, :2], (points - matrix[:, None, :, 2]).transpose(0, 2, 1))
    return _Look(1 / (1 + np.exp(-np.clip(logits, -15, 15))), errors, found.transpose(0, 2, 1).astype(np.float64))
