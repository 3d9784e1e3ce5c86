"""Which of an image's faces are wanted."""

import numpy as np
from numpy.typing import NDArray

from ferkit.errors import InputError
from ferkit.faces.detect import Detections

FACES_POLICIES: tuple[str, ...] = ("all", "largest", "center")


def choose(detections: Detections, size: tuple[int, int], which: str) -> NDArray[np.intp]:
    """Say which faces of one image are wanted.

    Args:
        detections: the faces found.
        size: height and width of the image, in pixels.
        which: "all" keeps every face, "largest" the box of the largest area, "center" the box of the largest
            area - 2 * (distance of its centre from the image's)^2: facenet-pytorch's ``center_weighted_size``, where a
            face off the centre must be larger to win.

    Returns:
        (k,) their rows: for "all" every one; otherwise one, or none where none was found. Of equals the more certain.

    Raises:
        InputError: ``which`` is none of ``FACES_POLICIES``.
    """
    check_policy(which)
    if which == "all" or not len(detections):
        return np.arange(len(detections))
    boxes = detections.boxes
    worth = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    if which == "center":
        middle = (np.array(size[::-1], np.float32) - 1) / 2  # of the image, whose first pixel's centre is (0, 0)
        worth -= 2 * np.square((boxes[:, :2] + boxes[:, 2:]) / 2 - middle).sum(axis=1)
    return np.array([worth.argmax()])


def check_policy(which: str) -> None:
    """Refuse with `InputError` what is none of ``FACES_POLICIES``."""
    if which not in FACES_POLICIES:
        raise InputError(f"faces must be one of {', '.join(FACES_POLICIES)}, not {which!r}")
