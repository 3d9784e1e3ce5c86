"""An encoder to a repository of the hub: weights, config.json and model card, in one commit."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import CommitInfo, CommitOperationAdd, HfApi, ModelInfo, constants, get_token, is_offline_mode
from huggingface_hub.errors import RepositoryNotFoundError

from ferkit._version import __version__
from ferkit.encoders.card import model_card
from ferkit.encoders.hub import HubRepo, parse_repo
from ferkit.encoders.hub_errors import endpoint, hub_errors, words
from ferkit.encoders.hub_repo import CONFIG, LIBRARY, WEIGHTS, config_of, read_config
from ferkit.encoders.registry import PREFIX, EncoderEntry, Licences, TrainedOn, WeightsFile, load_registry
from ferkit.errors import HubError, InputError, OutputError
from ferkit.printable import shortened
from ferkit.progress import Progress

CARD = "README.md"
_CODE_LICENCE = "Apache-2.0"
"""Of timm's and ferkit's code, which build and train every network that ferkit pushes."""


_ABSOLUTE = re.compile(r"(?<![\w:/.<])/(?:[\w.@+-]+/)+[\w.@+-]*|\b[A-Za-z]:\\\\?\w|(?<![\w/])~/\w")
"""A path of this machine; of an address, what stands behind the colon is none."""


@dataclass(frozen=True)
class PushResult:
    """What the hub holds now."""

    repo: str  # such as ``user/name``
    commit: str  # of this push; of an earlier one where nothing differed
    url: str  # of the repository's page
    private: bool  # whether only its owners see it
    changed: bool  # whether anything differed from what was there


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
) -> PushResult:
    """Put an encoder into a repository of the hub: ``model.safetensors``, ``config.json`` and a model card, one commit.

    A repository that holds this encoder already gets a new commit; one that holds something else is left alone.

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
        OutputError: the repository holds something else, or is not as private as ``private`` says; nothing was changed.
    """
    from ferkit.encoders.encoder import locate_encoder  # torch loads only here
    from ferkit.encoders.weights import load_weights

    if parse_repo(repo).id != repo:
        raise InputError(f"{repo!r} is not USER/NAME; give --repo without {PREFIX} and without a revision")
    listed = load_registry().get(str(run))
    on_hub = str(run).startswith(PREFIX) if listed is None else listed.weights.kind == "hub"
    if on_hub:
        raise InputError(f"{str(run)!r} is on the hub already; give a run folder")
    entry, path = locate_encoder(run, progress)
    load_weights(path, entry.sha256)  # damaged ones are not passed on
    stated = _with_licences(entry, licence, data)
    _refuse_paths(stated)
    _require_token(repo)
    api = HfApi(library_name=LIBRARY, library_version=__version__)
    with _push_errors(repo):
        try:
            there = api.model_info(repo)
        except RepositoryNotFoundError:
            api.create_repo(repo, private=private is not False)
            there = api.model_info(repo)
        else:
            _require_same(there, repo, stated, private, overwrite)
        commit = _commit(api, there, repo, stated, path, message or f"Push {entry.name} with ferkit {__version__}")
    return PushResult(repo, commit.oid, f"{endpoint()}/{repo}", bool(there.private), commit.oid != there.sha)


def _refuse_paths(entry: EncoderEntry) -> None:
    """What is pushed tells nobody where things lie on this machine.

    Raises:
        InputError: a value of the entry holds an absolute path.
    """
    for value in _texts(entry.model_dump(mode="json")):
        if path := _ABSOLUTE.search(value):
            raise InputError(
                f"the entry of {entry.name!r} holds the path {shortened(path[0])}, which would be published; "
                "take it out of the .yaml file beside the weights"
            )


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _texts(part)


def _commit(api: HfApi, there: ModelInfo, repo: str, entry: EncoderEntry, weights: Path, message: str) -> CommitInfo:
    place = WeightsFile(kind="hub", file=WEIGHTS, repo=repo, revision=constants.DEFAULT_REVISION)
    entry = entry.model_copy(update={"weights": place})
    texts = {CONFIG: json.dumps(config_of(entry), indent=2) + "\n", CARD: model_card(entry, f"{PREFIX}{repo}")}
    operations = [CommitOperationAdd(WEIGHTS, weights)]
    if entry.head is not None:
        operations.append(CommitOperationAdd(entry.head.file, weights.with_name(entry.head.file)))
    operations += [CommitOperationAdd(name, text.encode()) for name, text in texts.items()]
    return api.create_commit(repo, operations, commit_message=message, parent_commit=there.sha)


def _require_same(there: ModelInfo, repo: str, entry: EncoderEntry, private: bool | None, overwrite: bool) -> None:
    if private is not None and bool(there.private) != private:
        is_now, option = ("private", "--public") if there.private else ("public", "--private")
        raise OutputError(
            f"{repo!r} is {is_now}; change that at {endpoint()}/{repo}/settings, or push without {option}; "
            "nothing was changed"
        )
    files = {CONFIG, WEIGHTS, CARD} & {file.rfilename for file in there.siblings or ()}
    if files and not overwrite and (holds := _name_there(there, repo, files)) != entry.name:
        what = f"the encoder {holds!r}" if holds else f"something else ({', '.join(sorted(files))})"
        raise OutputError(
            f"{repo!r} holds {what}; add --overwrite to put {entry.name!r} in its place, or choose another --repo; "
            "nothing was changed"
        )


def _name_there(there: ModelInfo, repo: str, files: set[str]) -> str | None:
    """The name of ferkit's encoder that a repository holds."""
    if CONFIG not in files:
        return None
    try:
        config, _ = read_config(HubRepo(repo, there.sha or constants.DEFAULT_REVISION))
    except InputError:
        return None  # a config.json of another making
    return config.get("name") if config.get("library_name") == LIBRARY else None


def _require_token(repo: str) -> None:
    if is_offline_mode():
        raise HubError(f"cannot push to {repo!r} while HF_HUB_OFFLINE is set; unset it")
    if get_token() is None:
        raise HubError(
            f"pushing to {repo!r} needs a token that may write; log in with `hf auth login` or set HF_TOKEN "
            f"({endpoint()}/settings/tokens makes one)"
        )


@contextmanager
def _push_errors(repo: str) -> Iterator[None]:
    with hub_errors(repo, pushing=True):
        try:
            yield
        except UnicodeEncodeError:  # of the token
            raise
        except (RuntimeError, ValueError) as error:  # so the client calls a failed upload and a card that is refused
            why = words(error) if error.__cause__ is None else f"{words(error)} {words(error.__cause__)}"
            raise HubError(f"the hub did not take the push to {repo!r} ({why}); push again") from error


def _with_licences(entry: EncoderEntry, licence: str | None, data: str | None) -> EncoderEntry:
    """The entry with what its file leaves open."""
    before, trained = entry.licences, entry.trained_on
    weights, pictures = licence or (before and before.weights), data or (before and before.data)
    if not weights or not pictures:
        missing = " and ".join(option for option, value in (("--license", weights), ("--data", pictures)) if not value)
        raise InputError(
            f"{entry.name!r} does not say what one may do with its weights or what they learnt from; add {missing}"
        )
    licences = Licences(code=before.code if before else _CODE_LICENCE, weights=weights, data=pictures)
    if trained is not None and (data or not trained.data):
        trained = TrainedOn(**{**dict(trained), "data": pictures})
    return entry.model_copy(update={"licences": licences, "trained_on": trained})
