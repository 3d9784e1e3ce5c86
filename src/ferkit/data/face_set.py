"""Face sets: aligned crops on disk, memory-mapped, with one metadata row each.

A face set is a folder of ``faces-00000.npy`` ... ((N, H, W, 3) uint8 RGB), ``faces.parquet`` (`FACE_SCHEMA`),
``problems.csv`` (the pictures that gave no face, and why) and ``meta.json``. One in an object store is read from a copy
in the cache.
"""

from __future__ import annotations

import csv
import hashlib
import json
import re
import shlex
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import ArrayLike, NDArray

from ferkit._version import __version__
from ferkit.atomic import output_errors
from ferkit.data.crop_shards import CropShards, shard_name
from ferkit.data.face_table import FaceTable, WithColumns
from ferkit.data.faces import FACE_SCHEMA, PARQUET_OPTIONS, ROW_GROUP, Face
from ferkit.data.staged_rows import GrowingArray, StagedRows
from ferkit.data.stores import fetch_folder, names_in, put_folder, remote_url
from ferkit.documents import read_json
from ferkit.errors import OutputError, SetError
from ferkit.locks import require_name
from ferkit.staging import JOURNAL, StagedOutput

_FORMAT = 2  # 1 had no columns of affect and quality, and is read as if they were empty
_META, _TABLE, _PROBLEMS = "meta.json", "faces.parquet", "problems.csv"
_OURS = re.compile(rf"faces-\d{{5,}}\.npy|faces\.parquet|problems\.csv|meta\.json|{re.escape(JOURNAL)}")


def is_face_set(path: Path) -> bool:
    """Say whether ``path`` is a folder that holds a face set, whole or damaged."""
    return (path / _TABLE).is_file() or (path / shard_name(0)).is_file()


def sets_below(folder: Path) -> str | None:
    """Say which face sets a folder holds, such as the parts of a split; None where it holds none."""
    names = sorted(child.name for child in folder.iterdir() if is_face_set(child)) if folder.is_dir() else []
    return f"{str(folder)!r} is a folder of face sets ({', '.join(names)}); name one of them" if names else None


def fetch_face_set(path: Path) -> Path:
    """Return where a face set in a store lies once it is fetched; a path of anything else stays what it is.

    Raises:
        InputError: the store cannot be reached.
    """
    if remote_url(path) is None or not names_in(path) >= {_TABLE, _META}:
        return path
    return fetch_folder(path, _META)


def put_face_set(path: Path) -> None:
    """Put a face set into the store from its copy; a path of this machine is left.

    Raises:
        OutputError: it cannot be written there; the copy stays, and the next run puts it.
    """
    put_folder(path, _META)


def face_set_job(path: Path) -> str | None:
    """The fingerprint of the job that made the face set at ``path``; None where there is none that tells."""
    path = fetch_face_set(path)
    return _meta_of(path / _META).get("fingerprint") if is_face_set(path) else None


