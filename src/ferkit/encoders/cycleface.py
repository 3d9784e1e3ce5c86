"""The encoder of CycleFace (Chang, Chen & Chiu, ICCV 2021, arXiv:2108.03427), by the layers of the authors' code."""

import torch.nn.functional as F
from torch import Tensor, nn

SLOPE = 0.1
"""Of all leaky ReLUs."""

CODE = 256
"""Length of a code."""

_STRIDE = 16
_MAP = 128
"""Channels of the map before the code."""


def convolution(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """A convolution that keeps the size but for its stride, and a leaky ReLU."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2), nn.LeakyReLU(SLOPE))


class ChannelAttention(nn.Module):
    """Add to each pixel a mixture of what the channels find in the whole map (double attention, arXiv:1810.11579)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.what, self.where, self.which = (nn.Conv2d(width, width, 1) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        where = self.where(x).flatten(2).softmax(2)
        descriptions = self.what(x).flatten(2) @ where.mT  # (B, C, C): of what lies where each channel looks
        mixed = descriptions @ self.which(x).flatten(2).softmax(1)
        return F.leaky_relu(x + mixed.view(x.shape), SLOPE)


class ResidualBlock(nn.Module):
    """Two convolutions beside the identity, without batch norm."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(convolution(width, width), nn.Conv2d(width, width, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        return F.leaky_relu(x + self.inner(x), SLOPE)


class CycleFaceEncoder(nn.Module):
    """Faces to codes in [-1, 1], or to the map that the codes are made of.

    Args:
        input_size: S, side of the images in pixels; it decides the shape of the code's weights, not of the map's.
        code: give (B, 256) codes; False gives the (B, 128 * ceil(S / 16)**2) map in front of them, and holds the same
            weights but the code's.
    """

    def __init__(self, input_size: int = 64, *, code: bool = True) -> None:
        super().__init__()
        self.map = nn.Sequential(
            *(convolution(3, 64, 7, 2), convolution(64, 64)),
            *(convolution(64, 64), ChannelAttention(64), convolution(64, 64)),
            *(convolution(64, 128, stride=2), ChannelAttention(128), convolution(128, 128)),
            *(ResidualBlock(128), ResidualBlock(128)),
            *(convolution(128, 128, stride=2), convolution(128, 128)),
            *(convolution(128, 256, stride=2), convolution(256, 256)),
            *(convolution(256, 256), convolution(256, _MAP)),
        )
        self.num_features = _MAP * (-(-input_size // _STRIDE)) ** 2
        self.code = nn.Sequential()
        if code:
            wide = nn.Linear(self.num_features, 512)
            self.code = nn.Sequential(wide, nn.LeakyReLU(SLOPE), nn.Linear(512, CODE), nn.Tanh())
            self.num_features = CODE
        self.apply(kaiming)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, S, S) normalised images -> (B, D)."""
        # An explicit order: with channels_last the flattened map would be another vector.
        features: Tensor = self.code(self.map(x).contiguous().flatten(1))
        return features


def kaiming(module: nn.Module) -> None:
    """Draw a layer's weights as the authors do: by the outputs of a convolution, small for a linear layer."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    elif isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=0.01)
    else:
        return
    if module.bias is not None:
        nn.init.zeros_(module.bias)
