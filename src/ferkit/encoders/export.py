"""Encoders in formats that other programs read: written, read again, and compared before they are kept."""

from __future__ import annotations

import io
import json
import warnings
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from ferkit._version import __version__
from ferkit.atomic import atomic_path
from ferkit.encoders.encoder import Encoder, load_encoder, save_encoder
from ferkit.encoders.export_module import CropGraph
from ferkit.encoders.registry import CROP_SIDE, EncoderCard
from ferkit.encoders.runtimes import Runtime, require_installed
from ferkit.encoders.runtimes.engines import Compute, open_onnx, open_openvino, write_onnx, write_openvino
from ferkit.encoders.runtimes.onnx_model import export_onnx, without_sources
from ferkit.encoders.runtimes.parity import Parity, parity_of, require_parity, sample_crops
from ferkit.errors import OutputError, UnknownNameError
from ferkit.progress import Progress

if TYPE_CHECKING:
    from onnx import ModelProto

_COMPARED = 32


class Format(NamedTuple):
    """How one format is written and read again.

    ``suffix`` is of the file, and empty for a folder; ``runtime`` must be installed.
    """

    suffix: str
    runtime: Runtime
    write: Callable[[Encoder, int, Path], None]
    open: Callable[[Path], Compute]


@dataclass(frozen=True)
class ExportResult:
    """What was written, and how near its vectors are to the encoder's own."""

    path: Path  # the file or folder
    format: str  # its format
    encoder: str  # name of the encoder
    bytes: int  # size of all that was written
    input: str  # what it takes
    output: str  # what it gives
    crops: int  # how many crops were compared with PyTorch, noise and smooth ones
    difference: float  # largest absolute difference of a component
    cosine: float  # least cosine between the two vectors of a crop


def export_encoder(
    encoder: str | Path,
    format: str = "onnx",
    out: str | Path | None = None,
    *,
    side: int = CROP_SIDE,
    progress: Progress | None = None,
) -> ExportResult:
    """Write an encoder with its whole input contract: face crops in, vectors of length 1 out.

    What was written is read again and must give the same vectors, or nothing is left.

    Args:
        encoder: a name of models.yaml, a run folder, a ``.safetensors`` file, or ``hf-hub:user/name[@revision]``.
        format: ``onnx``, ``openvino``, ``torchscript`` or ``safetensors``.
        out: the file, or for ``openvino`` and ``safetensors`` the folder; None names it after the encoder.
        side: of the crops that it will be given, in pixels.
        progress: told how far weights are that must be fetched first.

    Raises:
        UnknownNameError: no such format, or no such encoder.
        InputError: what the format needs is not installed.
        WeightsError, HubError: the encoder cannot be loaded.
        ConversionError: the network cannot be converted, or gives other vectors then.
        OutputError: ``out`` is there, of the wrong ending, or cannot be written.
    """
    if format not in FORMATS:
        raise UnknownNameError(format, FORMATS, "format")
    suffix = FORMATS[format].suffix
    model = load_encoder(encoder, "cpu", progress)
    usual = f"{Path(model.name).name}{suffix or '-' + format}"
    path = Path(usual if out is None else out)
    _check_output(path, suffix, format, usual)
    parity = write_export(model, path, format, side)
    size = sum(file.stat().st_size for file in (path.iterdir() if path.is_dir() else [path]))
    takes, gives = (export_metadata(model, side)[name] for name in ("input", "output"))
    return ExportResult(path, format, model.name, size, takes, gives, parity.crops, parity.difference, parity.cosine)


def write_export(encoder: Encoder, path: Path, format: str, side: int) -> Parity:
    """Write an encoder in another format; nothing is left where it does not give the same vectors.

    The encoder is on the CPU, and what is at the path is replaced; ``format`` is of `FORMATS`, and crops have ``side``
    pixels a side.

    Returns:
        How far the vectors of what was written are from the encoder's own.

    Raises:
        InputError: what writes the format is not installed.
        ConversionError: the network cannot be converted, or gives other vectors then.
        OutputError: it cannot be written.
    """
    kind = FORMATS[format]
    require_installed(kind.runtime)
    with atomic_path(path) as partial:
        kind.write(encoder, side, partial)
        parity = parity_of(encoder, kind.open(partial), sample_crops(_COMPARED, side))
        require_parity(parity, f"{encoder.name!r} as {format}")
    return parity


