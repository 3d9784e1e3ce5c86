"""What does each face show: class probabilities, beside box, landmarks, pose and quality, one row a face."""

import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Unpack

import numpy as np
import pyarrow as pa

from ferkit.atomic import remove
from ferkit.data.embedding_set import EmbeddingSet
from ferkit.data.faces import FACE_SCHEMA
from ferkit.encoders import DEFAULT_ENCODER
from ferkit.encoders.encoder import load_head
from ferkit.encoders.expression_head import DIMENSIONS, ExpressionHead
from ferkit.errors import OutputError
from ferkit.pipeline import FACES
from ferkit.pipeline.face_options import FaceKeywords
from ferkit.pipeline.face_stream import Problems, source_paths
from ferkit.progress import Progress
from ferkit.report.table_file import check_table_output, flat_points, write_table_file
from ferkit.workflows.embed import embed

_KNOWN = ("source", "face", "clip", "time_s", "identity", "label")
_MEASURED = ("box", "landmarks", "score", "size", "sharpness", "yaw", "pitch", "roll", "clipped")


@dataclass(frozen=True)
class RecogniseResult:
    """The expressions of faces."""

    path: Path | None  # the file that was written, if any
    faces: int  # rows of the table
    encoder: str  # name of the encoder
    classes: tuple[str, ...]  # the head's
    # of the table that hold their probabilities: their names, with ``p_`` before one that is taken
    columns: tuple[str, ...]
    expressions: dict[str, int]  # how many faces show each class more likely than any other
    faceless: list[str]  # sources that show no face
    filtered: list[str]  # sources whose faces were all left out by a filter
    unreadable: list[tuple[str, str]]  # (source, why) of those that cannot be read
    # one row a face: where it is from, ``expression`` (the likeliest class), a probability for each class, ``valence``
    # and ``arousal`` where the head tells them, box, landmarks, the detector's score, size, sharpness and head pose
    # (see `ferkit.data.faces.Face`)
    table: pa.Table = field(repr=False)


class RecogniseKeywords(FaceKeywords, total=False):
    """Keyword arguments of `embed`."""

    batch_size: int
    device: str | None
    runtime: str | None
    precision: str


def recognise(
    sources: str | Path | Sequence[str | Path] = FACES,
    out: str | Path | None = None,
    *,
    encoder: str | Path = DEFAULT_ENCODER,
    head: str | Path | None = None,
    progress: Progress | None = None,
    **options: Unpack[RecogniseKeywords],
) -> RecogniseResult:
    """Say what every face shows.

    The faces are embedded as `embed` does; a run with ``out`` that was stopped goes on where it was.

    Args:
        sources: one embedding set (``emb.npy``; no encoder runs then), one face set, or whatever `align` takes.
        out: a ``.csv``, ``.tsv`` or ``.parquet`` file of the table; None writes none.
        encoder: as for `embed`; of an embedding set its own is taken.
        head: a file of `ferkit probe … --save-head`; None takes the encoder's own.
        progress: told of every batch.
        options: other arguments of `embed`, such as ``device``, and fields of
            `ferkit.pipeline.face_options.FaceOptions`, such as ``fps=5``.

    Raises:
        WeightsError: the encoder has no head, or the head is damaged or of another encoder.
        OutputError: ``out`` cannot be written.
        FerkitError: as `embed`.
    """
    paths, target = source_paths(sources), None if out is None else Path(out)
    if target is not None:
        check_table_output(target, _KNOWN[:3])
    if len(paths) == 1 and paths[0].suffix == ".npy":
        found = EmbeddingSet.open(paths[0])
        reader = load_head(found.encoder.name, head, progress)
        return _result(found, reader, Problems([], [], []), target)
    reader = load_head(encoder, head, progress)
    with _working_folder(target) as folder:
        options["fps"] = options.get("fps") or 0
        done = embed(paths, folder / "emb.npy", encoder=encoder, progress=progress, **options)
        problems = Problems(done.faceless, done.filtered, done.unreadable)
        return _result(EmbeddingSet.open(done.path), reader, problems, target)


def expression_table(embeddings: EmbeddingSet, head: ExpressionHead) -> pa.Table:
    """Return the table of `RecogniseResult` for the rows of an embedding set."""
    shares = head.probabilities(embeddings.vectors)
    columns = {name: embeddings.table.column(name) for name in _KNOWN}
    columns["expression"] = pa.array(np.array(head.classes, object)[shares.argmax(axis=1)], pa.string())
    columns |= {name: pa.array(shares[:, number]) for number, name in enumerate(_columns(head))}
    if (affect := head.affect(embeddings.vectors)) is not None:
        columns |= {name: pa.array(affect[:, number]) for number, name in enumerate(DIMENSIONS)}
    columns |= {name: embeddings.table.column(name) for name in _MEASURED}
    return flat_points(pa.table(columns))


def _columns(head: ExpressionHead) -> tuple[str, ...]:
    taken = {*FACE_SCHEMA.names, "expression"}
    return tuple(f"p_{name}" if name in taken else name for name in head.classes)


@contextmanager
def _working_folder(target: Path | None) -> Iterator[Path]:
    """Where vectors lie until the table is written: beside it, so that a killed run can go on."""
    if target is None:
        with tempfile.TemporaryDirectory() as temporary:
            yield Path(temporary)
        return
    folder = target.with_name(f"{target.name}.partial")
    if folder.exists() and not (folder.is_dir() and all(child.name.startswith("emb.") for child in folder.iterdir())):
        raise OutputError(f"{str(folder)!r} is in the way and not ferkit's; move it or choose another output")
    try:
        yield folder
        remove(folder)
    finally:
        with suppress(OSError):  # it holds vectors for the next run, or is not there
            folder.rmdir()


def _result(found: EmbeddingSet, head: ExpressionHead, problems: Problems, target: Path | None) -> RecogniseResult:
    table = expression_table(found, head)
    if target is not None:
        write_table_file(table, target)
    counts = Counter(table.column("expression").to_pylist())
    shown = {name: counts[name] for name in head.classes if counts[name]}
    named = found.encoder.name, head.classes, _columns(head)
    return RecogniseResult(target, table.num_rows, *named, shown, *problems, table=table)
