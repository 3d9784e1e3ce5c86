"""The faces of an image in memory: where each is, how well it is seen, and its crop."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ferkit.errors import NoFaceError
from ferkit.faces.align import align_faces
from ferkit.faces.choose import choose
from ferkit.faces.detect import Detections, shared_detector
from ferkit.faces.quality import face_quality
from ferkit.faces.template import CROP_SIZE
from ferkit.ops.rgb import AnyImage, rgb_arrays

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class ImageFace:
    """One face of an image."""

    image: int  # number of the image among those that were searched, from 0
    face: int  # number of the face within it, from 1, left to right
    crop: Pixels  # (128, 128, 3) uint8 RGB, aligned to the template ``ferkit-128``
    # (5, 2) pixels (x, y) of the image, the centre of its first pixel being (0, 0): eye on the image's left, eye on its
    # right, tip of the nose, corner of the mouth on the left, on the right
    landmarks: NDArray[np.floating]
    # (4,) left, top, right, bottom in the same pixels; None where another detector gave the landmarks
    box: NDArray[np.floating] | None
    score: float | None  # the detector's confidence in [0, 1]; None likewise
    # "size", the shorter side of the box in pixels, "sharpness" and "clipped" in [0, 1], and "yaw", "pitch" and "roll"
    # in degrees, see `ferkit.faces.quality`; None where not known
    quality: dict[str, float | None]


def cut_faces(picture: Pixels, found: Detections, rows: NDArray[np.intp], image: int = 0) -> list[ImageFace]:
    """Bring detected faces of one image onto the template and measure them.

    Args:
        picture: (H, W, 3) uint8 RGB.
        found: all faces that it shows, which are numbered by the middles of their boxes.
        rows: which of them to take.
        image: number of the image.

    Returns:
        The faces of ``rows``, left to right.
    """
    return measure_faces(align_faces(picture, found.landmarks), found, rows, picture.shape[1::-1], image)


def measure_faces(
    crops: Pixels, found: Detections, rows: NDArray[np.intp], size: tuple[int, ...], image: int = 0
) -> list[ImageFace]:
    """Measure faces of an image of this width and height that were cut out of it; otherwise as `cut_faces`.

    Args:
        crops: (n, S, S, 3) uint8 RGB, one for each of ``found``.
        found: all faces of the image.
        rows: which of them to take.
        size: width and height of the image, in the pixels of ``found``.
        image: number of the image.
    """
    order = np.argsort(found.boxes[:, 0] + found.boxes[:, 2], kind="stable")
    numbers = np.flatnonzero(np.isin(order, rows))
    faces = found.select(order[numbers])
    crops = crops[order[numbers]]
    quality = face_quality(crops, faces.boxes, faces.landmarks, size)
    return [
        ImageFace(image, number + 1, crops[row], faces.landmarks[row], faces.boxes[row], score, quality.row(row))
        for row, (number, score) in enumerate(zip(numbers.tolist(), faces.scores.tolist(), strict=True))
    ]


def cut_at(picture: Pixels, landmarks: NDArray[np.float32], image: int = 0) -> list[ImageFace]:
    """Bring the faces at (n, 5, 2) points of another detector onto the template, measured and numbered as they come."""
    crops = align_faces(picture, landmarks)
    quality = face_quality(crops, None, landmarks, (picture.shape[1], picture.shape[0]))
    return [
        ImageFace(image, row + 1, crop, points, None, None, {**quality.row(row), "size": None})
        for row, (crop, points) in enumerate(zip(crops, landmarks, strict=True))
    ]


def largest_crop(image: AnyImage, device: str | None = None) -> Pixels:
    """Return the (1, 128, 128, 3) crop of an image's largest face; an image of 128 x 128 pixels is one already.

    Raises:
        InputError: it is no image.
        NoFaceError: it shows no face.
    """
    (picture,) = rgb_arrays([image])
    if picture.shape[:2] == (CROP_SIZE, CROP_SIZE):
        return picture[None]
    found = shared_detector(device).find([picture])[0]
    if not len(found):
        raise NoFaceError("no face was found in the image")
    (face,) = cut_faces(picture, found, choose(found, picture.shape[:2], "largest"))
    return face.crop[None]
