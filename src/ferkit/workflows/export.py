"""Bring an embedding set into a form that other tools open as it is."""

import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ferkit.atomic import atomic_path
from ferkit.data.embedding_set import EmbeddingSet
from ferkit.data.faces import PARQUET_OPTIONS
from ferkit.data.stores import remote_url
from ferkit.errors import OutputError, UnknownNameError
from ferkit.pipeline.recrop import Lost, row_crops
from ferkit.pipeline.thumbnails import jpeg
from ferkit.progress import Progress, Silent
from ferkit.report.set_map import set_map
from ferkit.search.index import FlatIndex
from ferkit.search.qdrant import qdrant_client, write_collection

_ROWS_AT_ONCE = 256
_NEIGHBOURS = 15
_IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_NEIGHBOUR_LISTS = pa.struct([("ids", pa.list_(pa.int64())), ("distances", pa.list_(pa.float32()))])


@dataclass(frozen=True)
class ExportResult:
    """What was written."""

    path: Path  # the file or folder
    tool: str  # that it is for
    faces: int  # how many it holds
    without_picture: int  # of these, faces whose picture is not where it was, or has changed since
    bytes: int  # size of all that was written
    open_with: str  # a command, or a line of Python, that opens it


@dataclass(frozen=True)
class _Tool:
    """How a set is written for a tool."""

    name: str
    write: Callable[[EmbeddingSet, Path, Progress], int]
    open_with: str


def export(
    embeddings: str | Path = "emb.npy",
    to: str = "parquet",
    out: str | Path | None = None,
    *,
    progress: Progress | None = None,
) -> ExportResult:
    """Write an embedding set with its vectors, thumbnails, columns and map for another tool.

    Args:
        embeddings: the ``.npy`` file of an embedding set.
        to: ``parquet`` (one file for pandas, polars, DuckDB and the Hugging Face ``datasets``), ``embedding-atlas``
            (one file, with the nearest faces of each), ``fiftyone`` (a folder), or ``qdrant`` (a collection named after
            the set, whose payload are the columns; no thumbnails).
        out: the file or folder; None names it after the set and the tool. For ``qdrant`` also the address of a server,
            ``http://localhost:6333``, whose key is taken from ``QDRANT_API_KEY``.
        progress: told how many faces are written.

    Raises:
        UnknownNameError: there is no such form.
        SetError: the set is missing or damaged.
        InputError: the client of Qdrant is not installed.
        OutputError: ``out`` is there already, or cannot be written or reached.
    """
    if to not in TOOLS:
        raise UnknownNameError(to, TOOLS, "tool")
    tool, embeddings, progress = TOOLS[to], Path(embeddings), progress or Silent()
    server = re.fullmatch(r"(https?):/+(.+)", str(out)) if to == "qdrant" else None
    beside = embeddings.parent if remote_url(embeddings) is None else Path()
    path = Path(out) if out is not None else beside / f"{embeddings.stem}{tool.name}"
    if server is None and path.exists():
        raise OutputError(f"{str(path)!r} is there already; remove it or choose another output with -o")
    opened = EmbeddingSet.open(embeddings)
    opened.verify()
    progress.start("exporting", len(opened), unit="faces")
    if server is not None:
        return _to_server(opened, embeddings.stem, f"{server[1]}://{server[2]}", progress)
    with atomic_path(path) as partial:
        lost = tool.write(opened, partial, progress)
    size = sum(file.stat().st_size for file in (path.rglob("*") if path.is_dir() else [path]) if file.is_file())
    return ExportResult(path, to, len(opened), lost, size, tool.open_with.format(path=str(path)))


def _to_server(embeddings: EmbeddingSet, name: str, url: str, progress: Progress) -> ExportResult:
    with qdrant_client(url=url, api_key=os.environ.get("QDRANT_API_KEY")) as client:
        write_collection(client, name, embeddings, progress)
    where = f"{url}/dashboard#/collections/{name}"
    return ExportResult(Path(name), "qdrant", len(embeddings), 0, embeddings.vectors.nbytes, where)


def _write_qdrant(embeddings: EmbeddingSet, path: Path, progress: Progress) -> int:
    """The folder of the client's local mode, which a server does not read; for trying."""
    with qdrant_client(path=str(path)) as client:
        write_collection(client, "ferkit", embeddings, progress)
    return 0


def _write_parquet(embeddings: EmbeddingSet, path: Path, progress: Progress) -> int:
    """All columns of the set, and ``vector``, ``thumbnail``, ``x`` and ``y``."""
    places = set_map(embeddings)

    def more(rows: range) -> dict[str, pa.Array]:
        return {"x": pa.array(places[rows.start : rows.stop, 0]), "y": pa.array(places[rows.start : rows.stop, 1])}

    return _write_table(embeddings, embeddings.table, "thumbnail", more, path, progress)


def _write_atlas(embeddings: EmbeddingSet, path: Path, progress: Progress) -> int:
    """Columns of numbers and texts, and what `embedding-atlas` asks for: a place, an image, the nearest faces."""
    places, index = set_map(embeddings), FlatIndex(embeddings.vectors, unit=embeddings.normalized)
    plain = [name for name in embeddings.column_names if name not in ("box", "landmarks", "sha256")]

    def more(rows: range) -> dict[str, pa.Array]:
        scores, ids = index.query(embeddings.vectors[rows.start : rows.stop], min(_NEIGHBOURS + 1, len(embeddings)))
        near = [{"ids": mine, "distances": far} for mine, far in zip(ids.tolist(), (1 - scores).tolist(), strict=True)]
        across, up = places[rows.start : rows.stop, 0], 1 - places[rows.start : rows.stop, 1]
        return {
            "projection_x": pa.array(across),
            "projection_y": pa.array(up),
            "neighbors": pa.array(near, _NEIGHBOUR_LISTS),
        }

    return _write_table(embeddings, embeddings.columns(plain), "image", more, path, progress)


