"""Bring an encoder into a format that other programs read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ferkit.encoders.encoder import load_encoder
from ferkit.encoders.export import FORMATS, UnknownFormatError, described
from ferkit.encoders.export import export_encoder as export
from ferkit.errors import OutputError
from ferkit.faces.template import CROP_SIZE
from ferkit.progress import Progress

__all__ = ["ExportResult", "export_encoder"]


@dataclass(frozen=True)
class ExportResult:
    """What was written, and how near its vectors are to the encoder's own.

    Attributes:
        path: the file or folder.
        format: its format.
        encoder: name of the encoder.
        bytes: size of all that was written.
        input: what it takes.
        output: what it gives.
        crops: how many crops were compared with PyTorch, noise and smooth ones.
        difference: largest absolute difference of a component.
        cosine: least cosine between the two vectors of a crop.
    """

    path: Path
    format: str
    encoder: str
    bytes: int
    input: str
    output: str
    crops: int
    difference: float
    cosine: float


def export_encoder(
    encoder: str | Path, format: str = "onnx", out: str | Path | None = None, *, progress: Progress | None = None
) -> ExportResult:
    """Write an encoder with its whole input contract: face crops in, vectors of length 1 out.

    What was written is read again and must give the same vectors, or nothing is left.

    Args:
        encoder: a name of models.yaml, a run folder, a ``.safetensors`` file, or ``hf-hub:user/name[@revision]``.
        format: ``onnx``, ``openvino``, ``torchscript`` or ``safetensors``.
        out: the file, or for ``openvino`` and ``safetensors`` the folder; None names it after the encoder.
        progress: told how far weights are that must be fetched first.

    Raises:
        UnknownFormatError, UnknownEncoderError: no such format, no such encoder.
        InputError: what the format needs is not installed.
        WeightsError, HubError: the encoder cannot be loaded.
        ConversionError: the network cannot be converted, or gives other vectors then.
        OutputError: ``out`` is there, of the wrong ending, or cannot be written.
    """
    if format not in FORMATS:
        raise UnknownFormatError(format, FORMATS)
    suffix = FORMATS[format].suffix
    model = load_encoder(encoder, "cpu", progress)
    usual = f"{Path(model.name).name}{suffix or '-' + format}"
    path = Path(usual if out is None else out)
    _check_output(path, suffix, format, usual)
    parity = export(model, path, format, CROP_SIZE)
    told = described(model, CROP_SIZE)
    size = sum(file.stat().st_size for file in (path.iterdir() if path.is_dir() else [path]))
    return ExportResult(
        path,
        format,
        model.name,
        size,
        told["input"],
        told["output"],
        parity.crops,
        parity.difference,
        parity.cosine,
    )


def _check_output(path: Path, suffix: str, format: str, usual: str) -> None:
    if suffix and path.suffix != suffix:
        better = usual if path.name == suffix else path.name + suffix
        raise OutputError(f"a file of {format} is called NAME{suffix}, and {str(path)!r} is not; try {better!r}")
    if path.exists():
        raise OutputError(f"{str(path)!r} is there already; remove it or choose another output")
