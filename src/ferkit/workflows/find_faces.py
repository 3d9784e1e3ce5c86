"""Find the faces of images in memory."""

from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ferkit.errors import InputError
from ferkit.faces.choose import choose
from ferkit.faces.detect import shared_detector
from ferkit.faces.image_faces import ImageFace, cut_at, cut_faces
from ferkit.ops.rgb import AnyImages, is_one_image, rgb_arrays
from ferkit.pipeline.face_finder import filter_of
from ferkit.pipeline.face_options import FaceOptions, FindingKeywords

_SEARCHED_SIDE = 1600


def find_faces(
    images: AnyImages,
    *,
    landmarks: Sequence[ArrayLike] | ArrayLike | None = None,
    device: str | None = None,
    **options: Unpack[FindingKeywords],
) -> list[ImageFace]:
    """Find, align and measure the faces of images in memory.

    Detectors are loaded once for all calls, and any number of threads may call. Nothing is printed.

    Args:
        images: one image or several: numpy (H, W, 3), torch (3, H, W) or (H, W, 3), or Pillow's; RGB, uint8 or floats
            in [0, 1]. A batch has one more dimension in front.
        landmarks: five points (x, y) a face, as another detector found them, in place of searching: (n, 5, 2) for one
            image, and one such array an image for several. The order is that of `ImageFace.landmarks`.
        device: ``cpu``, ``cuda``, …; None takes the best one present.
        options: how faces are found and which are left out: ``min_face``, ``max_side`` (None: 1600), ``thresholds``,
            ``faces``, and the limits of `ferkit.pipeline.face_options.FaceOptions`.

    Returns:
        The faces of all images, those of one image next to each other, left to right.

    Raises:
        InputError: something is no image, landmarks have another shape, or an option is out of range.
    """
    settings = FaceOptions(**options)
    pictures = rgb_arrays(images)
    if landmarks is None:
        faces = [face for found in _searched(pictures, settings, device) for face in found]
    else:
        points = [landmarks] if is_one_image(images) else landmarks
        faces = [face for found in _given(pictures, points) for face in found]
    kept = filter_of(settings).keep([SimpleNamespace(score=face.score, **face.quality) for face in faces])
    return [face for face, keep in zip(faces, kept, strict=True) if keep]


def _searched(
    pictures: list[NDArray[np.uint8]], settings: FaceOptions, device: str | None
) -> Iterator[list[ImageFace]]:
    detector = shared_detector(
        device,
        min_face=settings.min_face,
        max_side=settings.max_side or _SEARCHED_SIDE,
        thresholds=settings.thresholds,
        workers=settings.workers,
    )
    detections = detector.find(pictures)
    for image, (picture, found) in enumerate(zip(pictures, detections, strict=True)):
        yield cut_faces(picture, found, choose(found, picture.shape[:2], settings.faces), image)


def _given(pictures: list[NDArray[np.uint8]], landmarks: object) -> Iterator[list[ImageFace]]:
    """Faces whose points are known."""
    if not isinstance(landmarks, Sequence | np.ndarray) or len(landmarks) != len(pictures):
        raise InputError(f"landmarks must be one (n, 5, 2) array for each of the {len(pictures)} images")
    for image, (picture, one) in enumerate(zip(pictures, landmarks, strict=True)):
        points = np.asarray(one, np.float32)
        if points.shape[-2:] != (5, 2) or points.ndim not in (2, 3) or not np.isfinite(points).all():
            raise InputError(f"the landmarks of image {image} are {points.shape}; give finite (n, 5, 2) points (x, y)")
        yield cut_at(picture, points.reshape(-1, 5, 2), image=image)
