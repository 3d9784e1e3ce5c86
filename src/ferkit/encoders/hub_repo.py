"""Encoders that live in a repository of the hub: what its config.json says, and which commit a branch stands for.

Two kinds of repositories are read: ferkit's own (`config_of` writes their config.json) and timm's.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, cached_assets_path, constants, is_offline_mode
from huggingface_hub.errors import RemoteEntryNotFoundError
from pydantic import ValidationError

from ferkit.atomic import atomic_path
from ferkit.encoders.hashes import sha256_of
from ferkit.encoders.hub import HubFile, HubRepo, fetch, is_commit
from ferkit.encoders.hub_errors import hub_errors
from ferkit.encoders.registry import EncoderCard, EncoderEntry, Licences, WeightsFile
from ferkit.errors import HubError, InputError, WeightsError
from ferkit.progress import Progress

__all__ = [
    "CONFIG",
    "LIBRARY",
    "WEIGHTS",
    "config_of",
    "fetch_encoder",
    "fetch_entry",
    "forget_damaged",
    "read_config",
    "recorded",
]

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
LIBRARY = "ferkit"
"""What config.json says in ``library_name`` where ferkit wrote it."""

Fetched = tuple[EncoderEntry, HubFile]


def fetch_encoder(repo: HubRepo, progress: Progress | None = None) -> Fetched:
    """Fetch an encoder that its repository describes; return its entry, pinned to the commit, and its weights.

    Raises:
        HubError: as `fetch`.
        InputError: config.json is of no encoder that ferkit can build.
        UnknownBackboneError: it names a network that timm lacks.
        WeightsError: the weights are a pickle only, or not what the hub or config.json says.
    """
    config, commit = read_config(repo, progress)
    card, sha256 = _own_card(config, repo) if config.get("library_name") == LIBRARY else _timm_card(config, repo)
    file = _fetch_weights(HubRepo(repo.id, commit), sha256, progress)
    weights = WeightsFile(kind="hub", file=WEIGHTS, repo=repo.id, revision=commit)
    size = file.path.stat().st_size
    return EncoderEntry(**dict(card), weights=weights, sha256=sha256 or sha256_of(file.path), bytes=size), file


def fetch_entry(entry: EncoderEntry, progress: Progress | None = None, *, update: bool = False) -> Fetched:
    """Fetch the weights of an entry of the kind ``hub``; return it with its commit, hash and size known.

    An entry that names a branch or no hash gets the commit and the hash that were recorded when it was first fetched
    on this machine; this records them.

    Args:
        entry: whose weights lie on the hub.
        progress: told of every chunk.
        update: take what the hub has now instead of what was recorded.

    Raises:
        HubError: as `fetch`.
        WeightsError: the hub's file is of another hash.
    """
    known = entry if _is_settled(entry) or update else recorded(entry)
    weights = known.weights
    repo = HubRepo(weights.repo or "", weights.revision or "")
    file = fetch(repo, weights.file, sha256=known.sha256, progress=progress)
    if _is_settled(known):
        return known, file
    settled = known.model_copy(
        update={
            "weights": weights.model_copy(update={"revision": file.commit}),
            "sha256": known.sha256 or sha256_of(file.path),
            "bytes": known.bytes or file.path.stat().st_size,
        }
    )
    if not is_offline_mode():
        _record(entry, settled)
    return settled, file


def recorded(entry: EncoderEntry) -> EncoderEntry:
    """Return an entry with the commit, hash and size that were recorded at its first pull; itself where none were."""
    path = _record_path(entry)
    if not path.is_file():
        return entry
    record = json.loads(path.read_text(encoding="utf-8"))
    if record.pop("asked") != entry.weights.revision or record["sha256"] != (entry.sha256 or record["sha256"]):
        return entry  # models.yaml names another one by now
    weights = entry.weights.model_copy(update={"revision": record.pop("revision")})
    return entry.model_copy(update={"weights": weights, **record})


def forget_damaged(entry: EncoderEntry, file: HubFile) -> None:
    """Make sure that a fetched file is the entry's; one that is not leaves the cache, so that it is fetched anew.

    Raises:
        WeightsError: it is not.
    """
    actual = sha256_of(file.path)
    if actual == entry.sha256:
        return
    for path in {file.path.resolve(), file.path}:
        path.unlink(missing_ok=True)
    raise WeightsError(
        f"{str(file.path)!r} has the SHA-256 {actual[:12]}…, not the {str(entry.sha256)[:12]}… of {entry.name!r}; "
        "it was taken out of the cache: pull it again"
    )


def read_config(repo: HubRepo, progress: Progress | None = None) -> tuple[dict[str, Any], str]:
    """Return what a repository's config.json says, and the commit that it is of.

    Raises:
        HubError: as `fetch`.
        InputError: it is not a JSON object.
    """
    file = fetch(repo, CONFIG, progress=progress)
    try:
        config = json.loads(file.path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{CONFIG} of {repo.id!r} is not JSON ({error}); choose another repository") from error
    if not isinstance(config, dict):
        raise InputError(f"{CONFIG} of {repo.id!r} is not a JSON object; choose another repository")
    return config, file.commit


def config_of(entry: EncoderEntry) -> dict[str, Any]:
    """Return the config.json of an encoder, from which `fetch_encoder` makes the entry again.

    It is flat, so that a class with ``huggingface_hub.PyTorchModelHubMixin`` gets ``arch``, ``dim``, ``input_size`` and
    the rest as arguments of its ``__init__``.
    """
    fields = entry.model_dump(mode="json", exclude_none=True, exclude={"weights"})
    return {"library_name": LIBRARY, **fields}


def _own_card(config: dict[str, Any], repo: HubRepo) -> tuple[EncoderCard, str]:
    fields = {name: value for name, value in config.items() if name in EncoderCard.model_fields}
    try:
        return EncoderCard.model_validate(fields), str(config["sha256"])
    except (ValidationError, KeyError) as error:
        raise InputError(
            f"{CONFIG} of {repo.id!r} lacks what ferkit needs ({' '.join(str(error).split())[:200]}); push it again "
            "with this version of ferkit"
        ) from error


def _timm_card(config: dict[str, Any], repo: HubRepo) -> tuple[EncoderCard, None]:
    """The card of a network in the form that timm pushes, at its usual size; timm's config.json holds no hash."""
    from ferkit.encoders.backbones import build_backbone, feature_dim  # torch loads only for these

    pretrained = config.get("pretrained_cfg")
    if not isinstance(pretrained, dict) or "architecture" not in config:
        raise InputError(
            f"{CONFIG} of {repo.id!r} is neither ferkit's nor timm's, so its network is not known; "
            "choose another repository"
        )
    arch, licence = str(config["architecture"]), pretrained.get("license")
    try:
        card = EncoderCard(
            name=repo.id.rpartition("/")[2],
            arch=arch,
            dim=feature_dim(build_backbone(arch)),
            input_size=pretrained["input_size"][-1],
            mean=pretrained["mean"],
            std=pretrained["std"],
            supervision="unknown",
            licences=Licences(code="Apache-2.0", weights=licence, data="not stated") if licence else None,
        )
    except (ValidationError, KeyError, TypeError, IndexError) as error:
        raise InputError(
            f"{CONFIG} of {repo.id!r} does not say which images its network takes; choose another repository"
        ) from error
    return card, None


