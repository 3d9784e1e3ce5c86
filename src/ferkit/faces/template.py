"""The one position that every aligned face is brought to.

The template keeps the proportions of ArcFace's 112 px template (arXiv:1801.07698, code of InsightFace), made symmetric
and drawn at an inter-eye distance of 40 px in the middle of a 128 px crop, so that the central 112 px still hold the
face from the brows to the chin.
"""

import numpy as np
from numpy.typing import NDArray

TEMPLATE_NAME = "ferkit-128"
"""Written into every face set and encoder, so that crops of different templates are never mixed."""

CROP_SIZE = 128
"""Side of the square crop, in pixels."""

CROP_SIZES = (128, 160, 256)
"""Sides that a face set may have; the template is drawn larger, and shows the same."""

TEMPLATE: NDArray[np.float32] = np.array(
    [
        [43.5, 43.5],  # eye on the image's left
        [83.5, 43.5],  # eye on the image's right
        [63.5, 66.3],  # tip of the nose
        [46.9, 89.7],  # corner of the mouth on the image's left
        [80.1, 89.7],  # corner of the mouth on the image's right
    ],
    dtype=np.float32,
)
"""(5, 2) pixel coordinates (x, y) in the crop; the centre of its first pixel is (0, 0). Read-only."""

TEMPLATE.setflags(write=False)


def template_points(size: int) -> NDArray[np.float64]:
    """Return the (5, 2) points of the template in a crop of another side."""
    return (TEMPLATE.astype(np.float64) + 0.5) * (size / CROP_SIZE) - 0.5
