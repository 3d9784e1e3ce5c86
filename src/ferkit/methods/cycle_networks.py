"""The networks of CycleFace beside its encoder (arXiv:2108.03427), by the layers of the authors' code."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ferkit.encoders.cycleface import ChannelAttention, ResidualBlock, convolution, kaiming
from ferkit.methods.vgg import VggLayers
from ferkit.ops.flows import back_flow, warp_by_flow

STEM_WIDTH = 256
"""Channels that VGG-19's third block has, and so the generator."""

_FLOW_WIDTH = 256
_FLOW_STD = 0.05


def make_stem(width: int = STEM_WIDTH) -> VggLayers:
    """VGG-19's layers up to the first of its third block; the maps are those of the second and the third.

    Args:
        width: channels of the last map, a multiple of 4.
    """
    return VggLayers(3, taps=(2, 3), width=width // 4)


class FlowDecoder(nn.Module):
    """Codes to flows towards the neutral face, and back.

    Args:
        dim: length of a code.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        wide, half, quarter = _FLOW_WIDTH, _FLOW_WIDTH // 2, _FLOW_WIDTH // 4
        self.grow = nn.Sequential(
            *(nn.Conv2d(dim, 16 * wide, 1), nn.PixelShuffle(4), nn.LeakyReLU(0.1)),
            *(ChannelAttention(wide), convolution(wide, wide)),
            *(_double(), convolution(wide, half), ChannelAttention(half), convolution(half, half)),
            *(ResidualBlock(half), ResidualBlock(half)),
            *(_double(), convolution(half, quarter)),
        )
        self.flow = nn.Conv2d(quarter, 2, 1, bias=False)
        self.apply(kaiming)
        nn.init.normal_(self.flow.weight, std=_FLOW_STD)

    def forward(self, code: Tensor) -> tuple[Tensor, Tensor]:
        """(B, dim) -> two (B, 2, 16, 16) displacements (x, y) in half sides, each in [-1, 1]."""
        flow = self.flow(self.grow(code[:, :, None, None])).float().tanh()
        return flow, back_flow(flow)


class Generator(nn.Module):
    """Draw a face anew from the features of a picture, moved by a flow.

    Args:
        width: channels of the stem's last map, those of most layers here.
        blocks: residual blocks.
        stem: see `make_stem`.
    """

    def __init__(self, width: int, blocks: int, stem: VggLayers) -> None:
        super().__init__()
        half = width // 2
        self.stem = stem
        self.fill_near, self.fill_far = (nn.Sequential(*_plain(n, n), *_plain(n, n)) for n in (half, width))
        self.deform = nn.Sequential(*_plain(width, width), *(ResidualBlock(width) for _ in range(blocks)))
        self.grow = nn.Sequential(*_doubling(width, half), *_plain(half, half))
        self.finish = nn.Sequential(*_doubling(width, half), *_plain(half, half), nn.Conv2d(half, 3, 3, padding=1))

    def forward(self, images: Tensor, flow: Tensor | None = None, noise: float = 0) -> Tensor:
        """Return pictures like the ones given, moved.

        Args:
            images: (B, 3, S, S) normalised, S a multiple of 4.
            flow: (B, 2, s, s) displacements; None draws the pictures as they are.
            noise: deviation of what is added to the mean features that fill in what no pixel of the picture shows.

        Returns:
            (B, 3, S, S) normalised, of any range.
        """
        near, far = self.stem(images)
        if flow is not None:
            near = warp_by_flow(near, flow) + self.fill_near(_filling(near, noise))
            far = warp_by_flow(far, flow) + self.fill_far(_filling(far, noise))
        picture: Tensor = self.finish(torch.cat([near, self.grow(self.deform(far))], dim=1))
        return picture


class Renormaliser(nn.Module):
    """Take the identity out of a neutral face, or put it in: features normalised, then scaled and shifted by the code.

    Args:
        width: channels of the stem's last map.
        dim: length of a code.
        blocks: residual blocks.
    """

    def __init__(self, width: int, dim: int, blocks: int) -> None:
        super().__init__()
        half = width // 2
        self.take_out, self.put_in = (nn.Linear(dim, 2 * width) for _ in range(2))
        self.draw = nn.Sequential(
            *(ResidualBlock(width) for _ in range(blocks)),
            *(*_doubling(width, half), *_plain(half, half), *_doubling(half, half)),
            nn.Conv2d(half, 3, 1),
        )

    def forward(self, features: Tensor, code: Tensor, *, put_in: bool) -> Tensor:
        """Return the neutral faces of the codes' people, or without ``put_in`` faces of nobody.

        Args:
            features: (B, width, s, s), the stem's last map of neutral or mean faces.
            code: (B, dim) identity codes.
            put_in: the direction.

        Returns:
            (B, 3, 4 s, 4 s) normalised, of any range.
        """
        style = self.put_in(code) if put_in else self.take_out(code)
        scale, shift = style[:, :, None, None].chunk(2, dim=1)
        picture: Tensor = self.draw(F.instance_norm(features) * scale + shift)
        return picture


def _filling(features: Tensor, noise: float) -> Tensor:
    mean = features.mean((2, 3), keepdim=True).expand_as(features)
    return mean + noise * torch.randn_like(mean) if noise else mean


def _plain(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU()


def _doubling(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    return nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1), nn.ReLU()


def _double() -> nn.Upsample:
    return nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