class FaceSet(WithColumns):
    """An opened face set, or some rows of one; crops and rows are read from disk as they are asked for.

    Whatever reads raises `SetError` where a file was removed or damaged since the set was opened, or a crop is not the
    one of its row's sha256, and `IndexError` for a row that is negative or not below the length.

    Attributes:
        path: absolute path of the folder.
        template: name of the alignment template that the crops follow.
        size: height and width of a crop in pixels.
    """

    def __init__(
        self,
        path: Path,
        template: str,
        size: int,
        rows: FaceTable,
        shards: CropShards,
        taken: NDArray[np.int64] | None = None,
    ) -> None:
        self.path = path
        self.template = template
        self.size = size
        self._rows = rows
        self._shards = shards
        self._taken = taken  # which rows of the files these are; None: all

    @classmethod
    def open(cls, path: Path | str) -> FaceSet:
        """Open the face set in folder ``path``; only headers are read, a million faces take some milliseconds.

        Raises:
            SetError: the folder is no face set, or a part of it is missing or damaged.
        """
        path = fetch_face_set(Path(path)).resolve()
        if not is_face_set(path):
            make = f"make one with `ferkit align PHOTOS -o {shlex.quote(path.name)}`"
            raise SetError(sets_below(path) or f"{str(path)!r} is not a face set; {make}")
        meta = _read_meta(path)
        with _name_damage(path):
            rows = FaceTable(path / _TABLE)
            shards = CropShards(path, meta["size"], lambda: rows.read(["sha256"]).column(0))
        if not meta["count"] == len(rows) == len(shards):
            held = f"{_TABLE} holds {len(rows)} and the shards {len(shards)}"
            raise _damage_error(path, f"{_META} says {meta['count']} faces, {held}")
        return cls(path, meta["template"], meta["size"], rows, shards)

    def __len__(self) -> int:
        return len(self._rows) if self._taken is None else len(self._taken)

    def __reduce__(self) -> tuple[Any, ...]:
        # Sent to another process, memory maps would travel as gigabytes; path and rows say it all.
        return _reopen, (self.path, self._taken)

    @property
    def shards(self) -> int:
        """How many files the crops lie in."""
        return self._shards.count

    @property
    def rows(self) -> NDArray[np.int64]:
        """(n,) which rows of the set on disk these are; all of them unless this is a `subset`."""
        return np.arange(len(self._rows)) if self._taken is None else self._taken

    @property
    def digest(self) -> str:
        """Hex SHA-256 of the table, which holds the digest of each crop, and of which rows these are."""
        with _name_damage(self.path):
            table = self._rows.sha256()
        return hashlib.sha256(table.encode() + self.rows.tobytes()).hexdigest()

    @property
    def column_names(self) -> list[str]:
        """As `WithColumns.column_names`."""
        return self._rows.names

    def subset(self, rows: ArrayLike) -> FaceSet:
        """Return the faces at ``rows`` (n,), in that order, as a face set of their own; nothing is copied."""
        return FaceSet(self.path, self.template, self.size, self._rows, self._shards, self._numbers(rows))

    def crops(self, indices: ArrayLike) -> NDArray[np.uint8]:
        """Return the crops at ``indices`` (n,) in that order, as an (n, size, size, 3) uint8 RGB copy.

        The files are read in ascending order whatever the order of ``indices``, repeats included.
        """
        rows = self._numbers(indices)
        with _name_damage(self.path):
            return self._shards.read(rows)

    def faces(self, indices: ArrayLike) -> list[Face]:
        """Return what is known of the faces at ``indices`` (n,), in that order."""
        rows = self._numbers(indices)
        with _name_damage(self.path):
            return self._rows.faces(rows)

    def face(self, index: int) -> Face:
        """Return what is known of the face at ``index``."""
        return self.faces([index])[0]

    def _numbers(self, indices: ArrayLike) -> NDArray[np.int64]:
        """Rows of the files, for indices into this set."""
        wanted = np.asarray(indices, dtype=np.int64).reshape(-1)
        if wanted.size and not 0 <= wanted.min() <= wanted.max() < len(self):
            raise IndexError(f"faces {wanted.min()} to {wanted.max()} of a face set of {len(self)}")
        return wanted if self._taken is None else self._taken[wanted]

    def _read(self, names: Sequence[str] | None) -> pa.Table:
        with _name_damage(self.path):
            table = self._rows.read(names)
        return table if self._taken is None else table.take(self._taken)


def _reopen(path: Path, taken: NDArray[np.int64] | None) -> FaceSet:
    opened = FaceSet.open(path)
    return opened if taken is None else opened.subset(taken)


