"""ResNets (arXiv:1512.03385) without timm and torchvision, which take longer to import than torch.

Layers have the names that they have there, weights load, and the features are the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn


class ResNet(nn.Module):
    """Maps (B, 3, S, S) images to (B, D) pooled features.

    Args:
        block: what the four stages are made of.
        depths: blocks of each stage.
        width: channels of the first stage; each stage has twice those of the one before.
        quarters: leave out the last stage, and pool the second and third over each quarter of the image in place of the
            whole. D is then four times their channels; features still tell where something is and what it is made of.
    """

    pretrained_cfg: ClassVar[Mapping[str, Any]] = {"classifier": "fc"}

    def __init__(
        self,
        block: type[_Block | _Bottleneck],
        depths: tuple[int, int, int, int],
        width: int = 64,
        *,
        quarters: bool = False,
    ) -> None:
        super().__init__()
        self.conv1, self.bn1 = _convolution(3, width, 7, 2)
        self.act1 = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        first, widths = width, []
        for stage, depth in enumerate(depths[:3] if quarters else depths):
            blocks = []
            for number in range(depth):
                blocks.append(block(width, first << stage, stride=2 if stage and not number else 1))
                width = (first << stage) * block.expansion
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))
            widths.append(width)
        self.pooled = widths[1:] if quarters else widths[-1:]
        self.num_features = sum(self.pooled) * (4 if quarters else 1)
        self.global_pool = nn.AdaptiveAvgPool2d(2 if quarters else 1)
        self.fc: nn.Module = nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        """Return the features."""
        stages = [self.maxpool(self.act1(self.bn1(self.conv1(images))))]
        for name, stage in self.named_children():
            if name.startswith("layer"):
                stages.append(stage(stages[-1]))
        last = stages[-len(self.pooled) :]
        pooled: Tensor = self.fc(torch.cat([self.global_pool(stage).flatten(1) for stage in last], 1))
        return pooled

    def reset_classifier(self, outputs: int) -> None:
        """Put a new linear layer on the features, as timm's networks do."""
        self.fc = nn.Linear(self.num_features, outputs)


class _Block(nn.Module):
    """Two convolutions of 3 x 3 and the way around them."""

    expansion = 1

    def __init__(self, width: int, planes: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = _convolution(width, planes, 3, stride)
        self.act1 = nn.ReLU(inplace=True)
        self.conv2, self.bn2 = _convolution(planes, planes, 3)
        self.act2 = nn.ReLU(inplace=True)
        self.downsample = _around(width, planes, stride)

    def forward(self, images: Tensor) -> Tensor:
        """Return the images with the residual added."""
        residual = self.bn2(self.conv2(self.act1(self.bn1(self.conv1(images)))))
        total: Tensor = self.act2(residual + (images if self.downsample is None else self.downsample(images)))
        return total


class _Bottleneck(nn.Module):
    """Convolutions of 1 x 1, 3 x 3 and 1 x 1, and the way around them."""

    expansion = 4

    def __init__(self, width: int, planes: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = _convolution(width, planes, 1)
        self.act1 = nn.ReLU(inplace=True)
        self.conv2, self.bn2 = _convolution(planes, planes, 3, stride)
        self.act2 = nn.ReLU(inplace=True)
        self.conv3, self.bn3 = _convolution(planes, 4 * planes, 1)
        self.act3 = nn.ReLU(inplace=True)
        self.downsample = _around(width, 4 * planes, stride)

    def forward(self, images: Tensor) -> Tensor:
        """Return the images with the residual added."""
        inner = self.act2(self.bn2(self.conv2(self.act1(self.bn1(self.conv1(images))))))
        residual = self.bn3(self.conv3(inner))
        total: Tensor = self.act3(residual + (images if self.downsample is None else self.downsample(images)))
        return total


def _convolution(width: int, planes: int, side: int, stride: int = 1) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    convolution = nn.Conv2d(width, planes, side, stride=stride, padding=side // 2, bias=False)
    return convolution, nn.BatchNorm2d(planes)


def _around(width: int, planes: int, stride: int) -> nn.Sequential | None:
    return None if stride == 1 and width == planes else nn.Sequential(*_convolution(width, planes, 1, stride))


RESNETS: Mapping[str, tuple[type[_Block | _Bottleneck], tuple[int, int, int, int]]] = {
    "resnet18": (_Block, (2, 2, 2, 2)),
    "resnet34": (_Block, (3, 4, 6, 3)),
    "resnet50": (_Bottleneck, (3, 4, 6, 3)),
    "resnet101": (_Bottleneck, (3, 4, 23, 3)),
}
"""By timm's names."""
