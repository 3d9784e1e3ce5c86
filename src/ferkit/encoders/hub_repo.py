"""Encoders that live in a repository of the hub: what its config.json says, and which commit a branch stands for.

Two kinds of repositories are read: ferkit's own (`config_of` writes their config.json) and timm's.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from huggingface_hub import HfApi, constants, is_offline_mode
from huggingface_hub.errors import RemoteEntryNotFoundError
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ferkit.atomic import atomic_path
from ferkit.documents import read_json
from ferkit.encoders.hashes import check_sha256, sha256_of
from ferkit.encoders.hub import HubFile, HubRepo, fetch, intact_sha256, is_commit, parse_repo
from ferkit.encoders.hub_errors import hub_errors
from ferkit.encoders.registry import (
    PICKLED,
    PREFIX,
    EncoderEntry,
    Licences,
    WeightsFile,
    load_registry,
    registered_weights,
)
from ferkit.errors import HubError, InputError, OutputError, UnknownEncoderError, WeightsError
from ferkit.progress import Progress, Silent

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
LIBRARY = "ferkit"
"""What config.json says in ``library_name`` where ferkit wrote it."""

Fetched = tuple[EncoderEntry, HubFile]

_SHOWN_BY_WEIGHTS = frozenset({"num_classes", "in_chans", "img_size"})
"""Arguments of timm's networks that cannot differ unseen: tensors of other shapes are refused."""


_Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Record(BaseModel):
    """What an entry's branch and missing hash stand for, from the first pull on."""

    model_config = ConfigDict(extra="forbid", strict=True)

    revision: str = Field(pattern=r"^[0-9a-f]{40}$")
    sha256: _Sha256
    bytes: int


@dataclass(frozen=True)
class PullResult:
    """An encoder whose weights lie on this machine and are the right ones."""

    entry: EncoderEntry  # with the commit, hash and size of its weights
    path: Path  # of the weights
    fetched: bool  # whether they were fetched just now
    source: str  # what to give to ``--encoder``


def pull_encoder(name: str, *, update: bool = False, progress: Progress | None = None) -> PullResult:
    """Fetch an encoder's weights from the hub into the hub's cache, if they are not there, and check their hash.

    Args:
        name: of models.yaml, or ``hf-hub:user/name[@revision]``; ``hf-hub:`` may be left out.
        update: where models.yaml names a branch, take what it is now and not what it was at the first pull.
        progress: told of every chunk, in megabytes.

    Raises:
        UnknownEncoderError: there is no such name; says the nearest ones.
        HubError: the hub cannot be reached, refuses, or has no such encoder.
        WeightsError: the weights are not those of the entry, damaged, or a pickle; only what was damaged in the cache
            is removed.
        InputError: models.yaml is not valid, or the repository holds no encoder that ferkit can build.
    """
    registry = load_registry()
    source = name
    if (entry := registry.get(name)) is None:
        if not name.startswith(PREFIX) and "/" not in name:
            raise UnknownEncoderError(name, registry)
        entry, file = fetch_encoder(parse_repo(name), progress)
        source = name if name.startswith(PREFIX) else f"{PREFIX}{name}"
    elif entry.weights.kind == "hub":
        entry, file = fetch_entry(entry, progress, update=update)
    else:
        path = registered_weights(entry)
        check_sha256(path, sha256_of(path), entry.sha256)
        return PullResult(entry, path, fetched=False, source=source)
    check_sha256(file.path, intact_sha256(file), entry.sha256)
    return PullResult(entry, file.path, file.fetched, source)


def fetch_encoder(repo: HubRepo, progress: Progress | None = None) -> Fetched:
    """Fetch an encoder that its repository describes; return its entry, pinned to the commit, and its weights.

    Raises:
        HubError: as `fetch`.
        InputError: config.json is of no encoder that ferkit can build.
        UnknownBackboneError: it names a network that timm lacks.
        WeightsError: the weights are a pickle only, damaged, or not what the hub or config.json says.
    """
    config, commit = read_config(repo, progress)
    weights = WeightsFile(kind="hub", file=WEIGHTS, repo=repo.id, revision=commit)
    entry = (_own_entry if config.get("library_name") == LIBRARY else _timm_entry)(config, weights, repo)
    file = _fetch_weights(HubRepo(repo.id, commit), entry.sha256, progress)
    size = file.path.stat().st_size or None  # an empty file is refused where it is loaded
    return entry.model_copy(update={"sha256": entry.sha256 or intact_sha256(file), "bytes": size}), file


