"""Outputs that take long: they grow in ``<target>.partial/``, go on after a kill, and take their names when complete.

Whoever enters a `StagedOutput` holds the lock of its target, to the last rename; what a killed run left half renamed is
finished first. A journal in the partial folder says what job this is and, one line a step, how far it is. A folder
without one is complete, or what was replaced: the journal goes right before the folder takes its name or, where it is
exchanged with an older one, right after that.
"""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from ferkit.atomic import flush_to_disk, output_errors, put_back, put_in_place, remove
from ferkit.errors import OutputError
from ferkit.locks import output_lock

JOURNAL = "journal.jsonl"


class StagedOutput:
    """One output on its way, locked while the block lasts.

    Inside, `resume` what a killed run of the same job has left, or `begin`; write files below `folder`, `add` an entry
    for each step, and `commit`. An exception that leaves the block leaves the folder for the next run.

    Args:
        target: file or folder to be.
        job: JSON object of all that decides the result; the unfinished output of another job is swept away.
        refuse_foreign: raises `OutputError` for a folder that holds what this kind of output does not.
        files: the output is some files beside each other, of which ``target`` is one, and no folder.
    """

    def __init__(
        self, target: Path, job: Mapping[str, Any], refuse_foreign: Callable[[Path], None], *, files: bool = False
    ) -> None:
        self.target = target
        self.folder = target.with_name(f"{target.name}.partial")
        self.job = dict(job)
        self._refuse_foreign = refuse_foreign
        self._files = files
        self._journal: FileIO | None = None
        self._lock = ExitStack()

    @property
    def digest(self) -> str:
        """Hex SHA-256 of the job, by which a finished output tells whose it is."""
        return hashlib.sha256(json.dumps(self.job, sort_keys=True, default=_plain).encode()).hexdigest()

    def __enter__(self) -> StagedOutput:
        with output_errors(self.target), ExitStack() as stack:
            stack.enter_context(output_lock(self.target))
            self._recover()
            self._lock = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._close()

    def resume(self, counts: Callable[[Any], bool] = lambda entry: True) -> bool:
        """Go on with the journal of the same job, up to the first entry that does not count; say whether there is one.

        Args:
            counts: given the entries one by one, says whether what each tells of is there still.
        """
        try:
            self._journal = FileIO(self.folder / JOURNAL, "r+b", opener=_for_appending)
        except (FileNotFoundError, NotADirectoryError):
            return False
        end, job = next(entries := self._entries(), (0, None))
        if job != json.loads(json.dumps(self.job, default=_plain)):
            return False
        for behind, entry in entries:
            if not counts(entry):
                break
            end = behind
        self._journal.truncate(end)
        return True

    def begin(self) -> None:
        """Start with an empty folder."""
        self._close()
        self._sweep()
        try:
            self.folder.mkdir(parents=True)
            self._journal = FileIO(self.folder / JOURNAL, "x+b", opener=_for_appending)
            self.add(self.job)
        except OSError:
            self.discard()
            raise

    def add(self, entry: Any) -> None:  # noqa: ANN401 (any JSON value)
        """Write an entry; when this returns it survives a kill."""
        write_to_disk(self._opened(), _line(entry))

    def entries(self) -> Iterator[Any]:
        """Yield the entries, without the job."""
        for number, (_, entry) in enumerate(self._entries()):
            if number:
                yield entry

    def commit(self, names: Sequence[str] = ()) -> None:
        """Give the complete output its name, in the place of what has it.

        Args:
            names: of the files of an output that is no folder, in the order in which they take their names.

        Raises:
            OutputError: ``target`` is, or holds, what is not ours.
        """
        flush_to_disk(self.folder)
        if self._files:
            self.add({"commit": list(names)})
            self._close()
            self._rename_files(names)
        else:
            self._close()
            replacing = _is_filled(self.target)
            if replacing:
                self._refuse_foreign(self.target)
            else:
                (self.folder / JOURNAL).unlink()
            put_in_place(self.folder, self.target)
            if replacing:
                (self.target / JOURNAL).unlink()
        remove(self.folder)

    def discard(self) -> None:
        """Leave nothing for the next run."""
        self._close()
        self._sweep()

    def _recover(self) -> None:
        """Finish what a killed run had begun to commit, and sweep away what it had replaced."""
        put_back(self.target)
        if self._files:
            [(_, last)] = deque(self._entries(), maxlen=1) or [(0, None)]
            if isinstance(last, dict) and "commit" in last:
                self._refuse_foreign(self.folder)
                self._rename_files(last["commit"])
                self._sweep()
        elif (self.target / JOURNAL).is_file():
            self._refuse_foreign(self.target)
            (self.target / JOURNAL).unlink()
        if self.folder.is_dir() and not (self.folder / JOURNAL).exists():
            if not self._files and _is_filled(self.folder) and not _is_filled(self.target):
                self._refuse_foreign(self.folder)
                put_in_place(self.folder, self.target)
            self._sweep()

    def _rename_files(self, names: Sequence[str]) -> None:
        for name in names:
            with suppress(FileNotFoundError):  # renamed before the kill
                put_in_place(self.folder / Path(name).name, self.target.with_name(Path(name).name))

    def _sweep(self) -> None:
        if self.folder.exists():
            self._refuse_foreign(self.folder)
            for child in self.folder.iterdir():
                if child.name != JOURNAL:  # which goes last: without it, the folder would be taken for complete
                    remove(child)
            remove(self.folder)

    def _entries(self) -> Iterator[tuple[int, Any]]:
        """Yield (offset of the line's end, value) up to the first line that was not written whole."""
        end = 0
        try:  # through what is open already, if it is
            path = self.folder / JOURNAL
            handle = os.open(path, os.O_RDONLY) if self._journal is None else os.dup(self._journal.fileno())
        except (FileNotFoundError, NotADirectoryError):
            return
        with os.fdopen(handle, "rb") as lines:
            lines.seek(0)
            for line in lines:
                end += len(line)
                checksum, _, value = line[1:-2].partition(b", ")
                if not line.endswith(b"]\n") or checksum != b"%d" % zlib.crc32(value):
                    return
                yield end, json.loads(value)

    def _opened(self) -> FileIO:
        if self._journal is None:
            raise RuntimeError("begin or resume first")
        return self._journal

    def _close(self) -> None:
        if self._journal is not None:
            self._journal.close()
            self._journal = None


def require_own(is_own: Callable[[str], bool], folder: Path) -> None:
    """Refuse to sweep away a folder that holds more than our own files, by their names.

    Raises:
        OutputError: it does, or is no folder.
    """
    if not (folder.is_dir() and all(is_own(child.name) for child in folder.iterdir())):
        raise OutputError(f"{str(folder)!r} is in the way and not ferkit's; move it or choose another output")


def _is_filled(path: Path) -> bool:
    return path.is_file() or (path.is_dir() and any(path.iterdir()))


def _for_appending(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_APPEND, 0o666)  # so that reading elsewhere does not move where it is written


def write_to_disk(file: FileIO, data: bytes) -> None:
    """Write all of ``data`` to an unbuffered file and flush it to disk."""
    # After a full disk a buffer would try, and fail, once more when the file is closed.
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]
    os.fsync(file.fileno())


def _line(value: Any) -> bytes:  # noqa: ANN401 (any JSON value)
    """A value with the checksum of its text, as a line of JSON."""
    text = json.dumps(value, default=_plain).encode()
    return b"[%d, %s]\n" % (zlib.crc32(text), text)


def _plain(value: np.generic) -> object:
    """Turn a numpy scalar, which json does not know, into Python's own number."""
    return value.item()
