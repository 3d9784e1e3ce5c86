"""From the names of an origin to those of timm, and to the one network whose shapes they have."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isqrt

import timm
import torch
from torch import Tensor, nn

from ferkit.encoders.backbones import classifier_prefixes, feature_dim, outline_backbone
from ferkit.encoders.importing.origins import Origin
from ferkit.encoders.weights import misfits
from ferkit.errors import WeightsError

CANDIDATES: Mapping[str, tuple[str, ...]] = {
    "conv1.weight": (*(f"resnet{depth}" for depth in (18, 34, 50, 101, 152)), "wide_resnet50_2", "resnext50_32x4d"),
    "conv1.0.weight": ("resnet10t", "resnet50d"),
    "cls_token": (
        *(f"vit_{size}_patch16_224" for size in ("tiny", "small", "base", "large")),
        *(f"vit_{size}_patch14_dinov2" for size in ("small", "base", "large")),
        *("vit_small_patch8_224", "vit_base_patch8_224", "vit_small_patch32_224", "vit_base_patch32_224"),
    ),
    "stem.0.weight": tuple(f"convnext_{size}" for size in ("tiny", "small", "base")),
    "conv_stem.weight": ("efficientnet_b0", "mobilenetv3_large_100", "mobilenetv3_small_100"),
    "patch_embed.norm.weight": ("swin_tiny_patch4_window7_224",),
}
"""Networks of timm that are told apart by shape where none is named: by a tensor that all of a family have."""

_WRAPPERS = frozenset({"module", "_orig_mod"})  # DistributedDataParallel and torch.compile
_SHOWN = 3


@dataclass(frozen=True)
class FittedNetwork:
    """Tensors that a network of `build_backbone` takes.

    ``state`` is all that the network takes; ``dropped`` counts the classifier's tensors that were left out, by name.
    """

    arch: str
    input_size: int
    dim: int
    state: dict[str, Tensor]
    dropped: dict[str, int]


def take_encoder(tensors: Mapping[str, Tensor], origin: Origin) -> tuple[dict[str, Tensor], dict[str, int]]:
    """Return the encoder's tensors under the names of timm, and how many others there are, by their names' first part.

    Raises:
        WeightsError: no name begins as the origin's do; says how they begin.
    """
    plain = {".".join(part for part in name.split(".") if part not in _WRAPPERS): tensors[name] for name in tensors}
    prefix = next((start for start in origin.prefixes if any(name.startswith(start) for name in plain)), None)
    if prefix is None:
        starts = ", ".join(repr(start) for start in sorted({name.split(".")[0] for name in plain})[:6])
        expected = " or ".join(repr(start) for start in origin.prefixes)
        raise WeightsError(f"no tensor's name begins with {expected}; they begin with {starts}: is --from right?")
    own = {name: tensor for name, tensor in plain.items() if name.startswith(prefix)}
    dropped = Counter(name.split(".")[0] for name in plain if name not in own)
    renamed = {_rename(name.removeprefix(prefix), origin.renames): tensor for name, tensor in own.items()}
    return renamed, dict(dropped)


def networks_to_try(
    state: Mapping[str, Tensor], origin: Origin, arch: str | None = None, stated: str | None = None
) -> tuple[str, ...]:
    """Return the names of the networks that tensors may be of.

    ``arch`` is what the user says, then it is that one; ``stated`` what the file says, tried first if timm has it.

    Raises:
        WeightsError: the tensors' names are of no family in CANDIDATES, and nobody says what they are of.
    """
    if (only := arch or origin.arch) is not None:
        return (only,)
    first = [stated] if stated is not None and stated in timm.list_models() else []
    archs = dict.fromkeys([*first, *(name for mark, names in CANDIDATES.items() if mark in state for name in names)])
    if not archs:
        examples = ", ".join(repr(name) for name in sorted(state)[:_SHOWN])
        raise WeightsError(
            f"names such as {examples} are of no network that is recognised; name the one of timm with --arch"
        )
    return tuple(archs)


def fit_network(
    state: Mapping[str, Tensor], origin: Origin, archs: Sequence[str], input_size: int | None = None
) -> FittedNetwork:
    """Return the tensors for the first of these networks that takes them all, classifier left out.

    Without ``input_size`` it is read off a transformer's position embedding, whose length depends on it, and is the
    origin's for other networks.

    Raises:
        UnknownBackboneError: timm has no network of one of the names.
        WeightsError: no network fits; says which comes nearest and what does not fit. Or the shapes fit and the network
            is known to be another.
    """
    size = input_size or _embedded_size(state) or origin.input_size
    misfits_of: dict[str, list[tuple[str, str, str]]] = {}
    for arch in archs:
        network = outline_backbone(arch, size)
        kept, dropped = _without_heads(state, network, origin.spare)
        # Files of before 2018 lack the batch counters, on which no output depends.
        kept = {name: torch.tensor(0) for name in network.state_dict() if name.endswith(".num_batches_tracked")} | kept
        if not (wrong := misfits(network, kept)):
            _refuse_other_heads(arch, kept)
            return FittedNetwork(arch, size, feature_dim(network), kept, dropped)
        misfits_of[arch] = wrong
    nearest = min(misfits_of, key=lambda arch: len(misfits_of[arch]))
    raise WeightsError(_no_fit(nearest, misfits_of[nearest], choice=len(misfits_of)))


def _rename(name: str, renames: Sequence[tuple[str, str]]) -> str:
    for pattern, replacement in renames:
        name = re.sub(pattern, replacement, name)
    return name


def _embedded_size(state: Mapping[str, Tensor]) -> int | None:
    """Side in pixels of the square images that a position embedding belongs to; None without one."""
    positions, kernel = state.get("pos_embed"), state.get("patch_embed.proj.weight")
    if positions is None or kernel is None or positions.ndim != 3 or kernel.ndim != 4:
        return None
    # One position may be the class token's; the others are a square grid of patches.
    for patches in (positions.shape[1] - 1, positions.shape[1]):
        if patches > 0 and isqrt(patches) ** 2 == patches:
            return isqrt(patches) * kernel.shape[-1]
    return None


def _without_heads(
    state: Mapping[str, Tensor], network: nn.Module, spare: tuple[str, ...]
) -> tuple[dict[str, Tensor], dict[str, int]]:
    """Leave out what belongs to the layers that timm puts after the features, and what the origin can do without."""
    heads = (*spare, *classifier_prefixes(network))
    names = network.state_dict().keys()
    extra = {name for name in state if name not in names and name.startswith(heads)}
    kept = {name: tensor for name, tensor in state.items() if name not in extra}
    return kept, dict(Counter(name.split(".")[0] for name in extra))


def _refuse_other_heads(arch: str, state: Mapping[str, Tensor]) -> None:
    """Refuse the small transformers of MoCo v3, here and in MMSelfSup and solo-learn: equal shapes, another network."""
    # Theirs alone have a fixed position embedding, in which the class token's place is zero.
    positions = state.get("pos_embed")
    if arch.startswith("vit_small_") and positions is not None and not positions[:, 0].any():
        raise WeightsError(
            f"the shapes fit {arch!r}, but the position embedding is that of MoCo v3, whose small transformer has 12 "
            "heads of attention where timm's has 6: no network of timm computes what it does; take its base or a ResNet"
        )


def _no_fit(arch: str, wrong: Sequence[tuple[str, str, str]], *, choice: int) -> str:
    examples = "; ".join(f"{name!r} should be {expected} and is {actual}" for name, expected, actual in wrong[:_SHOWN])
    more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
    if choice == 1:
        return f"the weights do not fit {arch!r}: {examples}{more}; check --from, --arch and --input-size"
    return (
        f"the weights fit none of the {choice} networks that are tried, nearest is {arch!r}: {examples}{more}; name "
        "the right one of timm with --arch"
    )
