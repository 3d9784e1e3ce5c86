"""How well a face can be seen: size, sharpness, pose and clipping, told from its crop and five points.

Numbers to sort and filter by. Pose comes from five points, so it is a proxy: about 4 degrees off where the points are
right, and a person whose nose is long looks down.
"""

from dataclasses import dataclass, fields

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ferkit.faces.align import similarity_from_points
from ferkit.faces.template import CROP_SIZE, TEMPLATE

Floats = NDArray[np.floating]
Doubles = NDArray[np.float64]
Pixels = NDArray[np.uint8]

_DECIMALS = 4

_GRAIN_SIGMA, _BLUR_SIGMA = 0.7, 1.0
_FACE = slice(24, 104)  # brows to chin: hair and background are often out of focus in sharp pictures
_REACH = 8  # pixels beside the face that both blurs and the gradient look at
_FLAT = 1e-3  # energy below which there is no gradient but rounding

_NOSE_DEPTH, _MOUTH_DEPTH = 18.0, 2.0
"""How far nose and mouth corners stand before the eyes, in pixels of the template (eye distance 40).

An average head has 23 and 3; MTCNN marks the nose nearer to the cheeks' plane than its tip is. These two give yaw and
pitch the slope 0.99 against the pose that all the 68 annotated points of the same faces have.
"""

_SAMPLES = 32  # per side of the crop


@dataclass(frozen=True)
class Quality:
    """What can be told of n faces; NaN where it is not known."""

    size: Doubles  # (n,) shorter side of the box, in the pixels that it is given in; without a box, of the picture
    sharpness: Doubles  # (n,) in [0, 1], see `sharpness`
    yaw: Doubles  # (n,) degrees in [-90, 90], see `head_pose`; NaN without landmarks, as are the next two
    pitch: Doubles  # (n,) degrees in [-90, 90]
    roll: Doubles  # (n,) degrees in (-180, 180]
    clipped: Doubles  # (n,) in [0, 1], see `clipped_share`; 0 without landmarks, where the whole picture is the crop

    def __len__(self) -> int:
        return len(self.size)

    def row(self, number: int) -> dict[str, float | None]:
        """Return the values of one face by name, rounded to 4 decimals; None where not known."""
        values = {field.name: float(getattr(self, field.name)[number]) for field in fields(self)}
        return {name: None if np.isnan(value) else round(value, _DECIMALS) for name, value in values.items()}


def face_quality(
    crops: Pixels,
    boxes: Floats | None = None,
    landmarks: Floats | None = None,
    image_size: ArrayLike = (CROP_SIZE, CROP_SIZE),
) -> Quality:
    """Measure n faces.

    Args:
        crops: (n, S, S, 3) uint8 RGB, aligned to the template.
        boxes: (n, 4) x0, y0, x1, y1; None for pictures that were taken as crops.
        landmarks: (n, 5, 2) pixels of the picture that ``image_size`` tells, points in the template's order; None for
            pictures that were taken as crops.
        image_size: (2,) or (n, 2) width and height in pixels.

    Returns:
        One value of each kind per face.
    """
    count = len(crops)
    sizes = np.broadcast_to(np.asarray(image_size, np.float64), (count, 2))
    sides = sizes if boxes is None else np.asarray(boxes, np.float64)[:, 2:] - np.asarray(boxes, np.float64)[:, :2]
    if landmarks is None:
        pose, clipped = np.full((3, count), np.nan), np.zeros(count)
    else:
        pose, clipped = head_pose(landmarks), clipped_share(landmarks, sizes)
    yaw, pitch, roll = pose
    return Quality(sides.min(axis=1), sharpness(crops), yaw, pitch, roll, clipped)


def sharpness(crops: Pixels) -> Doubles:
    """How much of its edges a face loses when it is blurred once more.

    With I the crop's luminance after a Gaussian of 0.7 px, which takes camera noise away, and G one of 1 px:
    1 - sum |grad G*I|^4 / sum |grad I|^4 over the central 80 x 80 pixels. Brightness and contrast cancel, and the
    fourth power lets the strongest edges decide. An edge blurred by s pixels scores 1 - (t / sqrt(t^2 + 1))^3 with
    t^2 = s^2 + 0.49: 0.81 at s = 0, 0.54 at 1, 0.26 at 2, 0.08 at 4.

    Args:
        crops: (n, S, S, 3) uint8 RGB; larger ones are measured at 128 px.

    Returns:
        (n,) in [0, 1]: 0.65 to 0.75 for a good portrait, about 0.55 for a small press photo, below 0.35 where the
        eyes' distance was under 10 px or the face is out of focus, 0 for a flat picture.
    """
    return np.array([_sharpness(crop) for crop in crops], np.float64)


