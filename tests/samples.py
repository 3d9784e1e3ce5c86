"""Inputs that tests of several rooms share: made pictures, vectors, faces, networks, encoders and videos."""

import errno
import io
import os
import re
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from torch import nn

from ferkit.data.embedding_set import EmbeddingSet, EncoderStamp
from ferkit.data.faces import Face, crop_sha256, faces_to_table
from ferkit.encoders.encoder import random_encoder, save_encoder
from ferkit.errors import UnreadableImageError
from ferkit.methods.views import Views

UNKNOWN = dict.fromkeys(("clip", "identity", "time_s", "label", "box", "landmarks", "score"))


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def vectors(*shape, seed=0):
    return torch.randn(*shape, generator=seeded(seed))


def at(*degrees):
    """Unit vectors of the plane at these angles."""
    rad = torch.tensor(degrees, dtype=torch.float32).deg2rad()
    return torch.stack([rad.cos(), rad.sin()], -1)


def two_views(count, seed=0, label=None):
    """Views of noise, (count, 3, 16, 16) each, without warps."""
    a, b = vectors(2, count, 3, 16, 16, seed=seed)
    return Views(a, b, a.new_empty(0, *a.shape), label)


def noise(count, side=128, seed=0):
    """(count, side, side, 3) uint8."""
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), np.uint8)


def smooth_crops(count, seed=0, cells=9, mode="nearest"):
    """(count, 128, 128, 3) uint8 of so many cells a side."""
    coarse = torch.rand(count, 3, cells, cells, generator=seeded(seed))
    images = nn.functional.interpolate(coarse, size=(128, 128), mode=mode).clamp(0, 1)
    return images.mul(255).byte().permute(0, 2, 3, 1).contiguous()


class Tiny(nn.Sequential):
    """(B, 3, S, S) -> (B, 8 side²), with batch norm."""

    def __init__(self, side=1):
        super().__init__(
            nn.Conv2d(3, 8, 5, stride=3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(side), nn.Flatten()
        )


class Means(nn.Sequential):
    """(B, 3, S, S) -> (B, 3 side²)."""

    def __init__(self, side=1):
        super().__init__(nn.AdaptiveAvgPool2d(side), nn.Flatten())


def save_run(folder, arch="test_resnet", size=32, seed=0, **fields):
    """Make the folder of a run with an untrained encoder, as `ferkit pretrain` leaves one."""
    encoder = random_encoder(arch, size, seed=seed)
    folder.mkdir(parents=True, exist_ok=True)
    save_encoder(folder, encoder.backbone.state_dict(), encoder.entry.model_copy(update=fields))
    return folder


def face(source="/p.jpg", number=1, crop=None, **known):
    """A face of which nothing is known but what is said."""
    sha256 = "0" * 64 if crop is None else crop_sha256(crop)
    return Face(**{"source": source, "face": number, "sha256": sha256, **UNKNOWN, **known})


def write_set(path, values, faces=None, encoder=None):
    """Save vectors as an embedding set, of any faces by an encoder that nobody has unless both are said."""
    values = np.asarray(values, np.float32)
    stamp = encoder or EncoderStamp("made", "ab" * 32, values.shape[1], "ferkit-128", 112)
    EmbeddingSet(values, faces_to_table(faces or [face()] * len(values)), stamp).save(path)
    return path


def unit_rows(values):
    return (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)


def png(picture):
    """A PNG of an array, or of 4 x 4 pixels of one gray."""
    file, image = io.BytesIO(), Image.new("L", (4, 4), picture) if isinstance(picture, int) else None
    (image or Image.fromarray(picture)).save(file, "PNG", compress_level=1)
    return file.getvalue()


def pictures_of(names):
    """What an archive holds under the names: pictures whose gray is their number."""
    return [(name, png(value)) for value, name in enumerate(names)]


def grays(pictures):
    return [int(picture.read()[0, 0, 0]) for picture in pictures]


def places(pictures):
    """Where the pictures are in their archive."""
    return [re.split(r"\.(?:tar|zip)#", picture.source, maxsplit=1)[-1] for picture in pictures]


def refusals(pictures, mark="#"):
    """The pictures' places and why they cannot be read; None for those that can."""
    found = []
    for picture in pictures:
        try:
            picture.read()
            found.append(None)
        except UnreadableImageError as error:
            found.append((picture.source.rpartition(mark)[2], error.why))
    return found


def write_parquet(path, images, *, metadata=None, row_group=3, **columns):
    table = pa.table({"image": images, **columns}).replace_schema_metadata(metadata)
    pq.write_table(table, path, row_group_size=row_group)
    return path


def save_gray(path, size=(8, 8), gray=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, gray).save(path)
    return path


def write_video(path, frames, fps=25.0, codec="MJPG"):
    """Write (H, W, 3) RGB frames; "FFV1" loses nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = frames[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*codec), fps, (width, height))
    if not writer.isOpened():
        pytest.skip(f"this OpenCV cannot write {codec}")
    for frame in frames:
        writer.write(np.ascontiguousarray(frame[..., ::-1]))
    writer.release()
    return path


@contextmanager
def full_disk(flushes=0):
    """The disk has no room left when data is to reach it, after so many times that it did."""
    flush, left = os.fsync, iter(range(flushes))

    def fills_up(handle):
        if next(left, None) is None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        flush(handle)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", fills_up)
        yield


def contents(folder):
    """The bytes of all files below a folder, by their paths in it."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def flip(path: Path, place: int):
    """Change one bit of a file."""
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def clouds(seed, count, spread=2.0, dim=6):
    """(count, dim) vectors about three centres, and their labels."""
    random = np.random.default_rng(seed)
    numbers = random.integers(0, 3, count)
    vectors = 3 * np.eye(3, dim)[numbers] + spread * random.normal(size=(count, dim))
    return vectors, np.array(["anger", "fear", "happiness"])[numbers].tolist()
