"""Data sets whose files' paths say what they show."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import groupby
from pathlib import Path

from ferkit.data.expressions import EXPRESSION_WORDS, expression_of_code
from ferkit.data.sources.layouts.layout import Parts, first_present, pictures_by_path, require_path
from ferkit.data.sources.layouts.table import Table
from ferkit.data.sources.picture import Picture
from ferkit.errors import InputError

_KDEF = r"(?i)(.*/)?[AB](?P<identity>[FM]\d\d)((?P<label>AF|AN|DI|HA|NE|SA|SU)(FL|HL|S|HR|FR)\.\w+|[^/]*)"
_KDEF_LABELS = {"an": "anger", "di": "disgust", "af": "fear", "ha": "happiness", "ne": "neutral"}
_KDEF_LABELS |= {"sa": "sadness", "su": "surprise"}

_LFW_FOLDERS = ("", "lfw", "lfw-deepfunneled", "lfw_funneled", "lfw-deepfunneled/lfw-deepfunneled")

_SFEW_FOLDERS = {"train": "Train", "val": "Val", "test": "Test"}
_SFEW_CLASS = rf"(?i:(?P<label>{'|'.join(EXPRESSION_WORDS)}))/[^/]+"

_VOXCELEB1_FOLDERS = ("", "unzippedIntervalFaces/data", "unzippedFaces", "data")
_VOXCELEB1_META = ("VoxCeleb1 ID", "VGGFace1 ID", "Gender", "Nationality", "Set")
_VOXCELEB_FPS = 25.0
_VOXCELEB_STEP = 6  # in a folder of its own, a track has every sixth frame, numbered 1, 2, 3

_CK_PLUS_CODES = dict(
    enumerate(("neutral", "anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise"))
)
_CK_PLUS_FPS = 30.0
_CK_PLUS_PEAK_FRAMES = 3


def read_kdef(root: Path) -> Parts:
    """Read ``AF01AFS.JPG`` and so on, at any depth; a person's two sessions A and B are one identity.

    A file that is named otherwise behind the person has no label.
    """
    return {"": pictures_by_path(root, _KDEF, label=lambda code: _KDEF_LABELS[code.lower()], identity=str.upper)}


def read_lfw(root: Path) -> Parts:
    """Read ``<Person_Name>/<Person_Name>_0001.jpg``; the identity is the folder's name."""
    bases = [root / folder for folder in _LFW_FOLDERS if (root / folder).is_dir()]
    people = (pictures_by_path(base, r"(?P<identity>[^/]+)/(?P=identity)_\d{4}\.\w+") for base in bases)
    return {"": next(filter(len, people), [])}


def read_sfew(root: Path) -> Parts:
    """Read ``Train``, ``Val`` and ``Test``, or in their place the folders of aligned faces; ``Test`` has no labels."""
    parts = {}
    for split, name in _SFEW_FOLDERS.items():
        aligned = [f"{name}_Aligned_Faces_new", f"{name}_Aligned_Faces"]
        folder = first_present(root, *aligned, *(f"{name}/{inner}" for inner in aligned), name)
        if folder is not None:
            parts[split] = pictures_by_path(folder, "([^/]+/)?[^/]+" if split == "test" else _SFEW_CLASS)
    return parts


def read_voxceleb1(root: Path) -> Parts:
    """Read ``<name>/1.6/<video>/<track>/*.jpg``, or ``<name>/1.6/<video>/*.jpg``, the frames at one a second.

    The identity is ``id10001`` and so on where ``vox1_meta.csv`` lies in the folder or beside the people, else the
    name. Frames of tracks are every sixth of a video of 25 a second; those right below a video carry its frame number.
    """
    base = next((root / folder for folder in _VOXCELEB1_FOLDERS if any((root / folder).glob("*/1.6"))), None)
    if base is None:
        return {}
    ids = _voxceleb1_ids(first_present(root, "vox1_meta.csv") or first_present(base, "vox1_meta.csv"))
    clip = r"(?P<identity>[^/]+)/1\.6/(?P<clip>[^/]+(/[^/]+)?)/[^/]+"
    fps = {True: _VOXCELEB_FPS / _VOXCELEB_STEP, False: _VOXCELEB_FPS}
    frames = pictures_by_path(base, clip, identity=lambda name: ids.get(name, name), fps=lambda name: fps["/" in name])
    return {"": frames}


def _voxceleb1_ids(meta: Path | None) -> Mapping[str, str]:
    """Return the id of each name; {} without the table."""
    rows = Table(meta, _VOXCELEB1_META, needed=_VOXCELEB1_META[:2], delimiter="\t").rows() if meta else []
    return {row["VGGFace1 ID"]: row["VoxCeleb1 ID"] for row in rows}


def read_voxceleb2(root: Path) -> Parts:
    """Read ``id00012/<video>/<track>/*.jpg``, below ``dev`` and ``test`` or without them.

    What is published are videos, and at what rate somebody took frames of them is not known: they have no time.
    """
    return {"": pictures_by_path(root, r"((dev|test)/)?(?P<identity>id\d{5})/(?P<clip>[^/]+/[^/]+)/[^/]+")}


def read_ck_plus(root: Path) -> Parts:
    """Read ``cohn-kanade-images`` and ``Emotion``.

    A sequence runs from the neutral face to the peak, and 327 of 593 have a label for the peak. As is usual, the first
    frame of those is taken as neutral and the last three as the label; the frames between have none.
    """
    images = require_path(root, "cohn-kanade-images", "extended-cohn-kanade-images/cohn-kanade-images")
    emotions = require_path(root, "Emotion", "Emotion_labels/Emotion")
    sequence = r"(?P<identity>[^/]+)/(?P<clip>[^/]+)/[^/]+"
    pictures: list[Picture] = []
    for clip, group in groupby(pictures_by_path(images, sequence, fps=lambda _: _CK_PLUS_FPS), lambda one: one.clip):
        frames = list(group)
        peak = _ck_plus_peak(emotions / Path(clip or "").relative_to(images))
        if peak is not None:
            frames[-_CK_PLUS_PEAK_FRAMES:] = [replace(frame, label=peak) for frame in frames[-_CK_PLUS_PEAK_FRAMES:]]
            frames[0] = replace(frames[0], label="neutral")
        pictures += frames
    return {"": pictures}


def _ck_plus_peak(folder: Path) -> str | None:
    """Return the label of a sequence, None where it has none: the file or its whole folder may be missing."""
    path = next(iter(sorted(folder.glob("*_emotion.txt"))), None)
    if path is None:
        return None
    try:
        return expression_of_code(path.read_text("utf-8"), _CK_PLUS_CODES)
    except ValueError as error:
        raise InputError(f"{str(path)!r} is no number of an emotion ({error}); restore or remove the file") from error
