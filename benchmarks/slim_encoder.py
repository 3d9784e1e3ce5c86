"""Halve the channels of a ResNet-18, to begin a small encoder from.

    python benchmarks/slim_encoder.py votes-r18 runs/half-init

The half that stays is the one that counts most: by the scales of the batch norms that make a channel, times the norms
of the weights that read it. Distillation then makes good what was left out.
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor

from ferkit.encoders.backbones import build_backbone, feature_dim
from ferkit.encoders.encoder import load_encoder, save_encoder
from ferkit.encoders.registry import EncoderCard

HALF = "resnet18-half"


def slim_state(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a ResNet-18 with the better half of its channels, by the names of both."""
    slim, before = {}, None
    for stage in (1, 2, 3, 4):
        first = "conv1", "bn1"
        if stage > 1:
            first = f"layer{stage}.0.downsample.0", f"layer{stage}.0.downsample.1"
        norms = [first[1], *(f"layer{stage}.{block}.bn2" for block in (0, 1))]
        after = [f"layer{stage + 1}.0.{name}" for name in ("conv1", "downsample.0") if stage < 4]
        stream = _better_half(state, norms, [f"layer{stage}.1.conv1", *after])
        slim |= _layer(state, *first, before, stream)
        for block in (0, 1):
            name = f"layer{stage}.{block}"
            inner = _better_half(state, [f"{name}.bn1"], [f"{name}.conv2"])
            slim |= _layer(state, f"{name}.conv1", f"{name}.bn1", stream if block or before is None else before, inner)
            slim |= _layer(state, f"{name}.conv2", f"{name}.bn2", inner, stream)
        before = stream
    return slim


def _better_half(state: dict[str, Tensor], norms: list[str], readers: list[str]) -> Tensor:
    made = torch.stack([state[f"{name}.weight"].abs() for name in norms]).sum(0)
    read = torch.stack([state[f"{name}.weight"].square().sum((0, 2, 3)) for name in readers]).sum(0)
    return (made * read.sqrt()).topk(len(made) // 2).indices.sort().values


def _layer(state: dict[str, Tensor], conv: str, norm: str, before: Tensor | None, after: Tensor) -> dict[str, Tensor]:
    weight = state[f"{conv}.weight"][after]
    slim = {f"{conv}.weight": weight if before is None else weight[:, before]}
    for name in ("weight", "bias", "running_mean", "running_var"):
        slim[f"{norm}.{name}"] = state[f"{norm}.{name}"][after]
    return slim | {f"{norm}.num_batches_tracked": state[f"{norm}.num_batches_tracked"]}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("encoder")
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    large = load_encoder(given.encoder, "cpu")
    small = build_backbone(HALF)
    small.load_state_dict(slim_state(dict(large.backbone.state_dict())))
    card = {name: getattr(large.entry, name) for name in EncoderCard.model_fields}
    card |= {"name": given.out.name, "arch": HALF, "dim": feature_dim(small), "flip": False, "metrics": []}
    given.out.mkdir(parents=True)
    save_encoder(given.out, small.state_dict(), EncoderCard(**card))
