"""What goes wrong between us and the Hugging Face Hub, as one sentence that says what to do next."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from huggingface_hub import constants, get_token
from huggingface_hub.errors import (
    FileMetadataError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from ferkit.errors import HubError

__all__ = ["hub_errors", "is_transport_error"]

_HttpError: type[Exception] = HfHubHTTPError.__mro__[1]
"""The base of all errors of the HTTP library that the hub's client uses, whichever it is (it has changed thrice)."""

_LOG_IN = "log in with `hf auth login` or set HF_TOKEN"


@contextmanager
def hub_errors(repo: str, revision: str | None = None, file: str | None = None) -> Iterator[None]:
    """Turn whatever the hub's client raises in the block into a `HubError`; ferkit's own errors pass.

    Args:
        repo: what the block is about, such as ``user/name``.
        revision: of it, if one was asked for.
        file: in it, if one was asked for.
    """
    try:
        yield
    except (_HttpError, OSError, HFValidationError) as error:
        raise HubError(_sentence(error, repo, revision, file)) from error


def is_transport_error(error: Exception) -> bool:
    """Whether the hub did not answer, or answered only that it is busy or broken."""
    if isinstance(error, HfHubHTTPError):
        status: int = error.response.status_code
        return status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return isinstance(error, (_HttpError, OfflineModeIsEnabled))


def _sentence(error: Exception, repo: str, revision: str | None, file: str | None) -> str:
    if isinstance(error, HfHubHTTPError):
        return _refusal(error, repo, revision, file)
    if isinstance(error, (OfflineModeIsEnabled, LocalEntryNotFoundError)):
        what = f"{file!r} of {repo!r} at {revision}" if file else repr(repo)
        return f"{what} is not in {constants.HF_HUB_CACHE!r} and HF_HUB_OFFLINE is set; unset it once to fetch it"
    if isinstance(error, FileMetadataError):
        return f"{constants.ENDPOINT} does not answer as a hub does; check HF_ENDPOINT and your proxy"
    if isinstance(error, HFValidationError):
        return f"{repo!r} is no name of a repository; write USER/NAME"
    if isinstance(error, _HttpError):
        return (
            f"cannot reach {constants.ENDPOINT} for {repo!r} ({_words(error)}); check the network, your proxy or "
            "HF_ENDPOINT and try again: what was fetched is kept"
        )
    return f"cannot get {file or 'anything'} of {repo!r} ({_words(error)}); try again: what was fetched is kept"


def _refusal(error: HfHubHTTPError, repo: str, revision: str | None, file: str | None) -> str:
    status: int = error.response.status_code
    if isinstance(error, GatedRepoError):
        return f"{repo!r} is gated: accept its terms at {constants.ENDPOINT}/{repo}, then {_LOG_IN}"
    if isinstance(error, RevisionNotFoundError):
        return f"{repo!r} has no revision {revision!r}; {constants.ENDPOINT}/{repo}/commits/main lists them"
    if isinstance(error, RemoteEntryNotFoundError):
        return f"{repo!r} has no {file!r} at {revision}; {constants.ENDPOINT}/{repo}/tree/main lists its files"
    anonymous = get_token() is None
    if (
        isinstance(error, RepositoryNotFoundError)
        or status == HTTPStatus.NOT_FOUND
        or (
            anonymous and status == HTTPStatus.UNAUTHORIZED  # so the hub hides private ones
        )
    ):
        hidden = f"it is private: {_LOG_IN}" if anonymous else "your token may not see it"
        return f"{constants.ENDPOINT} has no repository {repo!r}; check the spelling, or {hidden}"
    if status == HTTPStatus.UNAUTHORIZED:
        return f"{constants.ENDPOINT} does not accept your token for {repo!r}; {_LOG_IN}"
    if status == HTTPStatus.FORBIDDEN:
        return f"your token may not do this with {repo!r}; make one that may at {constants.ENDPOINT}/settings/tokens"
    if is_transport_error(error):
        return f"{constants.ENDPOINT} is busy or broken (status {status}); try again in some minutes"
    return f"{constants.ENDPOINT} refuses this for {repo!r} (status {status}: {error.server_message or _words(error)})"


def _words(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
