"""VoxCeleb1 and VoxCeleb2, faces of people who speak (Nagrani et al., 2017; Chung et al., 2018), as trees of frames."""

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from ferkit.data.sources.layouts.folders import first_present, folder_names, frame_time, image_names, wrong_folder
from ferkit.data.sources.layouts.layout import LazyPictures, Parts
from ferkit.data.sources.layouts.table import Table
from ferkit.data.sources.picture import Chain, Picture

_SCALE = "1.6"  # a level of every published path
_TREES = ("", "unzippedIntervalFaces/data", "unzippedFaces", "data")
_META = ("VoxCeleb1 ID", "VGGFace1 ID", "Gender", "Nationality", "Set")
_VIDEO_FPS = 25.0
_TRACK_FPS = _VIDEO_FPS / 6  # in a folder of its own, a track has every sixth frame, numbered 1, 2, 3
_VOXCELEB2_ID = re.compile(r"id\d{5}")


def read_voxceleb1(root: Path) -> Parts:
    """Read ``<name>/1.6/<video>/<track>/*.jpg``, or ``<name>/1.6/<video>/*.jpg``, the frames at one a second.

    The identity is ``id10001`` and so on where ``vox1_meta.csv`` lies in the folder or beside the people, else the
    name. Frames of tracks are every sixth of a video of 25 a second; those right below a video carry its frame number.
    """
    base = next((root / tree for tree in _TREES if _holds_people(root / tree)), None)
    if base is None:
        raise wrong_folder(root, "VoxCeleb1", f"<name>/{_SCALE}/<video>", "the people")
    ids = _voxceleb1_ids(first_present(root, ["vox1_meta.csv"]) or first_present(base, ["vox1_meta.csv"]))
    people = [name for name in folder_names(base) if (base / name / _SCALE).is_dir()]
    return {"": Chain([_person(base / name / _SCALE, ids.get(name, name)) for name in people])}


def read_voxceleb2(root: Path) -> Parts:
    """Read ``id00012/<video>/<track>/*.jpg``, below ``dev`` and ``test`` or without them.

    What is published are videos, and at what rate somebody took frames of them is not known: they have no time.
    """
    bases = [root / split for split in ("dev", "test") if (root / split).is_dir()] or [root]
    people = [base / name for base in bases for name in folder_names(base) if _VOXCELEB2_ID.fullmatch(name)]
    if not people:
        raise wrong_folder(root, "VoxCeleb2", "id00012 or another such folder", "dev and test")
    clips = [clip for person in people for video in _folders(person) for clip in _folders(video)]
    return {"": Chain([_clip(clip, clip.parents[1].name, None) for clip in clips])}


def _person(folder: Path, identity: str) -> Chain:
    clips = []
    for video in _folders(folder):
        clips.append(_clip(video, identity, _VIDEO_FPS))
        clips += [_clip(track, identity, _TRACK_FPS) for track in _folders(video)]
    return Chain(clips)


def _clip(folder: Path, identity: str, fps: float | None) -> LazyPictures:
    names = image_names(folder)
    return LazyPictures(len(names), partial(_frame, folder, names, identity, fps))


def _frame(folder: Path, names: list[str], identity: str, fps: float | None, index: int) -> Picture:
    time_s = None if fps is None else frame_time(names, index, fps)
    return Picture(str(folder / names[index]), identity=identity, clip=str(folder), time_s=time_s)


def _folders(folder: Path) -> list[Path]:
    return [folder / name for name in folder_names(folder)]


def _holds_people(folder: Path) -> bool:
    return folder.is_dir() and any((person / _SCALE).is_dir() for person in folder.iterdir())


def _voxceleb1_ids(meta: Path | None) -> Mapping[str, str]:
    """Return the id of each name; {} without the table."""
    if meta is None:
        return {}
    rows = Table(meta, _META, needed=_META[:2], delimiter="\t").rows()
    return {row["VGGFace1 ID"]: row["VoxCeleb1 ID"] for row in rows}