def fetch_entry(entry: EncoderEntry, progress: Progress | None = None, *, update: bool = False) -> Fetched:
    """Fetch the weights of an entry of the kind ``hub``; return it with its commit, hash and size known.

    An entry that names a branch or no hash gets the commit and the hash that were recorded when it was first fetched
    on this machine; this records them.

    With ``update``, what the hub has now is taken instead of what was recorded.

    Raises:
        HubError: as `fetch`.
        WeightsError: the hub's file is of another hash, or the cache's is damaged.
    """
    progress = progress or Silent()
    pinned = entry if _is_pinned(entry) or update else pinned_entry(entry, progress)
    weights = pinned.weights
    repo = HubRepo(weights.repo or "", weights.revision or "")
    file = fetch(repo, weights.file, sha256=pinned.sha256, progress=progress)
    if _is_pinned(pinned):
        return pinned, file
    record = _Record(
        revision=file.commit,
        sha256=pinned.sha256 or intact_sha256(file),
        bytes=pinned.bytes or file.path.stat().st_size,
    )
    if not is_offline_mode():
        _write_record(entry, record, progress)
    return _pin(pinned, record), file


def pinned_entry(entry: EncoderEntry, progress: Progress | None = None) -> EncoderEntry:
    """Return an entry with the commit, hash and size that were recorded at its first pull; itself where none were."""
    path = _record_path(entry)
    try:
        record = _Record.model_validate_json(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return entry
    except (OSError, ValidationError):
        (progress or Silent()).say(f"{str(path)!r}, the record of an earlier pull, cannot be read: taken as none")
        return entry
    if record.sha256 != (entry.sha256 or record.sha256):
        return entry  # models.yaml names another one by now
    return _pin(entry, record)


def read_config(repo: HubRepo, progress: Progress | None = None) -> tuple[dict[str, Any], str]:
    """Return what a repository's config.json says, and the commit that it is of.

    Raises:
        HubError: as `fetch`.
        InputError: it is not a JSON object.
    """
    file = fetch(repo, CONFIG, progress=progress)
    try:
        return read_json(file.path), file.commit
    except ValueError as error:
        raise InputError(f"{CONFIG} of {repo.id!r} cannot be read ({error}); choose another repository") from error


def config_of(entry: EncoderEntry) -> dict[str, Any]:
    """Return the config.json of an encoder, from which `fetch_encoder` makes the entry again.

    It is flat, so that a class with ``huggingface_hub.PyTorchModelHubMixin`` gets ``arch``, ``dim``, ``input_size`` and
    the rest as arguments of its ``__init__``.
    """
    fields = entry.model_dump(mode="json", exclude_none=True, exclude={"weights"})
    return {"library_name": LIBRARY, **fields}


def _own_entry(config: dict[str, Any], weights: WeightsFile, repo: HubRepo) -> EncoderEntry:
    fields = {name: value for name, value in config.items() if name in EncoderEntry.model_fields and name != "bytes"}
    try:
        return EncoderEntry.model_validate({**fields, "sha256": str(config["sha256"]), "weights": weights})
    except (ValidationError, KeyError) as error:
        raise InputError(
            f"{CONFIG} of {repo.id!r} lacks what ferkit needs ({' '.join(str(error).split())[:200]}); push it again "
            "with this version of ferkit"
        ) from error


def _timm_entry(config: dict[str, Any], weights: WeightsFile, repo: HubRepo) -> EncoderEntry:
    """The entry of a network in the form that timm pushes, at its usual size; timm's config.json holds no hash."""
    from ferkit.encoders.backbones import feature_dim, outline_backbone  # torch loads only for these

    pretrained = config.get("pretrained_cfg")
    arch = config.get("architecture")
    if not isinstance(pretrained, dict) or not isinstance(arch, str):
        raise InputError(
            f"{CONFIG} of {repo.id!r} is neither ferkit's nor timm's, so its network is not known; "
            "choose another repository"
        )
    network = outline_backbone(arch)
    _require_usual(config.get("model_args") or {}, network, repo)
    stated = pretrained.get("license")
    licence = ", ".join(one for one in (stated if isinstance(stated, list) else [stated]) if isinstance(one, str))
    try:
        return EncoderEntry(
            name=repo.id.rpartition("/")[2],
            arch=arch,
            dim=feature_dim(network),
            input_size=pretrained["input_size"][-1],
            mean=pretrained["mean"],
            std=pretrained["std"],
            supervision="unknown",
            licences=Licences(code="Apache-2.0", weights=licence, data="not stated") if licence else None,
            weights=weights,
        )
    except (ValidationError, KeyError, TypeError, IndexError) as error:
        raise InputError(
            f"{CONFIG} of {repo.id!r} does not say which images its network takes; choose another repository"
        ) from error


def _require_usual(arguments: object, network: object, repo: HubRepo) -> None:
    """Refuse arguments of timm's that make another network than its name alone, which is what ferkit builds."""
    if not isinstance(arguments, dict):
        raise InputError(f"'model_args' in {CONFIG} of {repo.id!r} is no JSON object; choose another repository")
    pooling = [getattr(at, "global_pool", None) for at in (getattr(network, "head", None), network)]
    usual = {"global_pool": [getattr(pool, "pool_type", pool) for pool in pooling]}
    others = [
        repr(name)
        for name, value in arguments.items()
        if name not in _SHOWN_BY_WEIGHTS and value is not None and value not in usual.get(name, ())
    ]
    if others:
        raise InputError(
            f"'model_args' in {CONFIG} of {repo.id!r} ask for another network than timm's usual one "
            f"({', '.join(others)[:200]}), which ferkit does not build; choose another repository"
        )


def _fetch_weights(repo: HubRepo, sha256: str | None, progress: Progress | None) -> HubFile:
    try:
        return fetch(repo, WEIGHTS, sha256=sha256, progress=progress)
    except HubError as error:
        if not isinstance(error.__cause__, RemoteEntryNotFoundError):
            raise
        with hub_errors(repo.id, repo.revision):
            files = HfApi().list_repo_files(repo.id, revision=repo.revision)
        pickles = [file for file in files if Path(file).suffix in PICKLED]
        if not pickles:
            raise
        raise WeightsError(
            f"{repo.id!r} holds its weights only as {pickles[0]!r}, a pickle, which can run code when it is opened, so "
            f"ferkit does not fetch it; ask its makers for {WEIGHTS}, or give a copy to `ferkit models import`"
        ) from error


def _is_pinned(entry: EncoderEntry) -> bool:
    return is_commit(entry.weights.revision or "") and entry.sha256 is not None and entry.bytes is not None


def _pin(entry: EncoderEntry, record: _Record) -> EncoderEntry:
    weights = entry.weights.model_copy(update={"revision": record.revision})
    return entry.model_copy(update={"weights": weights, "sha256": record.sha256, "bytes": record.bytes})


def _write_record(entry: EncoderEntry, record: _Record, progress: Progress) -> None:
    try:
        with atomic_path(_record_path(entry)) as temporary:
            temporary.write_text(record.model_dump_json(indent=1), encoding="utf-8")
    except (OutputError, OSError):
        progress.say(f"{str(_record_path(entry))!r} cannot be written: a later pull of {entry.name!r} may bring others")


def _record_path(entry: EncoderEntry) -> Path:
    """One file for each revision that is asked for: entries may share a repository."""
    weights = entry.weights
    folder = Path(constants.HF_ASSETS_CACHE).expanduser() / LIBRARY / (weights.repo or "").replace("/", "--")
    return folder / "revisions" / f"{weights.file}.{sha256_of((weights.revision or '').encode())[:12]}.json"
