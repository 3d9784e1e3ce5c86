"""Which runtime computes the vectors: chosen, converted once for each encoder, and announced."""

import hashlib
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from ferkit._version import __version__
from ferkit.atomic import atomic_path
from ferkit.data.cache_folder import cache_folder
from ferkit.encoders.encoder import Encoder
from ferkit.encoders.export_module import contract_digest
from ferkit.encoders.hashes import sha256_of
from ferkit.encoders.runtimes import (
    CONVERTED,
    FLOAT32,
    INT8,
    PRECISIONS,
    RUNTIMES,
    ConversionError,
    Runtime,
    is_installed,
    require_installed,
)
from ferkit.errors import InputError, OutputError, UnknownNameError
from ferkit.pipeline.face_stream import FaceStream
from ferkit.pipeline.fingerprint import digest
from ferkit.progress import Progress

AUTOMATIC_FROM = 2000
"""Pictures or faces from which on a converted encoder is worth its first conversion, of some seconds."""

_CALIBRATED_ON = 300
_LEAST_CALIBRATION = 100
_COMPARED = 32


class Embedder(Protocol):
    """What computes vectors: an `Encoder`, or a `ConvertedEncoder`."""

    def embed(self, crops: NDArray[np.uint8], *, batch_size: int = 64) -> NDArray[np.float32]:
        """Return the (N, D) vectors of length 1 of (N, H, W, 3) uint8 RGB crops."""


@dataclass(frozen=True)
class RuntimeChoice:
    """What shall compute."""

    runtime: Runtime  # its name
    precision: str  # ``float32`` or ``int8``
    asked: bool  # whether the user named it


@dataclass(frozen=True)
class Embedding:
    """What computes, ready."""

    embedder: Embedder  # gives the vectors
    runtime: Runtime  # its name
    precision: str  # ``float32``, ``bfloat16`` or ``int8``
    calibration: str | None = None  # digest of the faces that int8 was calibrated on


def choose_runtime(wanted: str | None, precision: str, device: str | None, faces: float) -> RuntimeChoice:
    """Choose what computes, before anything is loaded.

    Where nothing is wanted, jobs of `AUTOMATIC_FROM` pictures or more on a CPU take a runtime that is installed; others
    PyTorch.

    Args:
        wanted: a name of RUNTIMES, or None.
        precision: of PRECISIONS.
        device: that the user named, or None.
        faces: pictures or faces of the job.

    Raises:
        UnknownNameError: no such name.
        InputError: it is not installed, or does not go with the precision or the device.
    """
    if wanted is not None and wanted not in RUNTIMES:
        raise UnknownNameError(wanted, RUNTIMES, "runtime")
    if precision not in PRECISIONS:
        raise UnknownNameError(precision, PRECISIONS, "precision")
    if wanted == "torch" and precision == INT8:
        raise InputError("torch computes in float32 here; give --runtime openvino or onnx for int8")
    on_cpu = device == "cpu" or (device is None and not torch.accelerator.is_available())
    if (wanted in CONVERTED or precision == INT8) and device not in (None, "cpu"):
        raise InputError(f"{wanted or precision} computes on the CPU and not on {device!r}; leave the device out")
    if wanted is not None:
        require_installed(wanted)
        return RuntimeChoice(wanted, precision, asked=True)
    there = next((runtime for runtime in CONVERTED if is_installed(runtime)), None)
    if precision == INT8:
        require_installed(there or CONVERTED[0])
    worth_it = precision == INT8 or (on_cpu and faces >= AUTOMATIC_FROM)
    return RuntimeChoice(there if there and worth_it else "torch", precision, asked=precision == INT8)


def open_runtime(chosen: RuntimeChoice, encoder: Encoder, stream: FaceStream, progress: Progress) -> Embedding:
    """Make ready what computes, converting the encoder where that has not been done yet.

    Converted encoders are kept in the cache, by encoder, runtime and precision. int8 is calibrated on the first 300
    faces of the stream, so the same job always gives the same vectors.

    Args:
        chosen: by `choose_runtime`.
        encoder: on the CPU, unless torch was chosen.
        stream: whose faces int8 is calibrated on.
        progress: told what computes.

    Raises:
        ConversionError: the network cannot be converted, or computes something else then; where nobody asked for the
            runtime, torch takes its place.
        InputError: the stream has too few faces to calibrate on.
    """
    if chosen.runtime == "torch":
        return _by_torch(encoder)
    faces = _calibration_faces(stream, progress) if chosen.precision == INT8 else None
    calibration = None if faces is None else hashlib.sha256(faces.tobytes()).hexdigest()[:16]
    try:
        embedder = _open_converted(chosen, encoder, stream.crop_size, faces, calibration, progress)
    except ConversionError as error:
        if chosen.asked:
            raise
        progress.say(f"computing with torch: {error.command_line_text}")
        return _by_torch(encoder)
    other = "" if chosen.asked else " (--runtime torch for PyTorch)"
    progress.say(f"computing with {chosen.runtime} in {chosen.precision}{other}")
    return Embedding(embedder, chosen.runtime, chosen.precision, calibration)