def head_pose(landmarks: Floats) -> Doubles:
    """Fit a rigid head of five points under scaled orthography, in closed form.

    The least-squares affine camera of the five points is brought to the nearest scaled rotation by its singular value
    decomposition. The head's axes turn in the order pitch, yaw, roll.

    Args:
        landmarks: (n, 5, 2) finite points (x, y), y downwards, in the template's order.

    Returns:
        (3, n) degrees: yaw in [-90, 90], positive where the face looks to the image's right; pitch in [-90, 90],
        positive upwards, 0 where the template is seen; roll in (-180, 180], the angle of the line from the image's
        left eye to its right eye, positive clockwise. NaN where all five points coincide.
    """
    points = np.asarray(landmarks, np.float64)
    points = points - points.mean(axis=1, keepdims=True)
    camera = (_HEAD_INVERSE @ points).transpose(0, 2, 1)  # (n, 2, 3)
    left, _, right = np.linalg.svd(camera, full_matrices=False)
    x_axis, y_axis = np.moveaxis(left @ right, 1, 0)
    ahead = -np.stack([x_axis[:, 2], y_axis[:, 2]], axis=1)  # where the face looks to, in the image's plane
    roll = np.arctan2(y_axis[:, 0], x_axis[:, 0])
    across = np.cos(roll) * ahead[:, 0] + np.sin(roll) * ahead[:, 1]
    down = np.cos(roll) * ahead[:, 1] - np.sin(roll) * ahead[:, 0]
    # Not the depth of the third axis: points that are mirrored, as of a profile, would be seen from behind.
    towards = np.sqrt(np.clip(1 - across**2 - down**2, 0, None))
    pose: Doubles = np.degrees(np.stack([np.arctan2(across, towards), -np.arcsin(np.clip(down, -1, 1)), roll]))
    pose[:, ~camera.any(axis=(1, 2))] = np.nan
    return pose


def clipped_share(landmarks: Floats, image_size: ArrayLike) -> Doubles:
    """Share of each crop that `align_faces` had to fill because it lies outside the picture.

    Args:
        landmarks: (n, 5, 2) pixel coordinates, the centre of the picture's first pixel being (0, 0).
        image_size: (2,) or (n, 2) width and height of the picture in pixels.

    Returns:
        (n,) in [0, 1], in steps of 1/1024.
    """
    matrix = similarity_from_points(np.asarray(landmarks, np.float64), TEMPLATE)
    steps = (np.arange(_SAMPLES) + 0.5) * (CROP_SIZE / _SAMPLES) - 0.5
    samples = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)
    places = np.linalg.solve(matrix[:, :, :2], (samples - matrix[:, None, :, 2]).transpose(0, 2, 1))
    limit = np.broadcast_to(np.asarray(image_size, np.float64), (len(matrix), 2))[:, :, None] - 0.5
    outside = ((places < -0.5) | (places > limit)).any(axis=1)
    share: Doubles = outside.mean(axis=1)
    return share


def _sharpness(crop: Pixels) -> float:
    if len(crop) != CROP_SIZE:
        crop = np.asarray(cv2.resize(crop, (CROP_SIZE, CROP_SIZE), interpolation=cv2.INTER_AREA))
    around = slice(_FACE.start - _REACH, _FACE.stop + _REACH)
    gray = cv2.cvtColor(crop[around, around].astype(np.float32), cv2.COLOR_RGB2GRAY)
    gray = cv2.GaussianBlur(gray, (0, 0), _GRAIN_SIGMA)
    before, after = _edge_energy(gray), _edge_energy(cv2.GaussianBlur(gray, (0, 0), _BLUR_SIGMA))
    return float(np.clip((before - after) / (before + _FLAT), 0, 1))


def _edge_energy(gray: NDArray[np.float32]) -> float:
    face = gray[_REACH : 1 - _REACH, _REACH : 1 - _REACH]
    across, down = np.diff(face, axis=1)[:-1], np.diff(face, axis=0)[:, :-1]
    return float(np.square(across**2 + down**2).sum(dtype=np.float64))


def _head() -> Doubles:
    """(5, 3) points about their mean, x right, y down, z away from the viewer; seen from ahead, the template."""
    depth = np.array([0, 0, _NOSE_DEPTH, _MOUTH_DEPTH, _MOUTH_DEPTH])
    head = np.column_stack([TEMPLATE.astype(np.float64), -depth])
    centred: Doubles = head - head.mean(axis=0)
    return centred


_HEAD_INVERSE = np.linalg.pinv(_head())
