"""Encoders from the Hugging Face Hub, and to it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ferkit.encoders.hashes import check_sha256, sha256_of
from ferkit.encoders.hub import PREFIX, intact_sha256, parse_repo
from ferkit.encoders.hub_push import Pushed, push
from ferkit.encoders.hub_repo import fetch_encoder, fetch_entry
from ferkit.encoders.registry import EncoderEntry, Licences, TrainedOn, load_registry, registered_weights
from ferkit.errors import InputError, UnknownEncoderError
from ferkit.progress import Progress

__all__ = ["Pulled", "Pushed", "pull_encoder", "push_encoder"]

CODE_LICENCE = "Apache-2.0"
"""Of timm's and ferkit's code, which build and train every network that ferkit pushes."""


@dataclass(frozen=True)
class Pulled:
    """An encoder whose weights lie on this machine and are the right ones.

    Attributes:
        entry: with the commit, hash and size of its weights.
        path: of the weights.
        fetched: whether they were fetched just now.
        source: what to give to ``--encoder``.
    """

    entry: EncoderEntry
    path: Path
    fetched: bool
    source: str


def pull_encoder(name: str, *, update: bool = False, progress: Progress | None = None) -> Pulled:
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
        return Pulled(entry, path, fetched=False, source=source)
    check_sha256(file.path, intact_sha256(file), entry.sha256)
    return Pulled(entry, file.path, file.fetched, source)


def push_encoder(
    run: str | Path,
    repo: str,
    *,
    licence: str | None = None,
    data: str | None = None,
    private: bool | None = None,
    message: str | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Pushed:
    """Put an encoder into a repository of the hub: ``model.safetensors``, ``config.json`` and a model card, one commit.

    Args:
        run: a run folder, a ``.safetensors`` file with its entry beside it, or a name of models.yaml.
        repo: ``user/name``; made where there is none.
        licence: what one may do with the weights, where the entry does not say.
        data: what the training pictures are and what their licence is, where the entry does not say.
        private: whether only its owners see it; None makes a new one private and leaves an old one as it is.
        message: of the commit.
        overwrite: push over another encoder as well; the repository's history keeps it.
        progress: told what happens.

    Raises:
        MissingPathError, UnknownEncoderError, WeightsError: there is no such encoder, or its weights are damaged.
        InputError: nobody says what one may do with it, or what it learnt from.
        HubError: there is no token, or the hub cannot be reached or refuses.
        OutputError: the repository holds something else; nothing was changed.
    """
    from ferkit.encoders.encoder import locate_encoder  # torch loads only here
    from ferkit.encoders.weights import load_weights

    if parse_repo(repo).id != repo:
        raise InputError(f"{repo!r} is not USER/NAME; give --repo without {PREFIX} and without a revision")
    if _is_on_hub(str(run)):
        raise InputError(f"{str(run)!r} is on the hub already; give a run folder")
    entry, path = locate_encoder(run, progress)
    load_weights(path, entry.sha256)  # damaged ones are not passed on
    stated = _stated(entry, licence, data)
    return push(stated, path, repo, private=private, message=message, overwrite=overwrite)


def _is_on_hub(name: str) -> bool:
    entry = load_registry().get(name)
    return name.startswith(PREFIX) if entry is None else entry.weights.kind == "hub"


def _stated(entry: EncoderEntry, licence: str | None, data: str | None) -> EncoderEntry:
    """The entry with what its file leaves open."""
    trained = entry.trained_on
    said = entry.licences
    weights, pictures = licence or (said and said.weights), data or (said and said.data)
    if not weights or not pictures:
        missing = " and ".join(option for option, value in (("--license", weights), ("--data", pictures)) if not value)
        raise InputError(
            f"{entry.name!r} does not say what one may do with its weights or what they learnt from; add {missing}"
        )
    licences = Licences(code=said.code if said else CODE_LICENCE, weights=weights, data=pictures)
    if trained is not None and (data or not trained.data):
        trained = TrainedOn(**{**dict(trained), "data": pictures})
    return entry.model_copy(update={"licences": licences, "trained_on": trained})