def _by_torch(encoder: Encoder) -> Embedding:
    return Embedding(encoder, "torch", "bfloat16" if encoder.center.is_cuda else FLOAT32)


def _calibration_faces(stream: FaceStream, progress: Progress) -> NDArray[np.uint8]:
    """The first 300 crops of a stream: (n, S, S, 3) uint8."""
    progress.say(f"int8 is calibrated on the first {_CALIBRATED_ON} faces")
    faces: NDArray[np.uint8] = np.empty((0, stream.crop_size, stream.crop_size, 3), np.uint8)
    for batch in stream.batches():
        faces = np.concatenate([faces, batch.crops[: _CALIBRATED_ON - len(faces)]])
        if len(faces) == _CALIBRATED_ON:
            break
    if len(faces) < _LEAST_CALIBRATION:
        raise InputError(
            f"int8 is calibrated on {_LEAST_CALIBRATION} faces or more, and there are {len(faces)}; use float32"
        )
    return faces


def _open_converted(
    chosen: RuntimeChoice,
    encoder: Encoder,
    side: int,
    faces: NDArray[np.uint8] | None,
    calibration: str | None,
    progress: Progress,
) -> Embedder:
    from ferkit.encoders.runtimes.engines import ConvertedEncoder, open_onnx, open_openvino

    threads = torch.get_num_threads()
    open_file = open_openvino if chosen.runtime == "openvino" else open_onnx

    def make(path: Path) -> None:
        progress.say(f"converting {encoder.name} for {chosen.runtime}, once")
        _convert(chosen, encoder, side, faces, path)

    def load(path: Path) -> Embedder:
        return ConvertedEncoder(encoder, open_file(path, threads), side, threads)

    return _load_or_make(_place(chosen, encoder, side, calibration), make, load, progress)


def _convert(chosen: RuntimeChoice, encoder: Encoder, side: int, faces: NDArray[np.uint8] | None, path: Path) -> None:
    """Write the converted encoder to ``path``; `ConversionError` where it does not compute the same."""
    from ferkit.encoders.export import onnx_of
    from ferkit.encoders.runtimes.engines import open_onnx, open_openvino, write_onnx, write_openvino
    from ferkit.encoders.runtimes.onnx_model import quantize_onnx
    from ferkit.encoders.runtimes.parity import parity_of, require_parity, sample_crops

    with_openvino = chosen.runtime == "openvino"
    model = onnx_of(encoder, side)
    if faces is not None:
        # OpenVINO's first convolution in int8 is wrong by far on ResNets (2026.4, cosine 0.9), and no faster.
        model = quantize_onnx(model, faces, first_layer=not with_openvino)
    write, open_file = (write_openvino, open_openvino) if with_openvino else (write_onnx, open_onnx)
    write(model, path)
    compared = sample_crops(_COMPARED, side) if faces is None else faces
    parity = parity_of(encoder, open_file(path, 1), compared)
    require_parity(parity, f"{encoder.name!r} by {chosen.runtime} in {chosen.precision}", int8=faces is not None)


def _place(chosen: RuntimeChoice, encoder: Encoder, side: int, calibration: str | None) -> Path:
    """Where the converted encoder is kept; named by all that decides it."""
    versions = [f"{name} {version(name)}" for name in ("torch", "timm", "onnx", "onnxscript", "onnxruntime")]
    versions += [f"openvino {version('openvino')}"] if chosen.runtime == "openvino" else []
    contract = contract_digest(encoder.entry)
    key = digest([__version__, encoder.sha256, contract, str(side), calibration or "", *versions])
    suffix = "" if chosen.runtime == "openvino" else ".onnx"
    return cache_folder() / "runtimes" / f"{chosen.runtime}-{chosen.precision}-{key[:24]}{suffix}"


def _digest_of(path: Path) -> str:
    """Digest a file, or the files of a folder by their names."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return digest(text for file in files for text in (file.name if path.is_dir() else "", sha256_of(file)))


def _load_or_make(
    path: Path, make: Callable[[Path], None], load: Callable[[Path], Embedder], progress: Progress
) -> Embedder:
    """Load what is kept at ``path``, made first if need be; a folder that cannot be written is done without."""
    stated = path.with_name(f"{path.name}.sha256")
    if path.exists():
        with suppress(Exception):  # whatever the runtime may raise at a damaged file
            if stated.read_text() == _digest_of(path):
                return load(path)
        progress.say(f"{str(path)!r} is damaged, so it is made anew")
    with suppress(OutputError):
        with atomic_path(path) as partial:
            make(partial)
            with atomic_path(stated) as digest_file:
                digest_file.write_text(_digest_of(partial))
        return load(path)
    with tempfile.TemporaryDirectory() as folder:
        beside = Path(folder) / path.name
        make(beside)
        return load(beside)
