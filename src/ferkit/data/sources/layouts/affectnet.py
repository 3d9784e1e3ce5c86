"""AffectNet (Mollahosseini, Hasani and Mahoor, 2017): with csv files, or with ``.npy`` files as later released."""

from functools import partial
from pathlib import Path

import numpy as np

from ferkit.data.expressions import EXPRESSIONS, affect, expression_of_code, numbered
from ferkit.data.sources.classes import AFFECTNET
from ferkit.data.sources.layouts.folders import class_tree, first_present, image_names, joined, wrong_folder
from ferkit.data.sources.layouts.layout import LazyPictures, Parts, or_unreadable
from ferkit.data.sources.layouts.table import Row, Table, table_pictures
from ferkit.data.sources.picture import Picture

# 8 none of these, 9 uncertain, 10 no face: kept without a label, whatever a detector makes of them.
_CODES = numbered(*EXPRESSIONS, None, None, None)
_UNKNOWN = (-2.0,)

_BOX = ("face_x", "face_y", "face_width", "face_height")
_NEEDED = ("subDirectory_filePath", *_BOX, "expression", "valence", "arousal")
# Copies of validation.csv are found without the line of names.
_COLUMNS = ("subDirectory_filePath", *_BOX, "facial_landmarks", "expression", "valence", "arousal")
_FOLDERS = {"train": "train_set", "val": "val_set"}
_TABLES = {"train": "training.csv", "val": "validation.csv"}
_TABLE_FOLDERS = ("", "Manually_Annotated_file_lists", "Manually_Annotated")
_IMAGE_FOLDERS = ("Manually_Annotated_Images", "Manually_Annotated/Manually_Annotated_Images")


def read_affectnet(root: Path) -> Parts:
    """Read ``training.csv`` and ``validation.csv``, whichever is there, and ``Manually_Annotated_Images``."""
    images = first_present(root, _IMAGE_FOLDERS)
    found = {
        split: first_present(root, [str(Path(folder, name)) for folder in _TABLE_FOLDERS])
        for split, name in _TABLES.items()
    }
    if images is None and (parts := class_tree(root, AFFECTNET)):
        return parts
    if images is None:
        raise wrong_folder(root, "AffectNet", "Manually_Annotated_Images", "it and training.csv")
    if not any(found.values()):
        raise wrong_folder(
            root, "AffectNet", "training.csv or validation.csv", "one of them and Manually_Annotated_Images"
        )
    return {
        split: table_pictures(Table(path, _COLUMNS, needed=_NEEDED), partial(_picture, images))
        for split, path in found.items()
        if path is not None
    }


def _picture(images: Path, row: Row) -> Picture:
    return Picture(
        joined(images, row["subDirectory_filePath"]),
        label=expression_of_code(row["expression"], _CODES),
        box=_box(row),
        valence=affect(row["valence"], unknown=_UNKNOWN),
        arousal=affect(row["arousal"], unknown=_UNKNOWN),
    )


def _box(row: Row) -> tuple[float, float, float, float] | None:
    if "NULL" in (row[name].upper() for name in _BOX):
        return None
    x, y, width, height = (float(row[name]) for name in _BOX)
    return x, y, x + width, y + height


def read_affectnet_npy(root: Path) -> Parts:
    """Read ``train_set`` and ``val_set``, whichever is there; annotations are read with their picture."""
    found = {split: root / folder for split, folder in _FOLDERS.items() if (root / folder / "images").is_dir()}
    if not found:
        raise wrong_folder(root, "AffectNet", "train_set/images or val_set/images", "train_set and val_set")
    for folder in found.values():
        if not (folder / "annotations").is_dir():
            raise wrong_folder(folder, "AffectNet", "annotations", "train_set and val_set")
    return {split: _pictures(folder) for split, folder in found.items()}


def _pictures(folder: Path) -> LazyPictures:
    names = image_names(folder / "images")
    return LazyPictures(len(names), partial(_annotated_picture, folder, names))


def _annotated_picture(folder: Path, names: list[str], index: int) -> Picture:
    annotation = str(folder / "annotations" / names[index].rpartition(".")[0])
    return or_unreadable(
        f"{annotation}_exp.npy#0",
        lambda: Picture(
            str(folder / "images" / names[index]),
            label=expression_of_code(_value(f"{annotation}_exp.npy"), _CODES),
            valence=affect(_value(f"{annotation}_val.npy"), unknown=_UNKNOWN),
            arousal=affect(_value(f"{annotation}_aro.npy"), unknown=_UNKNOWN),
        ),
    )


def _value(path: str) -> str:
    """Return the one value, text or number, of an array file; `ValueError` if it is missing or damaged."""
    try:
        with Path(path).open("rb") as file:
            values = np.lib.format.read_array(file, allow_pickle=False)
    except OSError as error:
        raise ValueError(f"cannot read {path!r}: {error.strerror}") from error
    if values.size != 1:
        raise ValueError(f"{path!r} holds {values.size} values instead of one")
    return str(values.item())
