"""Bring faces onto the template: five points, one least-squares similarity, one antialiased resampling."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from ferkit.faces.template import CROP_SIZE, TEMPLATE

Floats = NDArray[np.floating]
Pixels = NDArray[np.uint8]

_MARGIN = 2
"""Pixels (of the shrunken copy) kept around the face's region, so that interpolation never sees a false border."""


def similarity_from_points(src: Floats, dst: Floats) -> NDArray[np.float64]:
    """Least-squares similarity (rotation, one scale, translation, no reflection) that takes ``src`` onto ``dst``.

    In the plane, Umeyama's solution (IEEE TPAMI 13(4), 1991, eq. 40-42) without reflection has a closed form: with the
    points as complex numbers about their means, z -> a z where a = sum(conj(z) w) / sum(|z|^2).

    Args:
        src: (N, K, 2) finite points (x, y), K >= 1.
        dst: (K, 2) points that each of the N sets is brought to.

    Returns:
        (N, 2, 3) matrices M with dst ~ M[:, :, :2] @ src + M[:, :, 2]. Where a set's points all coincide, rotation and
        scale are unknown: that matrix only moves the point onto the mean of ``dst`` (no rotation, scale 1).
    """
    src, dst = np.asarray(src, np.float64), np.asarray(dst, np.float64)
    src_mean, dst_mean = src.mean(axis=1), dst.mean(axis=0)
    z, w = _complex(src - src_mean[:, None]), _complex(dst - dst_mean)
    spread = (np.abs(z) ** 2).sum(axis=1)
    known = spread > np.finfo(np.float64).eps * (np.abs(src).max(axis=(1, 2), initial=0) ** 2)
    turn = np.where(known, (z.conj() * w).sum(axis=1) / np.where(known, spread, 1), 1)
    linear = np.stack([turn.real, -turn.imag, turn.imag, turn.real], axis=-1).reshape(-1, 2, 2)
    shift = dst_mean - (linear @ src_mean[:, :, None])[:, :, 0]
    return np.concatenate([linear, shift[:, :, None]], axis=2)


def landmarks_in_crops(landmarks: Floats) -> NDArray[np.float64]:
    """Carry the landmarks of photos onto their crops, as `align_faces` carries the pixels.

    Args:
        landmarks: (n, 5, 2) pixel coordinates (x, y) in the photos.

    Returns:
        (n, 5, 2) pixel coordinates in the crops, near those of the template.
    """
    points = np.asarray(landmarks, np.float64)
    matrix = similarity_from_points(points, TEMPLATE)
    carried: NDArray[np.float64] = points @ matrix[:, :, :2].transpose(0, 2, 1) + matrix[:, None, :, 2]
    return carried


def align_faces(image: Pixels, landmarks: Floats, template: Floats = TEMPLATE, side: int = CROP_SIZE) -> Pixels:
    """Cut every face out of an image onto a template, by default ``ferkit-128``.

    A face larger than the template is averaged down to the template's scale before it is turned (no aliasing); a
    smaller one is interpolated bilinearly. Where the crop reaches over the image's border, the border's pixels are
    repeated.

    Args:
        image: (H, W, 3) uint8 RGB.
        landmarks: (n, 5, 2) pixel coordinates (x, y) of eyes, nose and mouth corners in the template's order, the
            centre of the first pixel being (0, 0).
        template: (5, 2) where they go in the crop.
        side: pixels a side of the crop.

    Returns:
        (n, side, side, 3) uint8 RGB; (0, side, side, 3) for no face.
    """
    crops = np.empty((len(landmarks), side, side, 3), np.uint8)
    for crop, matrix in zip(crops, similarity_from_points(landmarks, template), strict=True):
        region, to_crop = _shrunken_region(image, matrix, side)
        cv2.warpAffine(region, to_crop, (side, side), crop, cv2.INTER_LINEAR, cv2.BORDER_REPLICATE)
    return crops


def _complex(points: NDArray[np.float64]) -> NDArray[np.complex128]:
    return points[..., 0] + 1j * points[..., 1]


def _shrunken_region(image: Pixels, matrix: NDArray[np.float64], side: int) -> tuple[Pixels, NDArray[np.float64]]:
    """The part of the image that the crop shows, no finer than the crop, and the matrix from it to the crop."""
    x0, y0, x1, y1 = _region(image.shape, matrix, side)
    region = image[y0:y1, x0:x1]
    scale = math.hypot(*matrix[:, 0])
    if scale >= 1:
        return region, _compose(matrix, (1.0, 1.0), (x0, y0))
    height, width = (max(1, round(side * scale)) for side in region.shape[:2])
    zoom = (width / region.shape[1], height / region.shape[0])
    return cv2.resize(region, (width, height), interpolation=cv2.INTER_AREA), _compose(matrix, zoom, (x0, y0))


def _region(shape: tuple[int, ...], matrix: NDArray[np.float64], side: int) -> tuple[int, int, int, int]:
    """Pixels [x0, x1) x [y0, y1) of the image that the crop needs: never empty, clipped to the image."""
    last = side - 1
    corners = np.array([[0, 0], [last, 0], [0, last], [last, last]], np.float64)
    inside = np.linalg.solve(matrix[:, :2], (corners - matrix[:, 2]).T).T
    margin = _MARGIN / min(1.0, math.hypot(*matrix[:, 0]))
    limit = np.array([shape[1], shape[0]])
    low = np.clip(np.floor(inside.min(axis=0) - margin), 0, limit - 1).astype(int)
    high = np.clip(np.ceil(inside.max(axis=0) + margin) + 1, low + 1, limit).astype(int)
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def _compose(matrix: NDArray[np.float64], zoom: tuple[float, float], origin: tuple[int, int]) -> NDArray[np.float64]:
    """``matrix`` for the pixel centres of a copy that starts at ``origin`` and is scaled by ``zoom``, both (x, y)."""
    back = np.diag([1 / zoom[0], 1 / zoom[1], 1.0])
    back[:2, 2] = 0.5 / np.array(zoom) - 0.5 + np.array(origin)
    composed: NDArray[np.float64] = matrix @ back
    return composed