def _fetch_weights(repo: HubRepo, sha256: str | None, progress: Progress | None) -> HubFile:
    try:
        return fetch(repo, WEIGHTS, sha256=sha256, progress=progress)
    except HubError as error:
        if not isinstance(error.__cause__, RemoteEntryNotFoundError):
            raise
        with hub_errors(repo.id, repo.revision):
            pickles = _pickles(HfApi().list_repo_files(repo.id, revision=repo.revision))
        if not pickles:
            raise
        raise WeightsError(
            f"{repo.id!r} holds its weights only as {pickles[0]!r}, a pickle, which can run code when it is opened, so "
            f"ferkit does not fetch it; ask its makers for {WEIGHTS}, or give a copy to `ferkit models import`"
        ) from error


def _pickles(files: list[str]) -> list[str]:
    from ferkit.encoders.weights import PICKLED  # torch loads only where this goes wrong

    return [file for file in files if Path(file).suffix in PICKLED]


def _is_settled(entry: EncoderEntry) -> bool:
    return is_commit(entry.weights.revision or "") and entry.sha256 is not None and entry.bytes is not None


def _record(asked: EncoderEntry, settled: EncoderEntry) -> None:
    record = {
        "asked": asked.weights.revision,
        "revision": settled.weights.revision,
        "sha256": settled.sha256,
        "bytes": settled.bytes,
    }
    with atomic_path(_record_path(asked)) as temporary:
        temporary.write_text(json.dumps(record, indent=1), encoding="utf-8")


def _record_path(entry: EncoderEntry) -> Path:
    folder = cached_assets_path(LIBRARY, entry.weights.repo or "", "revisions", assets_dir=constants.HF_ASSETS_CACHE)
    return folder / f"{entry.weights.file}.json"
