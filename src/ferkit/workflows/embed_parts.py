"""Embed in parts: one after the other here, or side by side on the machines of a Ray cluster."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Unpack

from ferkit._version import __version__
from ferkit.data.embedding_parts import MANIFEST, complete_parts, part_path
from ferkit.data.embedding_set import EmbeddingSet
from ferkit.data.sources.remote import remote_url
from ferkit.encoders import DEFAULT_ENCODER
from ferkit.errors import FerkitError, InputError, SetError, UnknownNameError
from ferkit.locks import output_lock
from ferkit.pipeline import FACES
from ferkit.pipeline.face_options import FaceKeywords, FaceOptions
from ferkit.pipeline.face_stream import open_faces, require_default_faces, source_paths
from ferkit.progress import Progress, Silent
from ferkit.workflows.embed import embed

ENGINES = ("local", "ray")
_TRIES = 3


class UnknownEngineError(UnknownNameError):
    """Not one of ENGINES."""

    kind = "engine"


@dataclass(frozen=True)
class EmbedPartsResult:
    """Where the set lies, and what was done for it.

    Attributes:
        path: the folder.
        faces: vectors in it.
        pictures: pictures that were looked at.
        parts: of how many parts it is.
        made: how many of them this run has made.
        encoder: name of the encoder.
        seconds: how long it took.
    """

    path: Path
    faces: int
    pictures: int
    parts: int
    made: int
    encoder: str
    seconds: float


def embed_parts(
    sources: str | Path | Sequence[str | Path] = FACES,
    out: str | Path = "emb",
    *,
    parts: int = 16,
    engine: str = "local",
    address: str | None = None,
    processes: int | None = None,
    gpus_per_process: float = 0.0,
    encoder: str | Path = DEFAULT_ENCODER,
    batch_size: int = 64,
    device: str | None = None,
    precision: str = "float32",
    progress: Progress | None = None,
    **options: Unpack[FaceKeywords],
) -> EmbedPartsResult:
    """Embed every face of sources into a folder of parts, which every verb reads as one embedding set.

    A part that is there is not made again, whichever run or machine made it; a worker that dies costs the part that it
    was at, which goes on where it was. One run at a time works on a folder.

    Args:
        sources: as `ferkit.embed`; workers must find them at the same places.
        out: the folder, which all workers must see.
        parts: how many consecutive parts of about equal work the sources are cut into.
        engine: ``local``, one part after the other, or ``ray``.
        address: of a Ray cluster, such as ``auto`` or ``ray://host:10001``; None starts one on this machine.
        processes: how many parts are worked on side by side; None takes as many as the cluster has cores, or GPUs.
        gpus_per_process: share of a GPU that each of them takes; 0 leaves them on the CPU.
        encoder: as `ferkit.embed`.
        batch_size: faces per pass through the network.
        device: of each worker; None takes the best one that it sees.
        precision: ``float32`` or ``int8``.
        progress: told of every part.
        options: fields of `ferkit.pipeline.face_options.FaceOptions`.

    Raises:
        BusyError: another run is at work on the folder.
        InputError: Ray is not installed or cannot be reached, or its workers have another ferkit.
        SetError: parts of other versions of ferkit are there.
        FerkitError: as `ferkit.embed`; finished parts stay.
    """
    if engine not in ENGINES:
        raise UnknownEngineError(engine, ENGINES)
    if not 1 <= parts <= 99_999:
        raise InputError(f"a set has 1 to 99,999 parts, not {parts}")
    paths, folder, progress = source_paths(sources), Path(out).absolute(), progress or Silent()
    require_default_faces(paths, "embed")
    started = time.monotonic()
    with output_lock(folder / MANIFEST):
        listing = open_faces(paths, FaceOptions(**options), device, progress).fingerprint
        left = [number for number in range(1, parts + 1) if not _is_made(part_path(folder, number, parts), listing)]
        if len(left) < parts:
            progress.say(f"{parts - len(left)} of {parts} parts are there already")
        arguments = {
            "sources": [path if remote_url(path) else path.absolute() for path in paths],
            "out": folder,
            "encoder": _absolute(encoder),
            "batch_size": batch_size,
            "device": device,
            "precision": precision,
            **options,
        }
        named = {number: f"{number}/{parts}" for number in left}
        run = _one_by_one if engine == "local" else partial(_by_ray, address, processes, gpus_per_process)
        progress.start("embedding", parts, parts - len(left), unit="parts")
        for faces in run(arguments, list(named.values())):
            progress.advance(1, note=f"{faces:,} faces")
        joined = complete_parts(folder, parts)
    return EmbedPartsResult(
        folder, len(joined), joined.pictures or 0, parts, len(left), joined.encoder.name, time.monotonic() - started
    )


def _is_made(path: Path, listing: str) -> bool:
    try:
        return EmbeddingSet.open(path).listing == listing
    except SetError:
        return False


def _absolute(encoder: str | Path) -> str:
    """The encoder as a worker finds it, whatever folder that runs in."""
    path = Path(encoder)
    return str(path.absolute()) if path.exists() else str(encoder)


def _one_by_one(arguments: Mapping[str, Any], parts: Sequence[str]) -> Iterator[int]:
    for part in parts:
        yield embed(**arguments, part=part).faces


class _Worker:
    """A process of the cluster; encoder and detector stay loaded in it from one part to the next."""

    def version(self) -> str:
        return __version__

    def embed(self, arguments: Mapping[str, Any], part: str) -> int:
        return embed(**arguments, part=part).faces


def _by_ray(
    address: str | None,
    processes: int | None,
    gpus_per_process: float,
    arguments: Mapping[str, Any],
    parts: Sequence[str],
) -> Iterator[int]:
    """Let actors take one part after the other; whoever is free takes the next."""
    if not parts:
        return
    ray = _connected(address)
    try:
        resources = ray.cluster_resources()
        most = resources.get("GPU", 0) / gpus_per_process if gpus_per_process else resources.get("CPU", 1)
        count = min(processes or max(1, int(most)), len(parts))
        remote = ray.remote(_Worker).options(
            num_cpus=1, num_gpus=gpus_per_process, max_restarts=-1, max_task_retries=_TRIES
        )
        actors = [remote.remote() for _ in range(count)]
        _require_own_version(ray, actors)
        yield from _shared_out(ray, [partial(actor.embed.remote, arguments) for actor in actors], parts)
    finally:
        ray.shutdown()


def _shared_out(ray: Any, actors: Sequence[Callable[[str], Any]], parts: Sequence[str]) -> Iterator[int]:  # noqa: ANN401
    waiting = list(reversed(parts))
    running = {submit(waiting.pop()): submit for submit in actors}
    while running:
        (done,), _ = ray.wait(list(running), num_returns=1)
        submit = running.pop(done)
        try:
            faces = ray.get(done)
        except ray.exceptions.RayTaskError as error:
            cause = error.cause
            raise cause if isinstance(cause, FerkitError) else error from None
        except ray.exceptions.RayActorError as error:
            raise InputError(f"workers die again and again ({error}); finished parts stay") from error
        if waiting:
            running[submit(waiting.pop())] = submit
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
