"""Data sets that list their pictures and what these show in tables."""

from functools import partial
from pathlib import Path

import numpy as np

from ferkit.data.expressions import EXPRESSIONS, affect, expression_of_code
from ferkit.data.sources.classes import AFFECTNET, RAF_DB
from ferkit.data.sources.layouts.layout import (
    MissingPartError,
    Parts,
    class_tree,
    first_present,
    image_names,
    path_below,
    require_path,
)
from ferkit.data.sources.layouts.table import Row, Table, table_pictures
from ferkit.data.sources.picture import LazyPictures, Picture, or_unreadable

_EXPW_COLUMNS = ("image_name", "face_id_in_image", "top", "left", "right", "bottom", "confidence", "expression_label")
_EXPW_CODES = dict(enumerate(("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")))

# 8 none of these, 9 uncertain, 10 no face: kept without a label, whatever a detector makes of them.
_AFFECTNET_CODES = dict(enumerate((*EXPRESSIONS, None, None, None)))
_AFFECTNET_BOX = ("face_x", "face_y", "face_width", "face_height")
# Copies of validation.csv are found without the line of names.
_AFFECTNET_FIELDS = ("expression", "valence", "arousal")
_AFFECTNET_COLUMNS = ("subDirectory_filePath", *_AFFECTNET_BOX, "facial_landmarks", *_AFFECTNET_FIELDS)
_AFFECTNET_IMAGES = ("Manually_Annotated_Images", "Manually_Annotated/Manually_Annotated_Images")
_AFFECTNET_TABLE_FOLDERS = (".", "Manually_Annotated_file_lists", "Manually_Annotated")
_affectnet_affect = partial(affect, unknown=(-2.0,))


def read_raf_db(root: Path) -> Parts:
    """Read ``EmoLabel`` and the pictures of ``Image/aligned``, or of ``Image/original`` where those are missing."""
    places = [f"{folder}EmoLabel/list_patition_label.txt" for folder in ("", "basic/")]  # spelt so by its authors
    if first_present(root, *places) is None and (parts := class_tree(root, RAF_DB)):
        return parts
    labels = require_path(root, *places)
    images = require_path(labels.parents[1], "Image/aligned", "Image/original")
    pictures = list(table_pictures(Table(labels, ("image", "label"), delimiter=" "), partial(_raf_db_picture, images)))
    is_test = [Path(picture.source).name.startswith("test") for picture in pictures]
    return {
        "train": [picture for picture, test in zip(pictures, is_test, strict=True) if not test],
        "test": [picture for picture, test in zip(pictures, is_test, strict=True) if test],
    }


def _raf_db_picture(images: Path, row: Row) -> Picture:
    stem, dot, suffix = row["image"].rpartition(".")
    name = f"{stem}_aligned{dot}{suffix}" if images.name == "aligned" else row["image"]
    return Picture(path_below(images, name), label=expression_of_code(row["label"], RAF_DB))


def read_expw(root: Path) -> Parts:
    """Read ``label/label.lst`` and the photos of ``image/origin``: a picture for each face, told apart by its box."""
    labels = require_path(root, "label/label.lst", "label.lst")
    images = require_path(root, "image/origin", "origin")
    return {"": table_pictures(Table(labels, _EXPW_COLUMNS, delimiter=" "), partial(_expw_picture, images))}


def _expw_picture(images: Path, row: Row) -> Picture:
    return Picture(
        path_below(images, row["image_name"]),
        label=expression_of_code(row["expression_label"], _EXPW_CODES),
        box=(float(row["left"]), float(row["top"]), float(row["right"]), float(row["bottom"])),
    )


def read_affectnet(root: Path) -> Parts:
    """Read ``training.csv`` and ``validation.csv``, whichever is there, and ``Manually_Annotated_Images``."""
    if first_present(root, *_AFFECTNET_IMAGES) is None and (parts := class_tree(root, AFFECTNET)):
        return parts
    images = require_path(root, *_AFFECTNET_IMAGES)
    needed = [name for name in _AFFECTNET_COLUMNS if name != "facial_landmarks"]
    parts = {}
    for split, name in (("train", "training.csv"), ("val", "validation.csv")):
        if table := first_present(root, *(f"{folder}/{name}" for folder in _AFFECTNET_TABLE_FOLDERS)):
            rows = Table(table, _AFFECTNET_COLUMNS, needed=needed)
            parts[split] = table_pictures(rows, partial(_affectnet_picture, images))
    if not parts:
        raise MissingPartError(root, "training.csv or validation.csv")
    return parts


def _affectnet_picture(images: Path, row: Row) -> Picture:
    box = None
    if "NULL" not in (row[name].upper() for name in _AFFECTNET_BOX):
        x, y, width, height = (float(row[name]) for name in _AFFECTNET_BOX)
        box = (x, y, x + width, y + height)
    return Picture(
        path_below(images, row["subDirectory_filePath"]),
        label=expression_of_code(row["expression"], _AFFECTNET_CODES),
        box=box,
        valence=_affectnet_affect(row["valence"]),
        arousal=_affectnet_affect(row["arousal"]),
    )


def read_affectnet_npy(root: Path) -> Parts:
    """Read ``train_set`` and ``val_set``, whichever is there; annotations are read with their picture."""
    folders = {split: root / f"{split}_set" for split in ("train", "val") if (root / f"{split}_set/images").is_dir()}
    for folder in folders.values():
        require_path(folder, "annotations")
    return {
        split: LazyPictures(image_names(folder / "images"), partial(_affectnet_npy_picture, folder))
        for split, folder in folders.items()
    }


def _affectnet_npy_picture(folder: Path, name: str) -> Picture:
    annotation = str(folder / "annotations" / name.rpartition(".")[0])
    return or_unreadable(
        f"{annotation}_exp.npy#0",
        lambda: Picture(
            str(folder / "images" / name),
            label=expression_of_code(_value(f"{annotation}_exp.npy"), _AFFECTNET_CODES),
            valence=_affectnet_affect(_value(f"{annotation}_val.npy")),
            arousal=_affectnet_affect(_value(f"{annotation}_aro.npy")),
        ),
    )


def _value(path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            values = np.lib.format.read_array(file, allow_pickle=False)
    except OSError as error:
        raise ValueError(f"cannot read {path!r}: {error.strerror}") from error
    if values.size != 1:
        raise ValueError(f"{path!r} holds {values.size} values instead of one")
    return str(values.item())
