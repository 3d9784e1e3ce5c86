"""Files of the Hugging Face Hub: fetched by its client into the client's own cache, and checked.

The hub's client decides about the environment: ``HF_HOME``, ``HF_HUB_CACHE``, ``HF_ENDPOINT``, ``HF_TOKEN`` and
``HF_HUB_OFFLINE`` mean what they mean everywhere. Nothing here loads torch.
"""

import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from huggingface_hub import (
    HfFileMetadata,
    constants,
    get_hf_file_metadata,
    hf_hub_download,
    hf_hub_url,
    is_offline_mode,
    try_to_load_from_cache,
)
from huggingface_hub.errors import FileMetadataError, HfHubHTTPError
from huggingface_hub.utils import tqdm  # type: ignore[attr-defined]  # not marked as an export

from ferkit._version import __version__
from ferkit.encoders.hashes import sha1s_of, sha256_of
from ferkit.encoders.hub_errors import hub_errors, is_transport_error
from ferkit.encoders.registry import PREFIX
from ferkit.errors import InputError, WeightsError
from ferkit.progress import Progress, Silent

_SHA1 = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_ETAG = re.compile(r"[\w-]+")
_REVISION = re.compile(r"\w[\w./+-]*")
_NAME = re.compile(r"(?P<repo>[A-Za-z0-9][\w.-]*/[\w.-]+)(@(?P<revision>[^@\s]+))?")
_BUSY = (408, 429, 500, 502, 503, 504)
_LARGEST = 1 << 40
"""Bytes of a file that a hub may announce."""

_AGENT = f"ferkit/{__version__}"


@dataclass(frozen=True)
class HubRepo:
    """A repository of the hub at one revision."""

    id: str  # such as ``user/name``
    revision: str = constants.DEFAULT_REVISION  # a branch, a tag or a commit

    def __post_init__(self) -> None:
        """Refuse a revision that would lead out of the cache, where it becomes part of a path.

        Raises:
            InputError: it does.
        """
        if not _REVISION.fullmatch(self.revision) or ".." in self.revision:
            raise InputError(f"{self.revision!r} is no revision; give a branch, a tag or a commit of the repository")

    def __str__(self) -> str:
        """As `parse_repo` reads it."""
        return f"{PREFIX}{self.id}@{self.revision}"


@dataclass(frozen=True)
class HubFile:
    """A file of the hub, as it lies in the cache."""

    path: Path  # in the hub's cache
    commit: str  # the revision that it is of, as 40 hexadecimal digits
    fetched: bool = False  # whether it was fetched just now


def is_commit(revision: str) -> bool:
    """Whether the revision can never stand for anything else."""
    return _SHA1.fullmatch(revision) is not None


def parse_repo(text: str) -> HubRepo:
    """Read ``hf-hub:user/name``, ``hf-hub:user/name@revision``, or the same without ``hf-hub:``.

    Raises:
        InputError: it is neither.
    """
    match = _NAME.fullmatch(text.removeprefix(PREFIX))
    if match is None:
        raise InputError(f"{text!r} is no repository of the hub; write {PREFIX}USER/NAME or {PREFIX}USER/NAME@REVISION")
    return HubRepo(match["repo"], match["revision"] or constants.DEFAULT_REVISION)


