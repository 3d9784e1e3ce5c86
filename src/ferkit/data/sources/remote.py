"""Pictures of object stores and whatever else fsspec reaches: ``s3://bucket/photos``, ``gs://…``, ``hf://datasets/…``.

Each picture is fetched when it is its turn, so that a part of a job fetches its own alone.
"""

from functools import partial
from typing import Any
from urllib.parse import unquote

from ferkit.data.media import is_media, is_video
from ferkit.data.sources.classes import class_folders
from ferkit.data.sources.contents import Sources
from ferkit.data.sources.picture import Picture, place_name, unreadable_picture
from ferkit.data.sources.rules import SourceRules
from ferkit.data.sources.tree import is_hidden, natural_key
from ferkit.data.stores import open_store, remote_url, why
from ferkit.errors import InputError, MissingPathError, UnreadableImageError

_VERSION = ("size", "ETag", "etag", "md5Hash", "sha256", "mtime", "LastModified", "last_commit", "created")


def open_remote(url: str, rules: SourceRules) -> Sources:
    """List the images below an address in natural order; class folders right below it label what they hold.

    Videos are listed as what cannot be read from there.

    Raises:
        MissingPathError: nothing is there.
        InputError: the store cannot be reached, or its package is not installed.
    """
    (files, path), root = open_store(url), url.split("://", 1)[1].rstrip("/")
    scheme = url.split("://", 1)[0]
    try:
        found = files.find(path, detail=True)
    except FileNotFoundError:
        found = {}
    except Exception as error:
        raise InputError(f"cannot list {url!r} ({why(error)})") from error
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
            pictures.append(unreadable_picture(source, "videos are read from disks alone; copy it to one"))
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
    files, path = open_store(unquote(url))
    return Picture(source, fetch=partial(_read, files, path, source))


def _read(files: Any, name: str, source: str) -> bytes:  # noqa: ANN401 (a file system of fsspec)
    try:
        content: bytes = files.cat_file(name)
    except FileNotFoundError as error:
        raise UnreadableImageError(source, "it is not there any more") from error
    except Exception as error:
        raise UnreadableImageError(source, f"it cannot be fetched ({why(error)})") from error
    return content


def _version(about: dict[str, Any]) -> str:
    """What changes when the content does, as far as the store tells."""
    return repr([str(about.get(name)) for name in _VERSION])
