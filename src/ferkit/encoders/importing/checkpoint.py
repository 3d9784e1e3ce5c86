"""Reading checkpoints of others: tensors and plain values only, never a pickle's code."""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, cast

import torch
from torch import Tensor

from ferkit.encoders.hashes import sha256_of
from ferkit.encoders.weights import load_weights
from ferkit.errors import InputError, MissingPathError, WeightsError

_HARMLESS = re.compile(r"[\w./ -]+")  # between the quotes of a shell


@dataclass(frozen=True)
class Checkpoint:
    """What a file of weights holds that matters here."""

    tensors: dict[str, Tensor]  # by name, as the file has them; floating-point ones as float32
    arch: str | None  # the network's name, where the file states one
    sha256: str  # of the file


def read_checkpoint(path: Path, holders: Sequence[str] = ("state_dict",)) -> Checkpoint:
    """Read a .safetensors file, or one of ``torch.save`` with ``weights_only=True``: no code in it is ever run.

    Args:
        path: the file, of any ending.
        holders: names under which the tensors may be, the first that is there is taken; a file of nothing but tensors
            is taken as it is.

    Raises:
        MissingPathError: there is no such file.
        InputError: it is a folder.
        WeightsError: the file is damaged, holds other objects than tensors and plain values, or no tensors.
    """
    if path.is_dir():
        raise InputError(f"{str(path)!r} is a folder; give the file of weights in it")
    if not path.is_file():
        raise MissingPathError(path, "give the file of weights to import")
    if path.suffix == ".safetensors":
        return Checkpoint(load_weights(path), None, sha256_of(path))
    content = _load_pickle(path, holders)
    tensors = _tensors_in(content, holders, path)
    arch = content.get("arch")
    return Checkpoint(tensors, arch if isinstance(arch, str) else None, sha256_of(path))


def _load_pickle(path: Path, holders: Sequence[str]) -> Mapping[str, Any]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        if not (objects := _unsafe_objects(path, error)):
            raise WeightsError(_damage_words(path)) from error
        file = str(path) if _HARMLESS.fullmatch(str(path)) else "FILE"
        raise WeightsError(
            f"{str(path)!r} holds more than tensors ({objects}), and opening that can run code, so it stays closed; if "
            f'you trust whoever made it, run once: python -c "import torch; c = torch.load({file!r}, '
            f"map_location='cpu', weights_only=False); torch.save({{k: c[k] for k in {('arch', *holders)} if k in c}}, "
            "'tensors.pth')\" and import tensors.pth"
        ) from error
    except Exception as error:  # what damaged bytes raise inside torch.load has no common type
        raise WeightsError(_damage_words(path)) from error
    if not isinstance(content, Mapping):
        raise WeightsError(f"{str(path)!r} holds no tensors with names; save a network's state_dict() and import that")
    return cast(Mapping[str, Any], content)


def _unsafe_objects(path: Path, error: UnpicklingError) -> str:
    """Names of what `torch.load` refused to build; "" where the file is damaged instead."""
    with suppress(Exception):  # only files of the zip form can be listed
        if names := torch.serialization.get_unsafe_globals_in_checkpoint(path):
            return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
    return "objects of other classes" if "Unsupported" in str(error) or "GLOBAL" in str(error) else ""


def _tensors_in(content: Mapping[str, Any], holders: Sequence[str], path: Path) -> dict[str, Tensor]:
    state = next((content[name] for name in holders if isinstance(content.get(name), Mapping)), content)
    tensors = {str(name): value for name, value in state.items() if isinstance(value, Tensor)}
    if not tensors or (state is content and len(tensors) < len(content)):
        names = ", ".join(repr(str(name)) for name in list(content)[:6]) or "nothing"
        expected = " or ".join(repr(name) for name in holders)
        raise WeightsError(f"{str(path)!r} has no tensors under {expected}, but {names}; is --from right?")
    return {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}


def _damage_words(path: Path) -> str:
    return f"{str(path)!r} is no file of torch.save or is damaged; fetch it again"