class FaceSetWriter(StagedRows):
    """Writes a face set that appears whole at the end, and goes on where a killed run of the same job stopped.

    Until then it grows in ``<path>.partial/``. Use it as a context manager; inside, skip the first `pictures_done`
    pictures of the source list. The final bytes depend on the faces alone, neither on breaks nor on batch sizes.
    An exception that leaves the block keeps the partial folder for the next run, if it holds any face.

    Attributes:
        path: absolute path of the face set to be.
        complete: inside the block, whether the same job had made this face set already; nothing is left to do then.
    """

    def __init__(
        self,
        path: Path | str,
        template: str,
        size: int,
        *,
        fingerprint: str,
        shard: int = 4096,
        overwrite: bool = False,
    ) -> None:
        """Prepare a face set of (size, size, 3) crops at ``path``; nothing is written yet.

        Args:
            path: folder to make; its parents are made too.
            template: name of the template that the crops are aligned to.
            size: height and width of a crop in pixels.
            fingerprint: digest of all that decides the result (sources, settings); another one starts afresh.
            shard: crops per file.
            overwrite: replace a face set that is there; anything else is never replaced.

        Raises:
            OutputError: ``path`` is taken; on entering, that another run is writing it.
        """
        require_disk(Path(path))
        self.path = Path(path).resolve()
        self._size = size
        self._overwrite = overwrite
        self._parts: Sequence[FaceSet] = ()
        self._meta = {"format": _FORMAT, "template": template, "size": size, "fingerprint": fingerprint}
        job = {**self._meta, "shard": shard}
        output = StagedOutput(self.path, job, refuse_foreign)
        super().__init__(output, GrowingArray(output.folder, (size, size, 3), np.uint8, shard_name, shard))
        with output_errors(self.path):
            self._refuse_taken()

    def append(
        self,
        crops: NDArray[np.uint8],
        faces: Sequence[Face],
        *,
        pictures_done: int,
        problems: Sequence[tuple[str, str]] = (),
        state: Any = None,  # noqa: ANN401 (any JSON value)
    ) -> None:
        """Add the faces of the next pictures; when this returns, they survive a kill.

        A call flushes to disk, so give the faces of some dozen pictures at a time.

        Args:
            crops: (n, size, size, 3) uint8 RGB; n may be 0.
            faces: what is known of each crop, same order.
            pictures_done: pictures of the source list that are finished after this call, earlier ones included.
            problems: (source, problem) of those pictures that gave no face.
            state: a JSON value that tells the caller where to go on within the next picture, such as a video.

        Raises:
            OutputError: it cannot be written; all earlier calls still count.
        """
        expected = (len(faces), self._size, self._size, 3)
        if crops.shape != expected or crops.dtype != np.uint8:
            raise ValueError(f"crops must be {expected} uint8, not {crops.shape} {crops.dtype}")
        self._add(crops, faces, problems, pictures_done, state)

    def link(self, parts: Sequence[FaceSet]) -> None:
        """Take over the faces of whole face sets, one behind the other; their shards are linked and not copied.

        They are all that the face set holds then, and its files are cut as theirs. Where the file system knows no
        links, files are copied.

        Raises:
            SetError: one of them has been damaged.
            OutputError: the files cannot be linked or copied.
        """
        shards = (part.path / shard_name(number) for part in parts for number in range(part.shards))
        with output_errors(self.path):
            self._output.begin()
            self._forget()
            for number, shard in enumerate(shards):
                target = self._output.folder / shard_name(number)
                try:
                    target.hardlink_to(shard)
                except OSError:  # another kind of file system
                    shutil.copyfile(shard, target)
        self._parts = parts
        for part in parts:
            self.rows += len(part)
            self.pictures_done += int(_meta_of(part.path / _META)["pictures"])
            self.problems += _read_problems(part.path / _PROBLEMS)

    def _tables(self) -> Iterator[pa.Table]:
        if self._parts:
            return (part.columns(FACE_SCHEMA.names).cast(FACE_SCHEMA) for part in self._parts)
        return super()._tables()

    def _is_complete(self) -> bool:
        if self._overwrite or not is_face_set(self.path):
            return False
        meta = _meta_of(self.path / _META)
        if meta.get("job") != self._output.digest:
            return False
        self.rows, self.pictures_done = len(FaceSet.open(self.path)), int(meta["pictures"])
        self.problems = _read_problems(self.path / _PROBLEMS)
        return True

    def _commit(self) -> None:
        self._array.finish()
        self._array.close()
        folder = self._output.folder
        with pq.ParquetWriter(folder / _TABLE, FACE_SCHEMA, **PARQUET_OPTIONS) as writer:
            for table in self._tables():
                writer.write_table(table, row_group_size=ROW_GROUP)
        _write_problems(self.problems, folder / _PROBLEMS)
        counts = {"count": len(self), "pictures": self.pictures_done}
        meta = {**self._meta, **counts, "job": self._output.digest, "ferkit": __version__}
        meta["table"] = FaceTable(folder / _TABLE).sha256()  # so that another set has another meta.json
        (folder / _META).write_text(json.dumps(meta, indent=2) + "\n", encoding="utf-8")
        self._refuse_taken()  # hours may have passed
        self._output.commit()

    def _refuse_taken(self) -> None:
        if not self.path.exists() or (self.path.is_dir() and not any(self.path.iterdir())):
            return
        refuse_foreign(self.path)
        if not self._overwrite and _meta_of(self.path / _META).get("job") != self._output.digest:
            raise OutputError(f"{str(self.path)!r} already holds a face set; choose another output or add --overwrite")


