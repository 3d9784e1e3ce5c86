"""What goes wrong between us and the Hugging Face Hub, as one sentence that says what to do next."""

import re
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

_HttpError: type[Exception] = HfHubHTTPError.__mro__[1]
"""The base of all errors of the HTTP library that the hub's client uses, whichever it is (it has changed thrice)."""

_LOGIN = re.compile(r"(?<=://)[^/\s]*@")
"""A name and password in an address."""

_LOG_IN = "log in with `hf auth login` or set HF_TOKEN"


@contextmanager
def hub_errors(
    repo: str, revision: str | None = None, file: str | None = None, *, pushing: bool = False
) -> Iterator[None]:
    """Turn whatever the hub's client raises in the block into a `HubError`; ferkit's own errors pass.

    ``pushing`` says that it puts something there, where it would fetch otherwise.
    """
    try:
        yield
    except (_HttpError, OSError, ValueError) as error:
        raise HubError(_sentence(error, repo, revision, file, pushing)) from error


def endpoint() -> str:
    """Return the hub's address as it may be shown: without name and password."""
    return _LOGIN.sub("", constants.ENDPOINT)


def words(error: BaseException) -> str:
    """Return what the hub's client says, on one line and without names and passwords."""
    return _LOGIN.sub("", " ".join(str(error).split()))[:200] or type(error).__name__


def is_transport_error(error: Exception) -> bool:
    """Whether the hub did not answer, or answered only that it is busy or broken."""
    if isinstance(error, HfHubHTTPError):
        status: int = error.response.status_code
        return status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return isinstance(error, (_HttpError, OfflineModeIsEnabled))


def _sentence(error: BaseException, repo: str, revision: str | None, file: str | None, pushing: bool) -> str:
    if isinstance(error, LocalEntryNotFoundError) and error.__cause__ is not None:  # so the client passes on all else
        return _sentence(error.__cause__, repo, revision, file, pushing)
    if isinstance(error, HfHubHTTPError):
        return _refusal(error, repo, revision, file)
    if isinstance(error, OfflineModeIsEnabled):
        what = f"{file!r} of {repo!r} at {revision}" if file else repr(repo)
        return f"{what} is not in {constants.HF_HUB_CACHE!r} and HF_HUB_OFFLINE is set; unset it once to fetch it"
    if isinstance(error, UnicodeEncodeError):
        return f"your token holds a character that no token has; copy it again, then {_LOG_IN}"
    if isinstance(error, HFValidationError):
        return f"{repo!r} is no name of a repository; write USER/NAME"
    if isinstance(error, (FileMetadataError, ValueError)):
        return f"{endpoint()} does not answer as a hub does; check HF_ENDPOINT and your proxy"
    again = "push again" if pushing else "try again"
    if isinstance(error, _HttpError):
        return (
            f"cannot reach {endpoint()} for {repo!r} ({words(error)}); check the network, your proxy or HF_ENDPOINT "
            f"and {again}"
        )
    what = "push to" if pushing else f"get {file or 'anything'} of"
    return f"cannot {what} {repo!r} ({words(error)}); {again}"


def _refusal(error: HfHubHTTPError, repo: str, revision: str | None, file: str | None) -> str:
    status: int = error.response.status_code
    if isinstance(error, GatedRepoError):
        return f"{repo!r} is gated: accept its terms at {endpoint()}/{repo}, then {_LOG_IN}"
    if isinstance(error, RevisionNotFoundError):
        return f"{repo!r} has no revision {revision!r}; {endpoint()}/{repo}/commits/main lists them"
    if isinstance(error, RemoteEntryNotFoundError):
        return f"{repo!r} has no {file!r} at {revision}; {endpoint()}/{repo}/tree/main lists its files"
    anonymous = get_token() is None
    if (
        isinstance(error, RepositoryNotFoundError)
        or status == HTTPStatus.NOT_FOUND
        or (
            anonymous and status == HTTPStatus.UNAUTHORIZED  # so the hub hides private ones
        )
    ):
        hidden = f"it is private: {_LOG_IN}" if anonymous else "your token may not see it"
        return f"{endpoint()} has no repository {repo!r}; check the spelling, or {hidden}"
    if status == HTTPStatus.UNAUTHORIZED:
        return f"{endpoint()} does not accept your token for {repo!r}; {_LOG_IN}"
    if status == HTTPStatus.FORBIDDEN:
        return f"your token may not do this with {repo!r}; make one that may at {endpoint()}/settings/tokens"
    if is_transport_error(error):
        return f"{endpoint()} is busy or broken (status {status}); try again in some minutes"
    return f"{endpoint()} refuses this for {repo!r} (status {status}: {error.server_message or words(error)})"
