"""Object stores, and whatever else fsspec reaches: ``s3://bucket/photos``, ``gs://…``, ``hf://datasets/…``.

Access is what the store's own settings say (for S3 ``AWS_PROFILE``, ``AWS_ENDPOINT_URL`` and so on). A set in a store
is read from a copy in the cache, which is brought up to date first, and is written there and put whole.
"""

import hashlib
import json
import re
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ferkit.atomic import remove
from ferkit.data.cache_folder import cache_folder
from ferkit.documents import parse_json
from ferkit.errors import BusyError, InputError, OutputError, SetError
from ferkit.locks import output_lock

MANIFEST, _DRIVER = "manifest.json", "driver.json"

_URL = re.compile(r"([a-z][a-z0-9]+):/{1,3}([^/].*)", re.DOTALL)
_LOCAL = frozenset({"file", "local", "http", "https", "data", "git", "github"})
_FILES = (".sources.parquet", ".parquet", ".npy")
"""Of a set, beside the ``.json`` that tells their digests."""


def remote_url(path: Path | str) -> str | None:
    """Return the address that a path stands for, whose slashes `Path` has folded; None for a path of this machine."""
    match = _URL.fullmatch(str(path))
    if match is None or match[1] in _LOCAL:
        return None
    import fsspec  # which a path of this machine does not wait for

    return f"{match[1]}://{match[2]}" if match[1] in fsspec.available_protocols() else None


def open_store(url: str) -> tuple[Any, str]:
    """Return the file system of an address, and the path in it.

    Raises:
        InputError: the store cannot be reached, or its package is not installed.
    """
    import fsspec

    try:
        files, path = fsspec.core.url_to_fs(url)
    except ImportError as error:
        raise InputError(f"{url!r} needs a package that is not installed ({why(error)})") from error
    except Exception as error:
        raise InputError(f"cannot reach {url!r} ({why(error)})") from error
    return files, path


def why(error: Exception) -> str:
    """Say in a line what a store said."""
    return " ".join(str(error).split())[:120] or type(error).__name__


def copy_path(path: Path) -> Path:
    """Return where the copy of a set in a store lies; a path of this machine stays what it is."""
    if (url := remote_url(path)) is None:
        return path
    parent, _, name = url.rpartition("/")
    return cache_folder() / "sets" / hashlib.sha256(parent.encode()).hexdigest()[:24] / name


def fetch_set(path: Path) -> Path:
    """Bring the copy of a set in a store up to date, part by part where it is in parts; only what has changed is read.

    Args:
        path: the ``.npy`` file of a set or the folder of one in parts, here or as an address.

    Returns:
        Where it lies on this machine.

    Raises:
        SetError: there is no such set.
        InputError: the store cannot be reached.
    """
    if (url := remote_url(path)) is None:
        return path
    (files, place), copy = open_store(url), copy_path(path)
    with _as_input(url), output_lock(copy, wait=True):
        if copy.suffix == ".npy":
            _fetch(files, place, copy)
        else:
            manifest = files.cat_file(f"{place}/{MANIFEST}")
            for part in parse_json(manifest)["parts"]:
                _fetch(files, f"{place}/{Path(part['file']).name}", copy / Path(part["file"]).name)
            (copy / MANIFEST).write_bytes(manifest)
    return copy


def put_set(path: Path) -> None:
    """Put a set, or the manifest of one in parts, into the store from its copy; a path of this machine is left.

    Raises:
        OutputError: it cannot be written there; the copy stays, and the next run puts it.
    """
    if (url := remote_url(path)) is None:
        return
    (files, place), copy = open_store(url), copy_path(path)
    # Whoever reads at this moment sees a .json that does not fit the rest, and nothing wrong.
    suffixes = (".json",) if copy.suffix == ".json" else (*_FILES, ".json")
    with _as_output(url):
        for suffix in suffixes:
            if (file := copy.with_suffix(suffix)).exists():
                files.put_file(str(file), place.removesuffix(copy.suffix) + suffix)


def fetch_folder(path: Path, mark: str) -> Path:
    """Bring the copy of a folder in a store up to date; all of it is read where its file ``mark`` has changed.

    Raises:
        SetError: there is no such folder, or it was written meanwhile.
        InputError: the store cannot be reached.
    """
    if (url := remote_url(path)) is None:
        return path
    (files, place), copy = open_store(url), copy_path(path)
    with _as_input(url), output_lock(copy, wait=True):
        content = files.cat_file(f"{place}/{mark}")
        if not (copy / mark).is_file() or (copy / mark).read_bytes() != content:
            remove(copy)
            copy.mkdir(parents=True)
            for name in _names(files, place) - {mark}:
                files.get_file(f"{place}/{name}", str(copy / name))
            if files.cat_file(f"{place}/{mark}") != content:
                raise SetError(f"{url!r} was written while it was read; run the same again")
            (copy / mark).write_bytes(content)
    return copy


