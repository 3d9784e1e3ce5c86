"""AffectNet with its csv files, the manually annotated part (Mollahosseini, Hasani and Mahoor, 2017)."""

from functools import partial
from pathlib import Path

from ferkit.data.expressions import EXPRESSIONS, affect, expression_of_code, numbered
from ferkit.data.sources.classes import AFFECTNET
from ferkit.data.sources.layouts.folders import class_tree, first_present, joined, wrong_folder
from ferkit.data.sources.layouts.layout import Parts
from ferkit.data.sources.layouts.table import Row, Table, table_pictures
from ferkit.data.sources.picture import Picture

# 8 none of these, 9 uncertain, 10 no face: kept without a label, whatever a detector makes of them.
AFFECTNET_CODES = numbered(*EXPRESSIONS, None, None, None)
AFFECTNET_UNKNOWN = (-2.0,)

_BOX = ("face_x", "face_y", "face_width", "face_height")
_NEEDED = ("subDirectory_filePath", *_BOX, "expression", "valence", "arousal")
# Copies of validation.csv are found without the line of names.
_COLUMNS = ("subDirectory_filePath", *_BOX, "facial_landmarks", "expression", "valence", "arousal")
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
        label=expression_of_code(row["expression"], AFFECTNET_CODES),
        box=_box(row),
        valence=affect(row["valence"], unknown=AFFECTNET_UNKNOWN),
        arousal=affect(row["arousal"], unknown=AFFECTNET_UNKNOWN),
    )


def _box(row: Row) -> tuple[float, float, float, float] | None:
    if "NULL" in (row[name].upper() for name in _BOX):
        return None
    x, y, width, height = (float(row[name]) for name in _BOX)
    return x, y, x + width, y + height