def _write_table(
    embeddings: EmbeddingSet,
    table: pa.Table,
    image: str,
    more: Callable[[range], dict[str, pa.Array]],
    path: Path,
    progress: Progress,
) -> int:
    """Write a table with vectors and pictures beside its columns; returns how many pictures are lost."""
    lost, writer = 0, None
    try:
        for rows, pictures in _pictures(embeddings):
            part = table.slice(rows.start, len(rows)).replace_schema_metadata(None)
            vectors = pa.array(np.ascontiguousarray(embeddings.vectors[rows.start : rows.stop]).ravel())
            columns = {
                "row": pa.array(rows, pa.int64()),
                **dict(zip(part.column_names, part.columns, strict=True)),
                "vector": pa.FixedSizeListArray.from_arrays(vectors, embeddings.encoder.dim),
                image: pa.array([picture and {"bytes": picture, "path": None} for picture in pictures], _IMAGE),
                **more(rows),
            }
            whole = pa.table(columns)
            writer = writer or pq.ParquetWriter(path, whole.schema, **PARQUET_OPTIONS)
            writer.write_table(whole)
            lost += pictures.count(None)
            progress.advance(len(rows))
    finally:
        if writer is not None:
            writer.close()
    return lost


def _write_fiftyone(embeddings: EmbeddingSet, path: Path, progress: Progress) -> int:
    """A ``FiftyOneDataset``: one sample a face, its crop as a JPEG, its vector, label and what is known of it."""
    (path / "data").mkdir(parents=True)
    lost, samples = 0, []
    for rows, pictures in _pictures(embeddings):
        for row, face, picture in zip(rows, embeddings.faces_of(list(rows)), pictures, strict=True):
            file = path / "data" / f"{row:07}.jpg"
            file.write_bytes(picture or jpeg(np.full((16, 16, 3), 128, np.uint8)))
            columns = {name: getattr(face, name) for name in _FIFTYONE if getattr(face, name) is not None}
            label = {} if face.label is None else {"label": {"_cls": "Classification", "tags": [], "label": face.label}}
            samples.append(
                {"filepath": f"data/{file.name}", "tags": [] if picture else ["lost"], "_media_type": "image"}
                | {
                    "row": row,
                    "vector": [round(number, 7) for number in embeddings.vectors[row].tolist()],
                    **label,
                    **columns,
                }
            )
        lost += pictures.count(None)
        progress.advance(len(rows))
    fields = {"row": "IntField", "vector": "ListField", **_FIFTYONE}
    sample_fields = [_field(name, kind) for name, kind in fields.items()]
    sample_fields.append(_field("label", "EmbeddedDocumentField", "fiftyone.core.labels.Classification"))
    metadata = {"name": "ferkit", "media_type": "image", "version": "0.23.0", "sample_fields": _OWN + sample_fields}
    (path / "metadata.json").write_text(json.dumps(metadata, indent=1), encoding="utf-8")
    (path / "samples.json").write_text(json.dumps({"samples": samples}), encoding="utf-8")
    return lost


_FIFTYONE = {
    "source": "StringField",
    "face": "IntField",
    "identity": "StringField",
    "clip": "StringField",
    **dict.fromkeys(("time_s", "size", "sharpness", "yaw", "pitch", "roll", "valence", "arousal"), "FloatField"),
}


def _field(name: str, kind: str, document: str | None = None) -> dict[str, Any]:
    parts = "fiftyone.core.fields.FloatField" if kind == "ListField" else None
    kinds = {"ftype": f"fiftyone.core.fields.{kind}", "embedded_doc_type": document, "subfield": parts}
    return {"name": name, **kinds, "fields": [], "db_field": name}


_OWN = [
    {**_field("id", "ObjectIdField"), "db_field": "_id"},
    _field("filepath", "StringField"),
    _field("metadata", "EmbeddedDocumentField", "fiftyone.core.metadata.ImageMetadata"),
    {**_field("tags", "ListField"), "subfield": "fiftyone.core.fields.StringField"},
]


def _pictures(embeddings: EmbeddingSet) -> Iterator[tuple[range, list[bytes | None]]]:
    """Yield rows and the JPEGs of their crops, None where there is none any more."""
    for start in range(0, len(embeddings), _ROWS_AT_ONCE):
        rows = range(start, min(start + _ROWS_AT_ONCE, len(embeddings)))
        crops = row_crops(embeddings, list(rows))
        yield rows, [None if isinstance(crop, Lost) else jpeg(crop) for crop in crops]


TOOLS = {
    "parquet": _Tool(
        "-export.parquet", _write_parquet, "python -c 'import pandas; print(pandas.read_parquet(\"{path}\"))'"
    ),
    "embedding-atlas": _Tool(
        "-atlas.parquet",
        _write_atlas,
        "embedding-atlas {path} --image image --vector vector --x projection_x --y projection_y --neighbors neighbors",
    ),
    "fiftyone": _Tool(
        "-fiftyone", _write_fiftyone, "fiftyone app view --dataset-dir {path} --type fiftyone.types.FiftyOneDataset"
    ),
    "qdrant": _Tool(
        "-qdrant",
        _write_qdrant,
        'python -c \'import qdrant_client; print(qdrant_client.QdrantClient(path="{path}").get_collection("ferkit"))\'',
    ),
}