def put_folder(path: Path, mark: str) -> None:
    """Put a folder into the store from its copy, its file ``mark`` last, which is gone while the others change.

    A path of this machine is left, and so is what the store has already.

    Raises:
        OutputError: it cannot be written there; the copy stays, and the next run puts it.
    """
    if (url := remote_url(path)) is None:
        return
    (files, place), copy = open_store(url), copy_path(path)
    with _as_output(url):
        there = _names(files, place)
        if mark in there:
            if files.cat_file(f"{place}/{mark}") == (copy / mark).read_bytes():
                return
            files.rm_file(f"{place}/{mark}")
        ours = {child.name for child in copy.iterdir() if child.is_file()}
        for name in there - ours - {mark}:
            files.rm_file(f"{place}/{name}")
        for name in (*sorted(ours - {mark}), mark):
            files.put_file(str(copy / name), f"{place}/{name}")


def remove_folder(path: Path) -> None:
    """Remove a folder of files, in a store its copy as well; what cannot be removed is left."""
    remove(copy_path(path))
    if (url := remote_url(path)) is not None:
        with suppress(Exception):
            files, place = open_store(url)
            files.rm(place, recursive=True)


def names_in(path: Path) -> set[str]:
    """Return the names of what a folder holds, here or in a store; none where there is no such folder.

    Raises:
        InputError: the store cannot be reached.
    """
    if (url := remote_url(path)) is None:
        return {child.name for child in path.iterdir()} if path.is_dir() else set()
    files, place = open_store(url)
    with _as_input(url):
        return _names(files, place)


@contextmanager
def driver_mark(folder: Path) -> Iterator[None]:
    """Hold the mark of the one machine that leads a set in parts in a store; on one machine `output_lock` does that.

    It is the object ``driver.json``, which a driver that died leaves to its own machine. Where a store makes no object
    on condition, none is held.

    Raises:
        BusyError: another machine leads.
        InputError: the store cannot be reached.
    """
    if (url := remote_url(folder)) is None:
        yield
        return
    files, place = open_store(url)
    mark, me = f"{place}/{_DRIVER}", {"host": socket.gethostname(), "since": time.strftime("%Y-%m-%d %H:%M %z")}
    try:
        files.pipe_file(mark, json.dumps(me).encode(), mode="create")
    except FileExistsError:
        with _as_input(url):
            other = parse_json(files.cat_file(mark))
        if other.get("host") != me["host"]:
            who = f"on {other.get('host')} since {other.get('since')}; if it has died, remove {url}/{_DRIVER}"
            raise BusyError(url, who) from None
    except Exception:  # noqa: BLE001 (whatever a store raises that knows no conditions; what else it cannot comes next)
        mark = ""
    try:
        yield
    finally:
        with suppress(Exception):
            files.rm_file(mark)


def part_descriptions(folder: Path, names: Sequence[str]) -> dict[str, bytes]:
    """Return the ``.json`` of those parts of a set in a store that are there, by the name of the ``.npy`` file.

    Raises:
        InputError: the store cannot be reached.
    """
    url = str(remote_url(folder))
    files, place = open_store(url)
    with _as_input(url):
        found = files.cat([f"{place}/{Path(name).stem}.json" for name in names], on_error="omit")
    return {f"{Path(path).stem}.npy": content for path, content in found.items()}


def _fetch(files: Any, place: str, copy: Path) -> None:  # noqa: ANN401 (a file system of fsspec)
    """Fetch a set whose description has changed; that one last, so that a run that is killed fetches the rest again."""
    stem, told = place.removesuffix(".npy"), copy.with_suffix(".json")
    description = files.cat_file(f"{stem}.json")
    if copy.exists() and told.exists() and told.read_bytes() == description:
        return
    copy.parent.mkdir(parents=True, exist_ok=True)
    told.unlink(missing_ok=True)
    for suffix in _FILES:
        file = copy.with_suffix(suffix)
        file.unlink(missing_ok=True)
        with suppress(FileNotFoundError):  # the sources, which a set of faces has none of
            files.get_file(stem + suffix, f"{file}.fetched")
            Path(f"{file}.fetched").replace(file)
    told.write_bytes(description)


def _names(files: Any, place: str) -> set[str]:  # noqa: ANN401 (a file system of fsspec)
    files.invalidate_cache(place)
    with suppress(FileNotFoundError):  # an object of the folder's own name is what some tools leave as a mark of it
        return {Path(path).name for path in files.ls(place, detail=False) if path.rstrip("/") != place.rstrip("/")}
    return set()


@contextmanager
def _as_input(url: str) -> Iterator[None]:
    try:
        yield
    except SetError:
        raise
    except FileNotFoundError as error:
        raise SetError(f"there is no set {url!r}; make it by `ferkit embed` or `align` with `-o {url}`") from error
    except Exception as error:
        raise InputError(f"cannot read {url!r} ({why(error)})") from error


@contextmanager
def _as_output(url: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        raise OutputError(f"cannot write {url!r} ({why(error)}); run the same again to put what is there") from error
