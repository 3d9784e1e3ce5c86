"""Weights on disk: safetensors only, hashed before they are used, written whole or not at all."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load as parse_safetensors
from safetensors.torch import save as to_safetensors
from torch import Tensor, nn

from ferkit.atomic import atomic_path
from ferkit.encoders.hashes import check_sha256, sha256_of
from ferkit.encoders.registry import PICKLED
from ferkit.errors import WeightsError

_METADATA = "ferkit"  # one key: safetensors writes several in any order


def check_format(path: Path) -> None:
    """Refuse anything but safetensors, by the file's ending.

    Raises:
        WeightsError: another ending.
    """
    if path.suffix in PICKLED:
        raise WeightsError(
            f"{str(path)!r} is a pickle, which can run code when it is opened, so ferkit never does; "
            "convert it with safetensors.torch.save_file"
        )
    if path.suffix != ".safetensors":
        raise WeightsError(f"{str(path)!r} is not a .safetensors file; ferkit reads no other weights")


def load_weights(path: Path, expected_sha256: str | None = None) -> dict[str, Tensor]:
    """Read a safetensors file into CPU tensors; floating-point ones become float32.

    The bytes that are hashed are the bytes that are used: the file is read once.

    Args:
        path: a ``.safetensors`` file.
        expected_sha256: 64 hexadecimal digits; None takes the file as it is.

    Raises:
        WeightsError: missing, another format, another hash, or damaged.
    """
    check_format(path)
    data = _read(path)
    if expected_sha256 is not None:
        check_sha256(path, sha256_of(data), expected_sha256)
    try:
        state = parse_safetensors(data)
    except SafetensorError as error:
        raise WeightsError(f"{str(path)!r} is damaged ({error}); fetch or train it again") from error
    state = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in state.items()}
    for name, tensor in state.items():  # a sum is quicker, and finite only where all of it is
        if not tensor.sum().isfinite() and not tensor.isfinite().all():
            raise WeightsError(f"{str(path)!r} holds NaN or infinity in {name!r}; fetch or train it again")
    return state


def read_metadata(path: Path) -> str:
    """Return the text that `save_weights` wrote beside the tensors of a file; empty where it wrote none."""
    with safe_open(path, "pt") as file:
        return str((file.metadata() or {}).get(_METADATA, ""))


def save_weights(state: Mapping[str, Tensor], path: Path, *, half: bool = True, metadata: str | None = None) -> str:
    """Write tensors, and a text beside them, to ``path`` as safetensors and return the file's SHA-256.

    Args:
        state: tensors on any device.
        path: of the file.
        half: as `serialize`.
        metadata: a text for `read_metadata`.

    Raises:
        WeightsError: a tensor holds NaN or infinity.
        OutputError: the file cannot be written; what was there is unchanged.
    """
    data = serialize(state, half=half, metadata=metadata)
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)
    return sha256_of(data)


def serialize(state: Mapping[str, Tensor], *, half: bool = True, metadata: str | None = None) -> bytes:
    """Return the safetensors form of ``state``; equal tensors give equal bytes.

    Args:
        state: tensors on any device.
        half: store matrices and kernels as float16. Vectors stay float32: they weigh nothing, and a batch norm's
            variance of 1e-7 would lose its digits.
        metadata: a text to keep beside the tensors.

    Raises:
        WeightsError: a tensor holds NaN or infinity, before or after it was shortened.
    """
    stored = {name: _to_storage(tensor, half) for name, tensor in state.items()}
    for name, tensor in stored.items():
        if not torch.isfinite(tensor).all():
            raise WeightsError(
                f"the weights {name!r} hold NaN or infinity, so they are not saved; did training diverge?"
            )
    return to_safetensors(stored, None if metadata is None else {_METADATA: metadata})


def _to_storage(tensor: Tensor, half: bool) -> Tensor:
    tensor = tensor.detach().cpu()
    if half and tensor.is_floating_point() and tensor.ndim > 1:
        tensor = tensor.half()
    return tensor.contiguous()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        why = error.strerror or error
        raise WeightsError(f"cannot read the weights {str(path)!r} ({why}); install or train them again") from error


def misfits(module: nn.Module, state: Mapping[str, Tensor]) -> list[tuple[str, str, str]]:
    """Return what keeps a state dict from being loaded: (name, shape in the module, shape in the state), by name.

    A tensor that one of them lacks has the shape "absent".
    """
    expected = {name: str(tuple(tensor.shape)) for name, tensor in module.state_dict().items()}
    actual = {name: str(tuple(tensor.shape)) for name, tensor in state.items()}
    names = sorted(name for name in expected.keys() | actual.keys() if expected.get(name) != actual.get(name))
    return [(name, expected.get(name, "absent"), actual.get(name, "absent")) for name in names]