def fetch(repo: HubRepo, file: str, *, sha256: str | None = None, progress: Progress | None = None) -> HubFile:
    """Return a file of the hub, from the cache where it is there, else fetched into it.

    A commit's file that is in the cache is taken without a look at the hub; of a branch or tag the hub is asked, and
    the cache is second best where the hub cannot be reached.

    Args:
        repo: where it lies.
        file: its name in the repository.
        sha256: what it must be; a hub that holds another file is not fetched from.
        progress: told of every chunk, in megabytes.

    Raises:
        HubError: the hub cannot be reached, refuses, or has no such file; or the fetch broke off.
        WeightsError: what came is not what the hub announced, or the hub's file is of another hash than ``sha256``.
    """
    progress = progress or Silent()
    with hub_errors(repo.id, repo.revision, file):
        cached = _from_cache(repo, file)
        if cached is not None and (is_commit(repo.revision) or is_offline_mode()):
            return cached
        try:
            remote = _ask(repo, file)
        except Exception as error:
            if cached is None or not is_transport_error(error):
                raise
            progress.say(f"the hub cannot be reached: taking {file} of {repo.id} from the cache ({cached.commit[:12]})")
            return cached
        if not 0 <= (remote.size or 0) <= _LARGEST:
            raise ValueError(remote.size)
        _require_hash(repo, file, str(remote.etag), sha256)
        is_cached = _from_cache(HubRepo(repo.id, str(remote.commit_hash)), file) is not None
        bar = _bar_of(progress, f"fetching {file}")
        path = hf_hub_download(repo.id, file, revision=repo.revision, user_agent=_AGENT, tqdm_class=bar)
        result = HubFile(Path(path), Path(path).parent.name, fetched=not is_cached)
    if result.fetched:
        _require_hash(repo, file, intact_sha256(result), sha256)  # a branch may have moved meanwhile
    return result


def intact_sha256(file: HubFile) -> str:
    """Return the SHA-256 of a file, which the cache has under its hash; a damaged one leaves it, to be fetched anew.

    Raises:
        WeightsError: it is damaged, or cannot be read.
    """
    # One step only: the client may link on from there to a store of its own, whose names are other hashes.
    blob = file.path.parent / file.path.readlink() if file.path.is_symlink() else file.path
    etag, sha256 = blob.name, sha256_of(blob)
    # Some hubs name files by git's SHA-1, some mirrors by the SHA-1 of their bytes, others by no hash at all.
    if etag == sha256 or not (_SHA256.fullmatch(etag) or _SHA1.fullmatch(etag)) or etag in sha1s_of(blob):
        return sha256
    for path in (blob, file.path):
        path.unlink(missing_ok=True)
    raise WeightsError(
        f"{str(file.path)!r} is damaged: it has another hash than the hub announced, so it was taken out of the cache; "
        "pull it again"
    )


def _from_cache(repo: HubRepo, file: str) -> HubFile | None:
    path = try_to_load_from_cache(repo.id, file, revision=repo.revision)
    return HubFile(Path(path), Path(path).parent.name) if isinstance(path, str) else None


def _ask(repo: HubRepo, file: str) -> HfFileMetadata:
    """Ask for the file's commit, hash and size; a hub that is busy is asked again for half a minute."""
    url = hf_hub_url(repo.id, file, revision=repo.revision)
    ask = partial(get_hf_file_metadata, url, timeout=constants.HF_HUB_ETAG_TIMEOUT, user_agent=_AGENT)
    try:
        remote = ask()
    except HfHubHTTPError as error:
        if error.response.status_code not in _BUSY:
            raise
        remote = ask(retry_on_errors=True)
    if not is_commit(remote.commit_hash or "") or not _ETAG.fullmatch(remote.etag or ""):
        raise FileMetadataError(url)
    return remote


def _require_hash(repo: HubRepo, file: str, etag: str, sha256: str | None) -> None:
    """Refuse a file before it is fetched, where the hub says that it is another one."""
    if sha256 is not None and _SHA256.fullmatch(etag) and etag != sha256:
        raise WeightsError(
            f"{file!r} of {repo.id!r} at {repo.revision} has the SHA-256 {etag[:12]}…, not the {sha256[:12]}… that is "
            "expected, so it is not fetched; ask its makers which of them is right"
        )


def _bar_of(progress: Progress, task: str) -> type[Any]:
    """The class of progress bars that passes what the hub's client tells on to a `Progress`, in megabytes."""

    class Bar(tqdm):
        def __init__(self, *_: object, total: int | None = None, initial: int = 0, **__: object) -> None:
            super().__init__(total=total, initial=initial, disable=True)  # type: ignore[no-untyped-call]
            progress.start(task, None if total is None else total / 1e6, initial / 1e6, unit="MB")

        def update(self, n: float | None = 1) -> None:
            progress.advance((n or 0) / 1e6)

    return Bar
