"""The whole way from crops to vectors as one network, for programs that know nothing of ferkit."""

import hashlib

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ferkit.encoders.encoder import Encoder
from ferkit.encoders.registry import EncoderCard, field_of


class CropGraph(nn.Module):
    """What `Encoder.embed` does, in steps that every runtime has; only its checks are left out.

    Args:
        encoder: on the CPU; its network is shared, not copied.
        side: of the crops in pixels, at least the encoder's field.
    """

    luma: Tensor
    scale: Tensor
    shift: Tensor
    center: Tensor
    projection: Tensor | None
    resampling: Tensor | None

    def __init__(self, encoder: Encoder, side: int) -> None:
        super().__init__()
        entry = encoder.entry
        self.network = encoder.backbone
        self.gray, self.flip = entry.gray, entry.flip
        field = field_of(entry.field, side)
        self.first, self.last = (side - field) // 2, (side - field) // 2 + field
        self.register_buffer("luma", encoder.luma.clone())
        self.register_buffer("scale", 1 / (255 * encoder.std))
        self.register_buffer("shift", -encoder.mean / encoder.std)
        self.register_buffer("center", encoder.center.clone())
        self.register_buffer("projection", None if encoder.projection is None else encoder.projection.clone())
        self.register_buffer("resampling", _resampling(field, entry.input_size))
        self.eval()

    def forward(self, crops: Tensor) -> Tensor:
        """Return the (N, D) float32 vectors of length 1 of (N, side, side, 3) uint8 RGB crops."""
        images = self.prepare(crops)
        features = self.network(images)
        if self.flip:
            features = (features + self.network(images.flip(3))) / 2
        centred = features - self.center
        return F.normalize(centred if self.projection is None else centred @ self.projection, dim=1)

    def prepare(self, crops: Tensor) -> Tensor:
        """Return the (N, 3, S, S) images that the network is given; see `Encoder.prepare`."""
        square = crops[:, self.first : self.last, self.first : self.last]
        images = square.permute(0, 3, 1, 2).float()
        if self.gray:
            images = (images * self.luma).sum(1, keepdim=True)
        if self.resampling is not None:
            images = self.resampling @ images @ self.resampling.T
        return images * self.scale + self.shift


def contract_digest(card: EncoderCard) -> str:
    """Return 16 hex digits that stand for how the weights are used: network, central square, its size and colours.

    Embedding sets keep it, so what it is made of stays as it is.
    """
    names = ("arch", "input_size", "field", "gray", "mean", "std")
    contract = (*(getattr(card, name) for name in names), *(["flip"] if card.flip else ()))
    return hashlib.sha256(repr(contract).encode()).hexdigest()[:16]


def _resampling(field: int, size: int) -> Tensor | None:
    """The antialiased bilinear resize along one axis as a (size, field) matrix; None where it changes nothing.

    Not every runtime has the resize, and those that do disagree about it; a product is the same everywhere.
    """
    if field == size:
        return None
    unit = torch.eye(field)[None, None]
    return F.interpolate(unit, size=(size, field), mode="bilinear", antialias=True)[0, 0]
