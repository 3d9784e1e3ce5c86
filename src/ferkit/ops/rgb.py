"""Images in memory, however a program holds them, as uint8 RGB."""

from collections.abc import Iterable
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from ferkit.errors import InputError


class HasCrop(Protocol):
    """A face of `ferkit.find_faces`, which stands for its crop."""

    @property
    def crop(self) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 RGB."""


AnyImage = NDArray[np.generic] | Tensor | Image.Image | HasCrop
"""One image: (H, W, 3) or gray (H, W), as a tensor also (3, H, W), uint8 or floats in [0, 1]; Pillow's; or a face."""

AnyImages = AnyImage | Iterable[AnyImage]
"""One image, several, or a batch with one more dimension in front."""


def is_one_image(images: AnyImages) -> bool:
    """Whether this is one image, and no batch and no collection."""
    return images.ndim < 4 if isinstance(images, np.ndarray | Tensor) else hasattr(images, "crop")  # Pillow has one too


def rgb_arrays(images: AnyImages) -> list[NDArray[np.uint8]]:
    """Return each image as (H, W, 3) uint8 RGB; arrays that are so already are not copied.

    Pillow's images are turned upright as their EXIF block says, and transparency is laid over white.

    Raises:
        InputError: something is no image, or has another shape, type or range.
    """
    if isinstance(images, str | bytes) or not (is_one_image(images) or isinstance(images, Iterable)):
        raise InputError(_no_image(0, type(images).__name__))
    several = [images] if is_one_image(images) else images
    return [_rgb(number, image) for number, image in enumerate(cast(Iterable[AnyImage], several))]


def _rgb(number: int, image: AnyImage) -> NDArray[np.uint8]:
    if isinstance(image, Image.Image):
        return _of_pillow(number, image)
    if not isinstance(image, np.ndarray | Tensor):
        image = getattr(image, "crop", image)
    if isinstance(image, Tensor):
        planes_first = image.ndim == 3 and image.shape[0] == 3 and image.shape[2] != 3
        image = (image.permute(1, 2, 0) if planes_first else image).detach().cpu().numpy()
    if not isinstance(image, np.ndarray):
        raise InputError(_no_image(number, type(image).__name__))
    if image.ndim == 2:
        image = np.repeat(image[:, :, None], 3, axis=2)
    if image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise InputError(_no_image(number, f"{image.shape} {image.dtype}"))
    return np.ascontiguousarray(_levels(number, image))


def _levels(number: int, image: NDArray[np.generic]) -> NDArray[np.uint8]:
    if image.dtype == np.uint8:
        return image.view(np.uint8)
    if np.issubdtype(image.dtype, np.floating):
        values = image.astype(np.float32)
        if 0 <= values.min() <= values.max() <= 1:  # false for NaN
            return (values * 255 + 0.5).astype(np.uint8)
        raise InputError(f"image {number} holds floats from {values.min():g} to {values.max():g}; scale them to [0, 1]")
    raise InputError(_no_image(number, f"{image.shape} {image.dtype}"))


def _of_pillow(number: int, image: Image.Image) -> NDArray[np.uint8]:
    if image.mode.startswith(("I", "F")):
        raise InputError(f"image {number} has Pillow's mode {image.mode!r}; convert it to 8 bits first")
    upright = ImageOps.exif_transpose(image)
    if upright.has_transparency_data:
        visible = upright.convert("RGBA")
        upright = Image.new("RGB", upright.size, "white")
        upright.paste(visible, mask=visible)
    return np.asarray(upright.convert("RGB"))


def _no_image(number: int, what: str) -> str:
    return (
        f"image {number} is {what}; give (H, W, 3) RGB as numpy, torch or Pillow has it, uint8 or floats in [0, 1] "
        "(a file: PIL.Image.open(path))"
    )
