"""Whatever can be probed: encoders, pixels, random weights, and vectors that are there already."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from ferkit._version import __version__
from ferkit.encoders.encoder import Encoder, load_encoder, random_encoder
from ferkit.encoders.hashes import sha256_of
from ferkit.encoders.registry import field_of, load_registry
from ferkit.encoders.weights import serialize
from ferkit.evaluation.rows import unit_rows
from ferkit.ops.device import pick_device
from ferkit.probing.settings import PIXELS, RANDOM
from ferkit.progress import Progress

Crops = NDArray[np.uint8]
Vectors = NDArray[np.float32]


class NetworkEncoder:
    """An encoder of the zoo, a run, or with random weights.

    Attributes:
        name: what tables call it.
        reference: name or path by which it is found again.
        sha256: digest of its weights.
        key: all that decides its features.
        dim: length of a feature.
        crop: the template that its faces are aligned to; None takes any.
        supervision: what it learnt from, as in its entry.
    """

    def __init__(self, network: Encoder, reference: str, batch_size: int) -> None:
        self.network = network
        self.name = RANDOM if reference == RANDOM else network.name
        self.reference = reference
        self.sha256 = network.sha256 or sha256_of(serialize(network.state_dict()))
        self.dim = network.width
        self.crop: str | None = network.crop
        self.supervision: str = network.entry.supervision
        self._batch = batch_size
        entry = network.entry
        names = ("arch", "dim", "input_size", "field", "crop", "gray", "mean", "std", "flip")
        # A GPU computes in bfloat16.
        self.key = repr((self.sha256, *(getattr(entry, name) for name in names), network.center.is_cuda))

    def features(self, crops: Crops) -> Vectors:
        """Return the (n, D) raw features of (n, H, W, 3) crops."""
        return self.network.features(crops, batch_size=self._batch)

    def unit(self, features: Vectors) -> Vectors:
        """Return the (n, E) vectors whose dot products are cosines, as `Encoder.embed` does."""
        center, projection = self.network.center.cpu().numpy(), self.network.projection
        centred = np.asarray(features) - center
        return np.asarray(unit_rows(centred if projection is None else centred @ projection.cpu().numpy()), np.float32)


class PixelEncoder:
    """The central 112 px in gray, at 28 px, less each picture's mean: what can be told without learning anything."""

    name = reference = PIXELS
    sha256 = ""
    key = f"pixels 28 of 112 {__version__}"
    dim = 28 * 28
    crop: str | None = None
    supervision = "none"

    def features(self, crops: Crops) -> Vectors:
        """As `NetworkEncoder.features`."""
        field = field_of(112, crops.shape[1])
        top, left = ((side - field) // 2 for side in crops.shape[1:3])
        gray = torch.from_numpy(crops[:, top : top + field, left : left + field].astype(np.float32)).mean(3)
        small = F.avg_pool2d(gray[:, None], field // 28).flatten(1)
        return np.asarray((small - small.mean(1, keepdim=True)).numpy())

    def unit(self, features: Vectors) -> Vectors:
        """As `NetworkEncoder.unit`."""
        return np.asarray(unit_rows(np.asarray(features)), np.float32)


FaceEncoder = NetworkEncoder | PixelEncoder
"""Turns crops into features, and features into vectors of length 1."""


def find_encoder(
    name: str | Path, device: str | None, batch_size: int = 64, progress: Progress | None = None
) -> FaceEncoder:
    """Load an encoder by its name or path, or take pixels.

    Raises:
        FerkitError: as `load_encoder`.
    """
    if str(name) == PIXELS:
        return PixelEncoder()
    network = load_encoder(name, device, progress)
    reference = str(Path(name).resolve()) if Path(name).exists() and str(name) not in load_registry() else str(name)
    return NetworkEncoder(network, reference, batch_size)


def random_like(like: NetworkEncoder | None, device: str | None = None, batch_size: int = 64) -> NetworkEncoder:
    """Return a network with random weights: that of ``like``, shown the same pictures, else ResNet-18 at 64 px."""
    if like is None:
        network = random_encoder("resnet18", input_size=64)
    else:
        entry = like.network.entry
        untrained = random_encoder(entry.arch, input_size=entry.input_size)
        inputs = {name: getattr(entry, name) for name in ("field", "crop", "gray", "mean", "std")}
        network = Encoder(untrained.entry.model_copy(update=inputs), untrained.backbone, sha256=untrained.sha256)
    return NetworkEncoder(network.to(pick_device(device)), RANDOM, batch_size)
