"""The networks of CycleFace beside its encoder (arXiv:2108.03427), by the layers of its authors' code; VGG-19."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ferkit.encoders.cycleface import ChannelAttention, ResidualBlock, convolution, kaiming
from ferkit.encoders.weights import load_weights
from ferkit.errors import FerkitError, TrainingError
from ferkit.ops.flows import back_flow, warp_by_flow

_REPOSITORY, _FILE = "timm/vgg19.tv_in1k", "model.safetensors"

STEM_WIDTH = 256
"""Channels that VGG-19's third block has, and so the generator."""

_FLOW_WIDTH = 256
_FLOW_STD = 0.05


class VggLayers(nn.Module):
    """Convolutions with ReLU in the order of VGG-19 (Simonyan & Zisserman, arXiv:1409.1556); gives maps of some.

    Args:
        depth: the last block, 1 to 4, of which only the first convolution is there.
        taps: blocks whose first map is given, rising.
        width: channels of the first block; the next ones double them. VGG-19 has 64.
    """

    def __init__(self, depth: int, taps: Sequence[int], width: int = 64) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        self.places: list[int] = []
        inputs = 3
        for block in range(1, depth + 1):
            outputs = width << (block - 1)
            for number in range(1 if block == depth else (2 if block < 3 else 4)):
                layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU()]
                inputs = outputs
                if number == 0 and block in taps:
                    self.places.append(len(layers) - 1)
            if block < depth:
                layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, 3, S, S) normalised images -> a (B, C, s, s) map for each tap."""
        maps = []
        for place, layer in enumerate(self.features):
            x = layer(x)
            if place in self.places:
                maps.append(x)
        return maps


def load_imagenet(network: VggLayers) -> VggLayers:
    """Give a network of width 64 timm's weights of ``vgg19.tv_in1k`` and freeze it.

    They come from the Hugging Face Hub, or from its cache on this machine.

    Raises:
        TrainingError: they cannot be had; says how to do without.
    """
    from ferkit.encoders.hub import HubRepo, fetch  # the hub's client loads only where something is asked of the hub

    try:
        weights = load_weights(fetch(HubRepo(_REPOSITORY), _FILE).path)
    except (FerkitError, OSError) as error:
        raise TrainingError(
            f"the ImageNet weights of VGG-19 ({_REPOSITORY}) cannot be had here ({error}); set perceptual=0 and "
            "stem=learned to do without them"
        ) from error
    network.load_state_dict({name: weights[name] for name in network.state_dict()})
    return network.requires_grad_(False)


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
        stem: gives maps of two blocks, of width / 2 channels and of width.
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
