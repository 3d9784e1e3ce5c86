"""Split a face set for training and testing: nobody is in two parts, and each has its share of every label."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ferkit._version import __version__
from ferkit.atomic import output_errors
from ferkit.data.face_selection import GROUPINGS, codes, groups_of
from ferkit.data.face_set import FaceSet, refuse_foreign, require_disk
from ferkit.documents import read_json
from ferkit.errors import InputError, OutputError
from ferkit.ops.stratified_groups import stratified_group_split
from ferkit.progress import Progress, Silent
from ferkit.staging import JOURNAL, StagedOutput
from ferkit.workflows import PARTS
from ferkit.workflows.faces import copy_faces, fingerprint

Integers = NDArray[np.int64]

_RECORD = "split.json"


@dataclass(frozen=True)
class Part:
    """The face set ``path`` of one part: how many faces and people, and how many faces of each label."""

    name: str
    path: Path
    faces: int
    identities: int
    labels: dict[str, int]


@dataclass(frozen=True)
class SplitResult:
    """What a split made."""

    path: Path  # folder of the parts; its ``split.json`` says how it was made
    by: str  # what was kept together
    parts: list[Part]  # the parts, in the order asked for
    ungrouped: int  # faces that lack what was to be kept together, so that their clip or picture was
    shared: int  # different pictures (by their pixels) that are in two parts


def split_faces(
    faces: str | Path,
    out: str | Path,
    parts: Mapping[str, float] = PARTS,
    *,
    seed: int = 0,
    by: str = "identity",
    overwrite: bool = False,
    progress: Progress | None = None,
) -> SplitResult:
    """Split a face set into several, stratified by label as well as whole groups allow.

    Args:
        faces: folder of the face set.
        out: folder to make, of one face set for each part; a run that was killed goes on where it stopped.
        parts: share of each part, by name; the shares add up to 1.
        seed: settles which of two equal groups goes where.
        by: what stays together: all faces of an ``identity``, of a ``clip``, or of a ``source`` picture or video; or
            ``none``. Where a face has no identity its clip stays together, else its picture.
        overwrite: replace a split that is there, once the new one is complete.
        progress: told of every batch.

    Raises:
        SetError: ``faces`` is no face set, or is damaged.
        InputError: the parts or ``by`` cannot be understood, or there are fewer groups than parts.
        OutputError: ``out`` is taken or cannot be written; nothing that was there has changed.
    """
    _check_parts(parts, by)
    require_disk(Path(out))
    face_set, out, progress = FaceSet.open(faces), Path(out).resolve(), progress or Silent()
    groups, ungrouped = groups_of(face_set.columns(["source", "clip", "identity"]), by)
    _require_groups(face_set, groups, parts, by)
    labels, _ = codes(face_set.column("label"))
    dealt = stratified_group_split(groups, labels, np.array(list(parts.values())), seed)
    if ungrouped:
        progress.say(f"{ungrouped:,} of {len(face_set):,} faces have no {by}: their clip or picture stays together")
    taken = {name: face_set.subset(np.flatnonzero(dealt == number)) for number, name in enumerate(parts)}
    record = {"faces": str(face_set.path), "parts": dict(parts), "by": by, "seed": seed, "ferkit": __version__}
    _write(taken, out, record | {"fingerprint": fingerprint(list(taken.values()))}, overwrite, progress)
    shared = _shared(face_set.column("sha256"), dealt)
    if shared:
        progress.say(f"{shared:,} pictures are in two parts, pixel by pixel; `ferkit faces filter --dedupe` first")
    described = [_part(name, out / name, part) for name, part in taken.items()]
    return SplitResult(out, by, described, ungrouped, shared)


def _check_parts(parts: Mapping[str, float], by: str) -> None:
    if by not in GROUPINGS:
        raise InputError(f"a split keeps together {', '.join(GROUPINGS)}, not {by!r}")
    if len(parts) < 2:
        raise InputError("a split has at least two parts, such as train=0.8,test=0.2")
    for name, share in parts.items():
        if not name or name != Path(name).name or name.startswith(".") or name == _RECORD:
            raise InputError(f"{name!r} cannot be the name of a part, since it is to be the name of a folder")
        if not 0 < share < 1:
            raise InputError(f"the share of part {name!r} must be between 0 and 1, not {share:g}")
    if abs(sum(parts.values()) - 1) > 1e-6:
        raise InputError(f"the shares of the parts must add up to 1, not {sum(parts.values()):g}")


def _require_groups(face_set: FaceSet, groups: Integers, parts: Mapping[str, float], by: str) -> None:
    found = len(np.unique(groups))
    if found >= len(parts):
        return
    one = {"identity": "person", "clip": "clip", "source": "picture", "none": "face"}[by]
    finer = GROUPINGS[min(GROUPINGS.index(by) + 1, len(GROUPINGS) - 1)]
    raise InputError(
        f"the {len(face_set):,} faces of {str(face_set.path)!r} are of {found} {one if found == 1 else 'groups'}, too"
        f" few for {len(parts)} parts; ask for fewer parts or keep less together: --by {finer}"
    )


def _write(
    taken: Mapping[str, FaceSet], out: Path, record: Mapping[str, Any], overwrite: bool, progress: Progress
) -> None:
    """Write the parts into ``<out>.partial``, which becomes ``out`` when all are complete."""
    with output_errors(out):
        _refuse_taken(out, record, overwrite)
    with StagedOutput(out, record, _refuse_foreign) as output:
        if not overwrite and _read_record(out) == record:
            progress.say(f"{out} is complete already")
            output.discard()
            return
        with output_errors(out):
            if not output.resume():
                output.begin()
            (output.folder / _RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        for name, part in taken.items():
            copy_faces([part], output.folder / name, f"writing {name}", overwrite=False, progress=progress)
        with output_errors(out):
            _refuse_taken(out, record, overwrite)  # hours may have passed
            output.commit()


def _read_record(folder: Path) -> dict[str, Any]:
    try:
        return read_json(folder / _RECORD)
    except (OSError, ValueError):
        return {}


def _refuse_taken(out: Path, record: Mapping[str, Any], overwrite: bool) -> None:
    if Path(record["faces"]).is_relative_to(out):
        raise OutputError(f"{str(out)!r} holds the face set that is to be split; choose another output")
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    _refuse_foreign(out)
    if not overwrite and _read_record(out) != record:
        raise OutputError(f"{str(out)!r} already holds a split; choose another output or add --overwrite")


def _refuse_foreign(folder: Path) -> None:
    """Never delete anything but the record of a split and the face sets that it names, whole or unfinished."""
    if not folder.is_dir():
        raise OutputError(f"{str(folder)!r} is a file, and a split is a folder; choose another output")
    names = _read_record(folder).get("parts", ())
    ours = {_RECORD, JOURNAL, *(own for name in names for own in (name, f"{name}.partial", f".{name}.lock"))}
    for child in folder.iterdir():
        if child.name not in ours:
            where = f"{str(folder)!r} holds {child.name!r}"
            raise OutputError(f"{where}, which is no part of a split; choose another output")
        if child.is_dir():
            refuse_foreign(child)


def _shared(digests: pa.ChunkedArray, dealt: Integers) -> int:
    """How many different pictures are in more than one part."""
    numbers, _ = codes(digests)
    pairs = np.unique(np.stack([numbers, dealt]), axis=1)
    return int((np.bincount(pairs[0]) > 1).sum())


def _part(name: str, path: Path, part: FaceSet) -> Part:
    labels = Counter(part.column("label").drop_null().to_pylist())
    identities = len(part.column("identity").drop_null().unique())
    return Part(name, path, len(part), identities, dict(sorted(labels.items())))