def onnx_of(encoder: Encoder, side: int) -> ModelProto:
    """Return the encoder as ONNX, with what it is in its metadata.

    Raises:
        ConversionError: PyTorch's exporter cannot handle the network.
    """
    import onnx

    model = without_sources(export_onnx(CropGraph(encoder, side), side))
    onnx.helper.set_model_props(model, export_metadata(encoder, side))
    return model


def export_metadata(encoder: Encoder, side: int) -> dict[str, str]:
    """Return what an exported file says of itself."""
    licences = encoder.entry.licences
    return {
        "name": encoder.name,
        "sha256": encoder.sha256,
        "input": f"(N, {side}, {side}, 3) uint8 RGB, aligned to {encoder.crop}",
        "output": f"(N, {encoder.dim}) float32, rows of length 1",
        "licences": "not stated" if licences is None else json.dumps(licences.model_dump()),
        "ferkit": __version__,
    }


def _check_output(path: Path, suffix: str, format: str, usual: str) -> None:
    if suffix and path.suffix != suffix:
        better = usual if path.name == suffix else path.name + suffix
        raise OutputError(f"a file of {format} is called NAME{suffix}, and {str(path)!r} is not; try {better!r}")
    if path.exists():
        raise OutputError(f"{str(path)!r} is there already; remove it or choose another output")


def _write_torchscript(encoder: Encoder, side: int, path: Path) -> None:
    example = torch.zeros((2, side, side, 3), dtype=torch.uint8)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch would rather have torch.export, which this format is not
        graph = CropGraph(encoder, side)
        traced = torch.jit.trace(graph, (example,), check_trace=False)  # type: ignore[no-untyped-call]
        content = io.BytesIO()  # torch's own writer would end the process on a full disk
        torch.jit.save(traced, content, _extra_files=export_metadata(encoder, side))
    path.write_bytes(_without_sources(content))


def _without_sources(content: io.BytesIO) -> bytes:
    """A TorchScript archive without its debug records, which hold the lines of Python it came of, and their paths."""
    slim = io.BytesIO()
    with zipfile.ZipFile(content) as whole, zipfile.ZipFile(slim, "w") as rest:
        for member in whole.infolist():
            if not member.filename.endswith(".debug_pkl"):
                rest.writestr(zipfile.ZipInfo(member.filename), whole.read(member))
    return slim.getvalue()


def _open_torchscript(path: Path) -> Compute:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = torch.jit.load(str(path))  # type: ignore[no-untyped-call]  # nor is trace typed, above

    @torch.inference_mode()
    def compute(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        vectors: NDArray[np.float32] = module(torch.from_numpy(crops)).numpy()
        return vectors

    return compute


def _write_safetensors(encoder: Encoder, side: int, folder: Path) -> None:
    folder.mkdir()
    state = encoder.backbone.state_dict()
    kernels = (tensor for tensor in state.values() if tensor.is_floating_point() and tensor.ndim > 1)
    half = all(torch.equal(kernel, kernel.half().float()) for kernel in kernels)
    card = EncoderCard(**{name: getattr(encoder.entry, name) for name in EncoderCard.model_fields})
    save_encoder(folder, state, card, center=encoder.center, projection=encoder.projection, half=half)


FORMATS: Mapping[str, Format] = {
    "onnx": Format(
        ".onnx",
        "onnx",
        lambda encoder, side, path: write_onnx(onnx_of(encoder, side), path),
        lambda path: open_onnx(path, 1),
    ),
    "openvino": Format(
        "",
        "openvino",
        lambda encoder, side, folder: write_openvino(onnx_of(encoder, side), folder),
        lambda path: open_openvino(path, 1),
    ),
    "torchscript": Format(".pt", "torch", _write_torchscript, _open_torchscript),
    # Resolved, since a relative path may look like a name on the hub.
    "safetensors": Format("", "torch", _write_safetensors, lambda path: load_encoder(path.resolve(), "cpu").embed),
}
"""By name. A folder of safetensors is what a run of `ferkit pretrain` leaves, and `load_encoder` takes."""
