"""RAF-DB, the basic expressions (Li, Deng and Du, CVPR 2017)."""

from functools import partial
from pathlib import Path

from ferkit.data.expressions import expression_of_code
from ferkit.data.sources.classes import RAF_DB
from ferkit.data.sources.layouts.folders import class_tree, first_present, joined, wrong_folder
from ferkit.data.sources.layouts.layout import Parts
from ferkit.data.sources.layouts.table import Row, Table, row_picture
from ferkit.data.sources.picture import Picture

_LIST = "EmoLabel/list_patition_label.txt"  # spelt so by its authors
_CODES = RAF_DB


def read_raf_db(root: Path) -> Parts:
    """Read ``EmoLabel`` and the pictures of ``Image/aligned``, or of ``Image/original`` where those are missing."""
    labels = first_present(root, [_LIST, f"basic/{_LIST}"])
    images = labels and first_present(labels.parents[1] / "Image", ["aligned", "original"])
    if labels is None and (parts := class_tree(root, _CODES)):
        return parts
    if labels is None:
        raise wrong_folder(root, "RAF-DB", _LIST, "EmoLabel and Image")
    if images is None:
        raise wrong_folder(labels.parents[1], "RAF-DB", "Image/aligned or Image/original", "EmoLabel and Image")
    table = Table(labels, ("image", "label"), delimiter=" ")
    pictures = [row_picture(table, partial(_picture, images), row) for row in range(len(table))]
    is_test = [Path(picture.source).name.startswith("test") for picture in pictures]
    return {
        "train": [picture for picture, test in zip(pictures, is_test, strict=True) if not test],
        "test": [picture for picture, test in zip(pictures, is_test, strict=True) if test],
    }


def _picture(images: Path, row: Row) -> Picture:
    stem, dot, suffix = row["image"].rpartition(".")
    name = f"{stem}_aligned{dot}{suffix}" if images.name == "aligned" else row["image"]
    return Picture(joined(images, name), label=expression_of_code(row["label"], _CODES))