def require_disk(path: Path) -> None:
    """Raise an `OutputError` where a path is an address, which only `FaceSetJob` and `EmbeddingJob` write to."""
    if (url := remote_url(path)) is not None:
        raise OutputError(f"{url!r} is in a store, and only `ferkit align` and `ferkit embed` write there")


def refuse_foreign(path: Path) -> None:
    """Never delete a file, or a folder of somebody's photos, because it was named as the output.

    Raises:
        OutputError: ``path`` is a file, or a folder that holds something beside the files of a face set.
        InputError: it is in a store that cannot be reached.
    """
    require_name(path)
    if path.exists() and not path.is_dir():
        raise OutputError(f"{str(path)!r} is a file, and a face set is a folder; choose another output")
    foreign = next((name for name in sorted(names_in(path)) if not _OURS.fullmatch(name)), None)
    if foreign is not None:
        raise OutputError(f"{str(path)!r} holds {foreign!r}, which is no part of a face set; choose another output")


def _write_problems(problems: Sequence[tuple[str, str]], path: Path) -> None:
    with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["source", "problem"])
        writer.writerows(problems)


def _read_problems(path: Path) -> list[tuple[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return [(row["source"], row["problem"]) for row in csv.DictReader(file)]


def _meta_of(path: Path) -> dict[str, Any]:
    """A file's JSON object; an empty one where there is none."""
    try:
        return read_json(path)
    except (OSError, ValueError):
        return {}


def _read_meta(path: Path) -> dict[str, Any]:
    try:
        meta = read_json(path / _META)
        newer = int(meta["format"]) > _FORMAT
        found = {"template": str(meta["template"]), "size": int(meta["size"]), "count": int(meta["count"])}
    except FileNotFoundError:
        raise _damage_error(path, f"{_META} is missing") from None
    except (OSError, ValueError, KeyError, TypeError, OverflowError) as error:
        raise _damage_error(path, f"{_META} cannot be understood") from error
    if newer:
        raise SetError(f"face set {str(path)!r} was written by a newer ferkit; upgrade with `pip install -U ferkit`")
    return found


@contextmanager
def _name_damage(path: Path) -> Iterator[None]:
    """Turn the `ValueError` that names a broken file into the `SetError` that names the face set."""
    try:
        yield
    except ValueError as error:
        raise _damage_error(path, str(error)) from error


def _damage_error(path: Path, what: str) -> SetError:
    return SetError(f"face set {str(path)!r} is damaged: {what}; make it again with `ferkit align`")
