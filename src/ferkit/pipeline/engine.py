"""Work in parts: one after the other here, or side by side on the machines of a Ray cluster.

This file imports nothing heavy, so that the command line can state the defaults.
"""

import logging
import socket
from collections.abc import Callable, Iterator, Sequence, Sized
from dataclasses import dataclass
from typing import Any, Protocol, TypedDict

from ferkit._version import __version__
from ferkit.errors import FerkitError, InputError, UnknownNameError
from ferkit.progress import Progress, Silent
from ferkit.settings import setting

ENGINES = ("local", "ray")
_GROUP = "In parts, on one machine or many"
_PARTS, _MOST_PARTS = 16, 99_999
_TRIES = 3


@dataclass(frozen=True)
class PartSettings:
    """Into how many parts a job is cut, and who works on them."""

    parts: int | None = setting(None, "Make the output in so many parts.", min=1, default_text="16", group=_GROUP)
    engine: str | None = setting(
        None,
        "One part after the other, or on a Ray cluster.",
        metavar="|".join(ENGINES),
        default_text="local, ray with --address",
        group=_GROUP,
    )
    address: str | None = setting(
        None, "Of the cluster: auto, ray://HOST:10001.", default_text="one on this machine", group=_GROUP
    )
    processes: int | None = setting(
        None, "Parts side by side.", min=1, default_text="the cluster's cores or GPUs", group=_GROUP
    )
    gpus_per_process: float = setting(0.0, "Share of a GPU that each takes.", min=0, group=_GROUP)

    def __post_init__(self) -> None:
        """Refuse what cannot be.

        Raises:
            UnknownNameError: there is no such engine.
            InputError: too few or too many parts.
        """
        if self.engine not in (None, *ENGINES):
            raise UnknownNameError(self.engine, ENGINES, "engine")
        if not 1 <= self.count <= _MOST_PARTS:
            raise InputError(f"a set has 1 to {_MOST_PARTS:,} parts, not {self.count}")

    @property
    def count(self) -> int:
        """How many parts there are."""
        return _PARTS if self.parts is None else self.parts

    @property
    def on_ray(self) -> bool:
        """Whether a Ray cluster does the work."""
        return self.engine == "ray" or (self.engine is None and self.address is not None)


class PartKeywords(TypedDict, total=False):
    """Keyword arguments of `PartSettings`, for the signatures of verbs."""

    parts: int | None
    engine: str | None
    address: str | None
    processes: int | None
    gpus_per_process: float


class Listed(Protocol):
    """Faces whose sources are known by a digest."""

    @property
    def listing(self) -> str:
        """The digest."""


class Job(Protocol):
    """What is made in parts: a `FaceSetJob` or an `EmbeddingJob`."""

    @property
    def stream(self) -> Listed:
        """The faces of all sources."""

    def build_part(self, number: int, parts: int) -> Sized:
        """Make one part, or go on with what is there of it; return its faces."""


Open = Callable[[Progress], Job]


def work_off(
    task: str, job: Job, open_job: Open, left: Sequence[int], settings: PartSettings, progress: Progress
) -> None:
    """Make those parts of a job that are left; a worker that dies costs the part that it was at.

    Args:
        task: what is done, for the progress bar.
        job: as this process opened it; it says nothing of its own.
        open_job: opens it in a worker; paths in it are absolute.
        left: numbers of the parts, from 1.
        settings: how many parts there are, and the engine.
        progress: told of every part.

    Raises:
        InputError: Ray is not installed or cannot be reached, or its workers have another ferkit.
        FerkitError: what a part raises; finished parts stay.
    """
    parts, done = settings.count, settings.count - len(left)
    if done:
        progress.say(f"{done} of {parts} parts are there already")
    progress.start(task, parts, done, unit="parts")
    for faces in _by_ray(settings, job, open_job, left) if settings.on_ray else _one_by_one(job, left, parts):
        progress.advance(1, note=f"{faces:,} faces")


class _Worker:
    """A process of the cluster; sources are listed once in it, and encoder and detector loaded once for all parts."""

    def __init__(self, open_job: Open, listing: str, parts: int) -> None:
        self._open_job, self._listing, self._parts = open_job, listing, parts
        self._job: Job | None = None

    def version(self) -> str:
        return __version__

    def make(self, number: int) -> int:
        if self._job is None:
            self._job = self._open_job(Silent())
        if self._job.stream.listing != self._listing:
            raise InputError(
                f"{socket.gethostname()} sees other sources than the machine that leads, or they have changed since; "
                "let all see the same files"
            )
        return len(self._job.build_part(number, self._parts))


def _one_by_one(job: Job, left: Sequence[int], parts: int) -> Iterator[int]:
    for number in left:
        yield len(job.build_part(number, parts))


def _by_ray(settings: PartSettings, job: Job, open_job: Open, left: Sequence[int]) -> Iterator[int]:
    """Let actors take one part after the other; whoever is free takes the next."""
    if not left:
        return
    ray = _connected(settings.address)
    try:
        resources, share = ray.cluster_resources(), settings.gpus_per_process
        most = resources.get("GPU", 0) / share if share else resources.get("CPU", 1)
        count = min(settings.processes or max(1, int(most)), len(left))
        remote = ray.remote(_Worker).options(num_cpus=1, num_gpus=share, max_restarts=-1, max_task_retries=_TRIES)
        actors = [remote.remote(open_job, job.stream.listing, settings.count) for _ in range(count)]
        _require_own_version(ray, actors)
        yield from _shared_out(ray, [actor.make.remote for actor in actors], left)
    finally:
        ray.shutdown()


def _shared_out(ray: Any, actors: Sequence[Callable[[int], Any]], left: Sequence[int]) -> Iterator[int]:  # noqa: ANN401
    waiting = list(reversed(left[len(actors) :]))
    running = {submit(number): (submit, number) for submit, number in zip(actors, left, strict=False)}
    while running:
        (done,), _ = ray.wait(list(running), num_returns=1)
        submit, number = running.pop(done)
        try:
            faces = ray.get(done)
        except ray.exceptions.RayTaskError as error:
            cause = error.cause
            raise cause if isinstance(cause, FerkitError) else error from None
        except ray.exceptions.RayActorError as error:
            raise InputError(
                f"workers die again and again at part {number}; finished parts stay: see what is special there with "
                f"`--part {number}/PARTS` on one machine"
            ) from error
        if waiting:
            number = waiting.pop()
            running[submit(number)] = (submit, number)
        yield faces


def _connected(address: str | None) -> Any:  # noqa: ANN401 (the module)
    try:
        import ray
    except ImportError:
        raise InputError("the engine ray is not installed; `pip install 'ferkit[ray]'`") from None
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False)
    except Exception as error:  # of many kinds; a machine that is too busy to start Ray in time raises this very one
        why = " ".join(str(error).split())[:120]
        raise InputError(f"no Ray cluster can be reached at {address or 'this machine'!r} ({why})") from error
    return ray


def _require_own_version(ray: Any, actors: Sequence[Any]) -> None:  # noqa: ANN401 (modules and handles of Ray)
    try:
        versions = set(ray.get([actor.version.remote() for actor in actors]))
    except ray.exceptions.RayError as error:
        raise InputError("the workers of the Ray cluster have no ferkit; install it there as it is here") from error
    if versions != {__version__}:
        raise InputError(
            f"the workers have ferkit {', '.join(sorted(versions))} and this machine {__version__}; use the same"
        )
