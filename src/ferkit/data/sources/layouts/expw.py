"""ExpW, expressions in the wild (Zhang et al., ICCV 2015)."""

from functools import partial
from pathlib import Path

from ferkit.data.expressions import expression_of_code, numbered
from ferkit.data.sources.layouts.folders import first_present, joined, wrong_folder
from ferkit.data.sources.layouts.layout import Parts
from ferkit.data.sources.layouts.table import Row, Table, table_pictures
from ferkit.data.sources.picture import Picture

_COLUMNS = ("image_name", "face_id_in_image", "top", "left", "right", "bottom", "confidence", "expression_label")
_CODES = numbered("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")


def read_expw(root: Path) -> Parts:
    """Read ``label/label.lst`` and the photos of ``image/origin``: a picture for each face, told apart by its box."""
    labels = first_present(root, ["label/label.lst", "label.lst"])
    images = first_present(root, ["image/origin", "origin"])
    if labels is None or images is None:
        looked_for = "label/label.lst" if labels is None else "image/origin"
        raise wrong_folder(root, "ExpW", looked_for, "label and image")
    return {"": table_pictures(Table(labels, _COLUMNS, delimiter=" "), partial(_picture, images))}


def _picture(images: Path, row: Row) -> Picture:
    return Picture(
        joined(images, row["image_name"]),
        label=expression_of_code(row["expression_label"], _CODES),
        box=(float(row["left"]), float(row["top"]), float(row["right"]), float(row["bottom"])),
    )
