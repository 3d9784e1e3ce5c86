"""Turn every face into a vector: photos are aligned on the way, face sets and crops are used as they are."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from ferkit.data.embedding_set import EmbeddingSet, EncoderStamp, check_embedding_output
from ferkit.encoders.encoder import Encoder, load_encoder
from ferkit.encoders.registry import DEFAULT_ENCODER, load_registry
from ferkit.errors import EncoderMismatchError
from ferkit.progress import Progress, Silent
from ferkit.workflows import FACES
from ferkit.workflows.faces_of import (
    FaceStream,
    SetStream,
    followed,
    open_faces,
    require_default_faces,
    require_faces,
    source_paths,
    split_problems,
)
from ferkit.workflows.options import FaceOptions
from ferkit.workflows.staged_vectors import StagedVectors

__all__ = ["EmbedResult", "embed", "encoder_stamp"]


@dataclass(frozen=True)
class EmbedResult:
    """Where the embedding set lies and what it was made of.

    Attributes:
        path: the ``.npy`` file; ``.parquet`` and ``.json`` lie beside it.
        faces: vectors in it.
        pictures: pictures that were looked at; for a face set, those that its faces come from.
        faceless: sources that show no face.
        filtered: sources whose faces were all left out by a filter.
        unreadable: (source, why) of those that cannot be read.
        encoder: name of the encoder.
        seconds: how long it took, without loading the encoder.
        rate: faces per second of this run; what an earlier, killed run had done does not count.
    """

    path: Path
    faces: int
    pictures: int
    faceless: list[str]
    filtered: list[str]
    unreadable: list[tuple[str, str]]
    encoder: str
    seconds: float
    rate: float


def embed(
    sources: str | Path | Sequence[str | Path] = FACES,
    out: str | Path = "emb.npy",
    *,
    encoder: str | Path = DEFAULT_ENCODER,
    batch_size: int = 64,
    device: str | None = None,
    progress: Progress | None = None,
    **options: Any,  # noqa: ANN401
) -> EmbedResult:
    """Embed every face of a face set, of photos, or of pictures that are face crops already.

    A run that was stopped goes on where it was when it is started again with the same arguments. An embedding set of
    the same name is replaced, once the new one is complete.

    Args:
        sources: one face set, or whatever `align` takes.
        out: the ``.npy`` file of the vectors; its two sidecars take the same stem.
        encoder: a name of models.yaml, a run folder, or a ``.safetensors`` file.
        batch_size: faces per pass through the network.
        device: ``cpu``, ``cuda``, …; None takes the best one present.
        progress: told of every batch.
        options: how sources are read and which of their faces are taken: fields of
            `ferkit.workflows.options.FaceOptions`, such as ``min_face=40``.

    Raises:
        MissingPathError, NoImagesError, NoFaceError: there is nothing to embed.
        UnknownEncoderError, WeightsError: the encoder cannot be loaded.
        EncoderMismatchError: the face set is aligned to another template than the encoder's.
        OutputError: ``out`` cannot be written; nothing that was there has changed.
    """
    paths, target, progress = source_paths(sources), Path(out), progress or Silent()
    chosen = FaceOptions(**options)
    check_embedding_output(target)
    require_default_faces(paths, "embed")
    stream = open_faces(paths, chosen, device, progress)
    model = load_encoder(encoder, device)
    _require_template(stream, model)
    stamp = encoder_stamp(model, encoder)
    job = {"fingerprint": stream.fingerprint, "encoder": stamp.sha256, "batch": batch_size}
    started = time.monotonic()
    with StagedVectors(target, model.dim, job) as staged:
        before = len(staged)
        _embed_all(stream, model, batch_size, staged, progress)
        require_faces(len(staged), staged.problems, paths)
        faces = str(stream.face_set.path) if isinstance(stream, SetStream) else None
        EmbeddingSet(staged.vectors(), staged.table(), stamp, faces=faces).save(target)
    seconds = time.monotonic() - started
    pictures = _pictures(stream, staged.pictures_done)
    rate = (len(staged) - before) / seconds
    return EmbedResult(target, len(staged), pictures, *split_problems(staged.problems), stamp.name, seconds, rate)


def encoder_stamp(model: Encoder, given: str | Path) -> EncoderStamp:
    """Return what an embedding set keeps of its encoder.

    Its name is one that `load_encoder` finds again: an encoder outside the zoo goes by its absolute path.

    Args:
        model: the loaded encoder.
        given: the name or path that it was loaded by.
    """
    name = model.name if str(given) in load_registry() else str(Path(given).resolve())
    return EncoderStamp(name=name, sha256=model.sha256, dim=model.dim, crop=model.crop, size=model.size)


def _require_template(stream: FaceStream, model: Encoder) -> None:
    if isinstance(stream, SetStream) and stream.face_set.template != model.crop:
        raise EncoderMismatchError(
            f"the faces of {str(stream.face_set.path)!r} are aligned to {stream.face_set.template!r} and"
            f" {model.name!r} needs {model.crop!r}; align the photos again"
        )


def _pictures(stream: FaceStream, done: int) -> int:
    if isinstance(stream, SetStream):
        return int(pc.count_distinct(stream.face_set.column("source")).as_py())
    return done


def _embed_all(stream: FaceStream, model: Encoder, batch_size: int, staged: StagedVectors, progress: Progress) -> None:
    for batch in followed("embedding", stream, staged.pictures_done, staged.state, len(staged), progress):
        staged.append(model.embed(batch.crops, batch_size=batch_size), batch)
