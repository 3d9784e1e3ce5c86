"""Pictures of object stores and whatever else fsspec reaches: ``s3://bucket/photos``, ``gs://…``, ``hf://datasets/…``.

Each picture is fetched when it is its turn, so that a part of a job fetches its own alone. Access is what the store's
own settings say (for S3 ``AWS_PROFILE``, ``AWS_ENDPOINT_URL`` and so on).
"""

import re
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from ferkit.data.media import is_media, is_video
from ferkit.data.sources.classes import class_folders
from ferkit.data.sources.contents import Sources
from ferkit.data.sources.picture import Picture, place_name, refused
from ferkit.data.sources.rules import SourceRules
from ferkit.data.sources.tree import is_hidden, natural_key
from ferkit.errors import InputError, MissingPathError, UnreadableImageError

_URL = re.compile(r"([a-z][a-z0-9]+):/{1,3}([^/].*)", re.DOTALL)
_VERSION = ("size", "ETag", "etag", "md5Hash", "sha256", "mtime", "LastModified", "last_commit", "created")
_LOCAL = frozenset({"file", "local", "http", "https", "data", "git", "github"})


def remote_url(path: Path | str) -> str | None:
    """Return the address that a path stands for, whose slashes `Path` has folded; None for a path of this machine."""
    match = _URL.fullmatch(str(path))
    if match is None or match[1] in _LOCAL:
        return None
    import fsspec  # loads slowly, and few sources are remote

    if match[1] not in fsspec.available_protocols():
        return None
    return f"{match[1]}://{match[2]}"


def open_remote(url: str, rules: SourceRules) -> Sources:
    """List the images below an address in natural order; class folders right below it label what they hold.

    Videos are listed as what cannot be read from there.

    Raises:
        MissingPathError: nothing is there.
        InputError: the store cannot be reached, or its package is not installed.
    """
    files, root = _reached(url), url.split("://", 1)[1].rstrip("/")
    scheme = url.split("://", 1)[0]
    try:
        found = files.find(files._strip_protocol(url), detail=True)
    except FileNotFoundError:
        found = {}
    except Exception as error:
        raise InputError(f"cannot list {url!r} ({_why(error)})") from error
    if not found:
        raise MissingPathError(url, "nothing is there, or it may not be listed")
    below = {name: name.lstrip("/").removeprefix(root.lstrip("/")).lstrip("/") for name in found}
    names = sorted((name for name in found if not is_hidden(below[name].split("/"))), key=natural_key)
    names = [name for name in names if is_media(name.rpartition("/")[2], None)]
    labels = class_folders([(below[name] or name).split("/") for name in names])
    pictures = []
    for name, label in zip(names, labels, strict=True):
        source = f"{scheme}://{place_name(name.lstrip('/'))}"
        if is_video(name):
            pictures.append(refused(source, "videos are read from disks alone; copy it to one"))
            continue
        fetch = partial(_read, files, name, source)
        picture = Picture(source, label, fetch=fetch, version=_version(found[name]))
        pictures.append(rules.apply(picture, below[name] or name))
    return Sources(pictures)


def find_remote(source: str) -> Picture | None:
    """Return the picture of an address that `open_remote` gave; None for any other source."""
    url = remote_url(source)
    if url is None:
        return None
    name = unquote(url)
    files = _reached(name)
    return Picture(source, fetch=partial(_read, files, files._strip_protocol(name), source))


def _reached(url: str) -> Any:  # noqa: ANN401 (a file system of fsspec)
    import fsspec

    try:
        return fsspec.core.url_to_fs(url)[0]
    except ImportError as error:
        raise InputError(f"{url!r} needs a package that is not installed ({_why(error)})") from error
    except Exception as error:
        raise InputError(f"cannot reach {url!r} ({_why(error)})") from error


def _read(files: Any, name: str, source: str) -> bytes:  # noqa: ANN401 (a file system of fsspec)
    try:
        content: bytes = files.cat_file(name)
    except FileNotFoundError as error:
        raise UnreadableImageError(source, "it is not there any more") from error
    except Exception as error:
        raise UnreadableImageError(source, f"it cannot be fetched ({_why(error)})") from error
    return content


def _version(about: dict[str, Any]) -> str:
    """What changes when the content does, as far as the store tells."""
    return repr([str(about.get(name)) for name in _VERSION])


def _why(error: Exception) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__
