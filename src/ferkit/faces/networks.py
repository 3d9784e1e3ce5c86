"""The three networks of MTCNN (arXiv:1604.02878) with the weights that facenet-pytorch ships, folded for speed.

The function computed is that of facenet_pytorch.models.mtcnn.{PNet, RNet, ONet}. What differs is the form:

- pixels go in as they are, 0 to 255: (x - MID_GRAY) / 128 is folded into the first convolution;
- the first layer is widened with zero channels to a multiple of 16, the width that vector units work at;
- the two-class softmax became one logit (difference of the two), and all heads are one matrix product;
- pooling is maxima of slices, four times as fast on a CPU as max_pool2d in channels-last memory.
"""

import math
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from ferkit.errors import WeightsError

Weights = dict[str, Tensor]

MID_GRAY = 127.5
"""The value that the networks were trained to see as zero."""

_SCALE = 1 / 128
_LANES = 16


def proposal_network() -> nn.Sequential:
    """P-Net: a face of 12 px at every second pixel.

    Returns:
        (B, 3, H, W) RGB in 0..255, H and W even and at least 12 -> (B, 5, H/2 - 5, W/2 - 5): logit of "face",
        then the offsets of the box's corners (x0, y0, x1, y1) in shares of its 12 px side.
    """
    return _network("pnet", "conv1 pool2 conv2 conv3", ("conv4_1", "conv4_2"))


def refine_network() -> nn.Sequential:
    """R-Net: face or not, and a better box.

    Returns:
        (B, 3, 24, 24) RGB in 0..255 -> (B, 5): logit of "face" and the four offsets of the box.
    """
    return _network("rnet", "conv1 pool3 conv2 pool3 conv3 flatten dense4", ("dense5_1", "dense5_2"))


def output_network() -> nn.Sequential:
    """O-Net: face or not, the final box, five landmarks.

    Returns:
        (B, 3, 48, 48) RGB in 0..255 -> (B, 15): logit of "face", the four offsets of the box, then the landmarks'
        five x and five y in shares of the box (eyes, nose, mouth corners; the image's left one first).
    """
    layers = "conv1 pool3 conv2 pool3 conv3 pool2 conv4 flatten dense5"
    return _network("onet", layers, ("dense6_1", "dense6_2", "dense6_3"))


class MaxPool(nn.Module):
    """Max pooling of (B, C, H, W) by windows of 2 or 3 at stride 2, cut short at the border (``ceil_mode``)."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, x: Tensor) -> Tensor:
        """Pool."""
        return self._rows(self._rows(x).transpose(2, 3)).transpose(2, 3)

    def _rows(self, x: Tensor) -> Tensor:
        end = 2 * (math.ceil((x.shape[2] - self.side) / 2) + 1)
        highest = torch.maximum(x[:, :, 0:end:2], x[:, :, 1:end:2])
        if self.side == 3:
            third = x[:, :, 2 : end + 1 : 2]
            complete = highest[:, :, : third.shape[2]]
            torch.maximum(complete, third, out=complete)
        return highest


class FlattenColumns(nn.Module):
    """(B, C, H, W) -> (B, W*H*C), in the column-first order that the Matlab-trained dense layers expect."""

    def forward(self, x: Tensor) -> Tensor:
        """Flatten."""
        return x.permute(0, 3, 2, 1).flatten(1)


class DenseEverywhere(nn.Linear):
    """A 1x1 convolution, (B, C, H, W) channels-last -> (B, heads, H, W) planes: with so few heads, one product."""

    def forward(self, x: Tensor) -> Tensor:
        """Multiply."""
        batch, channels, height, width = x.shape
        columns = x.permute(1, 0, 2, 3).reshape(channels, -1)
        planes = torch.addmm(self.bias[:, None], self.weight, columns)
        return planes.view(-1, batch, height, width).transpose(0, 1)


def _network(name: str, layers: str, heads: Sequence[str]) -> nn.Sequential:
    """The network of layers by their names, each followed by the PReLU of its number, and of its heads in one."""
    weights = _fold_weights(name, heads)
    modules: list[nn.Module] = []
    for layer in layers.split():
        kind, number = layer.rstrip("12345"), layer[-1]
        if kind == "pool":
            modules.append(MaxPool(int(number)))
        elif kind == "flatten":
            modules.append(FlattenColumns())
        else:
            modules += [_layer(weights, layer), _layer(weights, f"prelu{number}")]
    network = nn.Sequential(*modules, _layer(weights, "heads")).eval().requires_grad_(False)
    return network.to(memory_format=torch.channels_last)


def _fold_weights(name: str, heads: Sequence[str]) -> Weights:
    """The network's weights with the three foldings of this module's docstring applied."""
    weights = _load_weights(name)
    weights["conv1.weight"] = weights["conv1.weight"] * _SCALE
    weights["conv1.bias"] = weights["conv1.bias"] - MID_GRAY * weights["conv1.weight"].sum(dim=(1, 2, 3))
    _widen_first_layer(weights)
    for part in ("weight", "bias"):
        face, *others = (weights[f"{head}.{part}"] for head in heads)
        weights[f"heads.{part}"] = torch.cat([face[1:] - face[:1], *others])
    return weights


def _load_weights(name: str) -> Weights:
    """Read a state dict out of facenet-pytorch's package data, without importing the package."""
    package = find_spec("facenet_pytorch")
    if package is None or package.origin is None:
        raise WeightsError("the face detector's weights are missing; install them with `pip install facenet-pytorch`")
    path = Path(package.origin).parent / "data" / f"{name}.pt"
    try:
        weights: Weights = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises whatever the damage leads to
        raise WeightsError(f"{str(path)!r} is missing or damaged; reinstall facenet-pytorch 2.5.3") from error
    return weights


def _widen_first_layer(weights: Weights) -> None:
    missing = -len(weights["conv1.bias"]) % _LANES
    weights["conv1.weight"] = pad(weights["conv1.weight"], (0, 0) * 3 + (0, missing))
    weights["conv1.bias"] = pad(weights["conv1.bias"], (0, missing))
    weights["prelu1.weight"] = pad(weights["prelu1.weight"], (0, missing))
    weights["conv2.weight"] = pad(weights["conv2.weight"], (0, 0) * 2 + (0, missing))


def _layer(weights: Weights, name: str) -> nn.Module:
    """A layer with its weights; what it is, their number of dimensions says."""
    outputs, *inputs = weights[f"{name}.weight"].shape
    layer: nn.Module
    if not inputs:
        layer = nn.PReLU(outputs)
    elif len(inputs) == 1:
        layer = nn.Linear(inputs[0], outputs)
    elif inputs[1:] == [1, 1]:
        layer = DenseEverywhere(inputs[0], outputs)
        weights[f"{name}.weight"] = weights[f"{name}.weight"][:, :, 0, 0]
    else:
        layer = nn.Conv2d(inputs[0], outputs, inputs[1])
    layer.load_state_dict({part: weights[f"{name}.{part}"] for part in layer.state_dict()})
    return layer
