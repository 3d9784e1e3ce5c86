"""Work in parts: one after the other here, or side by side on the machines of a Ray cluster.

This file imports nothing heavy, so that the command line can state the defaults.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypedDict

from ferkit._version import __version__
from ferkit.errors import FerkitError, InputError, UnknownNameError
from ferkit.progress import Progress
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


class _Result(Protocol):
    @property
    def faces(self) -> int: ...


Verb = Callable[..., _Result]
Run = Callable[[Verb, Mapping[str, Any], Sequence[str]], Iterator[int]]


def work_off(
    task: str, verb: Verb, arguments: Mapping[str, Any], left: Sequence[int], settings: PartSettings, progress: Progress
) -> None:
    """Let a verb make those parts of a job that are left; a worker that dies costs the part that it was at.

    Args:
        task: what is done, for the progress bar.
        verb: a function of a module, which takes ``part``, such as ``7/64``, and goes on with what is there of it.
        arguments: its others; paths in them are absolute.
        left: numbers of the parts, from 1.
        settings: how many parts there are, and the engine.
        progress: told of every part.

    Raises:
        InputError: Ray is not installed or cannot be reached, or its workers have another ferkit.
        FerkitError: what the verb raises; finished parts stay.
    """
    run: Run = partial(_by_ray, settings) if settings.on_ray else _one_by_one
    parts, done = settings.count, settings.count - len(left)
    if done:
        progress.say(f"{done} of {parts} parts are there already")
    progress.start(task, parts, done, unit="parts")
    for faces in run(verb, arguments, [f"{number}/{parts}" for number in left]):
        progress.advance(1, note=f"{faces:,} faces")


def _one_by_one(verb: Verb, arguments: Mapping[str, Any], parts: Sequence[str]) -> Iterator[int]:
    for part in parts:
        yield verb(**arguments, part=part).faces


class _Worker:
    """A process of the cluster; encoder and detector stay loaded in it from one part to the next."""

    def version(self) -> str:
        return __version__

    def make(self, verb: Verb, arguments: Mapping[str, Any], part: str) -> int:
        return verb(**arguments, part=part).faces


def _by_ray(settings: PartSettings, verb: Verb, arguments: Mapping[str, Any], parts: Sequence[str]) -> Iterator[int]:
    """Let actors take one part after the other; whoever is free takes the next."""
    if not parts:
        return
    ray = _connected(settings.address)
    try:
        resources, share = ray.cluster_resources(), settings.gpus_per_process
        most = resources.get("GPU", 0) / share if share else resources.get("CPU", 1)
        count = min(settings.processes or max(1, int(most)), len(parts))
        remote = ray.remote(_Worker).options(num_cpus=1, num_gpus=share, max_restarts=-1, max_task_retries=_TRIES)
        actors = [remote.remote() for _ in range(count)]
        _require_own_version(ray, actors)
        yield from _shared_out(ray, [partial(actor.make.remote, verb, arguments) for actor in actors], parts)
    finally:
        ray.shutdown()


def _shared_out(ray: Any, actors: Sequence[Callable[[str], Any]], parts: Sequence[str]) -> Iterator[int]:  # noqa: ANN401
    waiting = list(reversed(parts[len(actors) :]))
    running = {submit(part): (submit, part) for submit, part in zip(actors, parts, strict=False)}
    while running:
        (done,), _ = ray.wait(list(running), num_returns=1)
        submit, part = running.pop(done)
        try:
            faces = ray.get(done)
        except ray.exceptions.RayTaskError as error:
            cause = error.cause
            raise cause if isinstance(cause, FerkitError) else error from None
        except ray.exceptions.RayActorError as error:
            raise InputError(
                f"workers die again and again at part {part}; finished parts stay: see what is special there with "
                f"`--part {part}` on one machine"
            ) from error
        if waiting:
            part = waiting.pop()
            running[submit(part)] = (submit, part)
        yield faces


def _connected(address: str | None) -> Any:  # noqa: ANN401 (the module)
    try:
        import ray
    except ImportError:
        raise InputError("the engine ray is not installed; `pip install 'ferkit[ray]'`") from None
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False)
    except (ConnectionError, RuntimeError, ValueError) as error:
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
