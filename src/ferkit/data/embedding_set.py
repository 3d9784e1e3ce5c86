"""Embedding sets: one vector per face, the face's row, and the encoder that made them.

Three files that share a stem: ``emb.npy`` ((N, D) float32), ``emb.parquet`` (`FACE_SCHEMA`) and ``emb.json``. The last
two carry a digest of the vectors, so that files of different sets are never taken for one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ferkit._version import __version__
from ferkit.atomic import output_errors
from ferkit.data.arrays import map_array
from ferkit.data.encoder_stamp import EncoderStamp, read_stamp
from ferkit.data.face_set import is_face_set
from ferkit.data.face_table import FaceTable, JoinedTable, WithColumns
from ferkit.data.faces import FACE_SCHEMA, Face, table_row_to_face, write_table
from ferkit.data.file_state import file_state
from ferkit.data.places import to_relative
from ferkit.data.source_records import SourceRecord, read_records, records_path
from ferkit.data.stored_vectors import StoredVectors, sample_digest, vectors_digest
from ferkit.data.stores import MANIFEST, fetch_set
from ferkit.documents import parse_json, read_json
from ferkit.errors import OutputError, SetError
from ferkit.staging import JOURNAL, StagedOutput, require_own

_FORMAT = 1
_DIGEST_KEY = b"ferkit.vectors"
_SCAN_ROWS = 16384
_VERIFIED: set[tuple[object, ...]] = set()
"""Files whose digests were found right, by place and `file_state`."""


@dataclass(frozen=True, eq=False)
class EmbeddingSet(WithColumns):
    """Vectors and what is known of their faces, row by row."""

    vectors: NDArray[np.float32]  # (N, D); memory-mapped and read-only when opened from disk
    # N rows with the columns of `FACE_SCHEMA`, in memory or, when opened from disk, on it; `table`, `columns` and
    # `faces_of` read them
    rows: pa.Table | FaceTable
    encoder: EncoderStamp  # what made the vectors
    normalized: bool = True  # whether every vector has unit length
    faces: str | None = None  # path of the face set that holds the crops, if they come from one
    version: str = __version__  # the ferkit that made the set
    # digest of all that decided it, by which a run sees that nothing is left to do; None where nobody asks
    job: str | None = None
    pictures: int | None = None  # how many were looked at for it
    listing: str | None = None  # digest of all sources, of which this set is one part; None of a set that is whole
    # digests of all vectors and of the table's file, see `verify`; none of a set that is not from disk, or in parts
    sha256: Mapping[str, str] = field(default_factory=dict)
    parts: Sequence[EmbeddingSet] = ()  # the sets that it is made of, in order; none of a set in one file

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def digest(self) -> str:
        """Hex digest of the vectors, by which an index knows them; of some of them in a set of an older ferkit."""
        return self.sha256.get("vectors") or sample_digest(self.vectors)

    @property
    def column_names(self) -> list[str]:
        """As `WithColumns.column_names`."""
        return self.rows.names if isinstance(self.rows, FaceTable) else list(self.rows.column_names)

    def faces_of(self, rows: Sequence[int]) -> list[Face]:
        """Return what is known of the faces of ``rows``, in that order.

        Raises:
            IndexError: there is no such row.
            SetError: as `table`.
        """
        for row in rows:
            if not 0 <= row < len(self):
                raise IndexError(f"row {row} of a set of {len(self)} faces")
        if "table" in vars(self) or not isinstance(self.rows, FaceTable):
            return [table_row_to_face(self.table, int(row)) for row in rows]
        with _damage_named(self.rows):
            return self.rows.faces(np.asarray(rows, np.int64))

    def face(self, row: int) -> Face:
        """Return what is known of the face of ``row``; raises as `faces_of`."""
        return self.faces_of([row])[0]

    def _read(self, names: Sequence[str] | None) -> pa.Table:
        if isinstance(self.rows, FaceTable):
            with _damage_named(self.rows):
                return self.rows.read(names)
        return self.rows if names is None else self.rows.select(names)

    def save(self, path: Path | str) -> None:
        """Write ``x.npy``, ``x.parquet`` and ``x.json``; a set of that name is replaced as a whole.

        Args:
            path: the ``.npy`` file.

        Raises:
            SetError: the vectors do not fit the table, or are not numbers throughout.
            OutputError: they cannot be written, or would replace files that belong to something else.
        """
        path = Path(path)
        check_embedding_output(path)
        with staged_set(path, {}) as output, output_errors(path):
            output.begin()
            try:
                with (output.folder / path.name).open("wb") as file:
                    np.save(file, self.vectors, allow_pickle=False)
                self.commit(output)
            finally:
                output.discard()

    def commit(self, output: StagedOutput, record: Callable[[Path, str], None] | None = None) -> None:
        """Put the sidecars beside the vectors, which are in the output's folder, and let all three take their names.

        Args:
            output: entered.
            record: given a path and the vectors' digest, writes what the set was made of.

        Raises:
            SetError, OutputError: as `save`.
        """
        path = output.target
        _check_shape(self.vectors, len(self.rows), self.encoder.dim, path)
        for start in range(0, len(self), _SCAN_ROWS):
            _check_finite(path, start, self.vectors[start : start + _SCAN_ROWS])
        digest = sample_digest(self.vectors)
        table_file, json_file = _sidecars(output.folder / path.name)
        with output_errors(path):
            table = self.table.select(FACE_SCHEMA.names).replace_schema_metadata({_DIGEST_KEY: digest})
            write_table(to_relative(table, path.resolve().parent), table_file)
            sha256 = {"vectors": vectors_digest(self.vectors), "table": _file_digest(table_file)}
            description = {**self._description(digest, path.resolve().parent), "sha256": sha256}
            json_file.write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")
            parts = [table_file.name, json_file.name, path.name]
            if record is not None:
                records = records_path(output.folder / path.name)
                record(records, digest)
                parts.insert(0, records.name)
            check_embedding_output(path)  # hours may have passed
            output.commit(parts)

    def records(self, settings: str) -> list[SourceRecord]:
        """Return what a set from disk was made of; none if it is not known, or faces were found by other settings."""
        if not isinstance(self.rows, FaceTable):
            return []
        return read_records(records_path(self.rows.path), sample_digest(self.vectors), settings)

    def verify(self) -> None:
        """Read everything once and compare it with the digests that were written with it; a set in memory is right.

        `open` looks at some vectors only. Whoever reads all of them calls this first; what was found right is not read
        again in this process, as long as `file_state` stays.

        Raises:
            SetError: the vectors or the table have changed since they were written.
        """
        for part in self.parts:
            part.verify()
        if self.parts or not isinstance(self.rows, FaceTable):
            return
        files = {"vectors": self.rows.path.with_suffix(".npy"), "table": self.rows.path}
        for name, stated in self.sha256.items():
            try:
                key = (str(files[name]), *file_state(files[name]), stated)
                if key in _VERIFIED:
                    continue
                found = _file_digest(files[name]) if name == "table" else vectors_digest(self.vectors)
            except (OSError, KeyError) as error:
                raise _broken(files["vectors"], f"its {name} cannot be read") from error
            if found != stated:
                raise _broken(files["vectors"], f"{files[name].name} has changed since it was written")
            _VERIFIED.add(key)

    @classmethod
    def open(cls, path: Path | str) -> EmbeddingSet:
        """Open the set whose vectors are in the ``.npy`` file ``path``, or in parts in that folder, here or in a store.

        Headers and some vectors are read, so that a million faces take some milliseconds.

        Raises:
            SetError: a file of the three is missing, damaged, or belongs to another set.
        """
        path = fetch_set(Path(path))
        return _open_parts(path) if path.is_dir() else _open_one(path)

    def _description(self, digest: str, folder: Path) -> dict[str, Any]:
        faces, encoder = self.faces, asdict(self.encoder)
        if faces is not None and Path(faces).is_relative_to(folder):  # as the pictures, see `to_relative`
            faces = Path(faces).relative_to(folder).as_posix()
        if Path(self.encoder.name).is_relative_to(folder):
            encoder["name"] = f"./{Path(self.encoder.name).relative_to(folder).as_posix()}"
        return {
            "format": _FORMAT,
            "count": len(self),
            "encoder": encoder,
            "normalized": self.normalized,
            "faces": faces,
            "pictures": self.pictures,
            "listing": self.listing,
            "job": self.job,
            "vectors": digest,
            "ferkit": self.version,
        }


def check_embedding_output(path: Path) -> None:
    """Refuse to write an embedding set where it would replace other people's files; call it before long work.

    Raises:
        OutputError: ``path`` does not end in ``.npy``, is a folder or an array that belongs to no embedding set, or its
            sidecars' names are taken by other files (``ferkit embed train.parquet -o train.npy``).
    """
    if path.suffix != ".npy":
        better = "emb.npy" if path.name == ".npy" else f"{path.name}.npy"
        raise OutputError(f"an embedding set is called NAME.npy, and {str(path)!r} is not; try {better!r}")
    with output_errors(path):
        if path.is_dir():
            raise OutputError(f"{str(path)!r} is a folder; choose another output")
        sidecars = [sidecar for sidecar in _sidecars(path) if sidecar.exists()]
        foreign = [sidecar for sidecar in sidecars if not _is_ours(sidecar)]
        if path.exists() and not sidecars:
            foreign.append(path)
        if foreign:
            raise OutputError(
                f"{str(foreign[0])!r} is no part of an embedding set and would be replaced; choose another output"
            )


def staged_set(path: Path, job: Mapping[str, Any]) -> StagedOutput:
    """An embedding set on its way to the ``.npy`` file ``path``; the vectors take their name last."""
    known = {JOURNAL, *(part.name for part in (records_path(path), *_sidecars(path), path))}
    return StagedOutput(path, job, partial(require_own, known.__contains__), files=True)


def _sidecars(path: Path) -> tuple[Path, Path]:
    return path.with_suffix(".parquet"), path.with_suffix(".json")


def _is_ours(sidecar: Path) -> bool:
    try:
        if sidecar.suffix == ".json":
            return read_json(sidecar).keys() >= {"format", "encoder", "vectors"}
        return _DIGEST_KEY in (pq.read_schema(sidecar).metadata or {})
    except (OSError, ValueError, pa.ArrowException):
        return False


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_shape(vectors: NDArray[Any], rows: int, dim: int, name: Path) -> None:
    if vectors.ndim != 2 or vectors.dtype not in (np.float32, np.float16):
        raise _broken(name, f"it holds {vectors.shape} {vectors.dtype} and not (N, D) float32 or float16")
    if len(vectors) != rows:
        raise _broken(name, f"it holds {len(vectors)} vectors for {rows} faces")
    if vectors.shape[1] != dim:
        raise _broken(name, f"its vectors have {vectors.shape[1]} dimensions and its encoder {dim}")


def _check_finite(name: Path, start: int, vectors: NDArray[np.float32]) -> None:
    bad = ~np.isfinite(vectors).all(axis=1)
    if bad.any():
        raise _broken(name, f"vector {start + int(bad.argmax())} is not made of finite numbers")


def _open_one(path: Path) -> EmbeddingSet:
    try:
        vectors = map_array(path)
    except FileNotFoundError:
        raise SetError(f"there is no embedding set {str(path)!r}; make it: `ferkit embed FACES -o {path}`") from None
    except ValueError as error:
        raise _broken(path, str(error)) from error
    table_path, json_path = _sidecars(path)
    for sidecar in (json_path, table_path):
        if not sidecar.exists():
            raise _broken(path, f"{sidecar.name} is missing beside it")
    try:
        rows = FaceTable(table_path)
    except ValueError as error:
        raise _broken(path, str(error)) from error
    description = read_description(path, json_path)
    _check_shape(vectors, len(rows), description["encoder"].dim, path)
    stated = {description.pop("vectors"), rows.metadata.get(_DIGEST_KEY, b"").decode()}
    if stated != {sample_digest(vectors)}:
        _check_finite(path, 0, vectors[:_SCAN_ROWS])
        raise _broken(path, f"{path.name}, {table_path.name} and {json_path.name} belong to different sets")
    if vectors.dtype == np.float16:
        vectors = cast("NDArray[np.float32]", StoredVectors([vectors]))
    return EmbeddingSet(vectors, rows, **description)


def _open_parts(folder: Path) -> EmbeddingSet:
    """Open a set in parts, see `ferkit.data.embedding_parts`, by its manifest."""
    try:
        manifest = read_json(folder / MANIFEST)
        listed = [(str(part["file"]), dict(part["sha256"])) for part in manifest["parts"]]
        newer = int(manifest["format"]) > _FORMAT
    except FileNotFoundError:
        raise SetError(_without_manifest(folder)) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SetError(f"{str(folder / MANIFEST)!r} is damaged; embed again to write it anew") from error
    if newer:
        raise SetError(f"{str(folder)!r} was written by a newer ferkit; upgrade with `pip install -U ferkit`")
    parts = []
    for name, sha256 in listed:
        if Path(name).name != name:
            raise SetError(f"{str(folder / MANIFEST)!r} names a file outside its folder; embed again")
        parts.append(_open_one(folder / name))
        if dict(parts[-1].sha256) != sha256:
            raise SetError(f"{name} of {str(folder)!r} is not the one that its manifest lists; embed again")
    return replace(
        parts[0],
        vectors=cast("NDArray[np.float32]", StoredVectors([part.vectors for part in parts])),
        rows=JoinedTable(folder / MANIFEST, [cast(FaceTable, part.rows) for part in parts]),
        normalized=all(part.normalized for part in parts),
        job=None,
        pictures=sum(part.pictures or 0 for part in parts),
        sha256={},
        parts=parts,
    )


def _without_manifest(folder: Path) -> str:
    """Say what a folder is in place of a set in parts, or which of its parts are still missing."""
    made = sorted(folder.glob("part-*-of-*.npy"))
    try:
        numbers, parts = {int(part.name[5:10]) for part in made}, int(made[0].stem.rpartition("-")[2])
    except (IndexError, ValueError):
        what = "a face set" if is_face_set(folder) else "a folder"
        return (
            f"{str(folder)!r} is {what} and no embedding set; make one: `ferkit embed {folder} -o emb.npy`, name that"
        )
    return unfinished(folder, [number for number in range(1, parts + 1) if number not in numbers], parts)


def unfinished(folder: Path, missing: Sequence[int], parts: int) -> str:
    """Say which parts of a set are missing."""
    some = ", ".join(map(str, missing[:8])) + (", …" if len(missing) > 8 else "")
    what = f"of its {parts} parts {len(missing)} are missing ({some})" if missing else "it has no manifest"
    return f"{str(folder)!r} is unfinished: {what}; run the same `ferkit embed` again, which makes what is missing"


def read_description(path: Path, json_path: Path, content: bytes | None = None) -> dict[str, Any]:
    """Return the fields of `EmbeddingSet` that the .json, or its content, tells, and the digest under ``vectors``."""
    try:
        told = read_json(json_path) if content is None else parse_json(content)
        newer = int(told["format"]) > _FORMAT
        description = {name: told[name] for name in ("normalized", "faces", "vectors")}
        if description["faces"] is not None:
            description["faces"] = str(path.resolve().parent / str(description["faces"]))
        description |= {name: told.get(name) for name in ("job", "pictures", "listing")}
        description["sha256"] = {str(name): str(stated) for name, stated in dict(told.get("sha256") or {}).items()}
        description |= {"encoder": read_stamp(told["encoder"], path.resolve().parent), "version": str(told["ferkit"])}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _broken(path, f"{json_path.name} cannot be understood") from error
    if newer:
        raise SetError(f"{str(path)!r} was written by a newer ferkit; upgrade with `pip install -U ferkit`")
    return description


def _broken(path: Path | str, what: str) -> SetError:
    return SetError(f"embedding set {str(path)!r} cannot be used: {what}; run `ferkit embed` again to make it anew")


@contextmanager
def _damage_named(rows: FaceTable) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise _broken(rows.path.with_suffix(".npy"), str(error)) from error
