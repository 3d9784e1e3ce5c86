"""AffectNet with an ``.npy`` file for each annotation, the form of its later release."""

from functools import partial
from pathlib import Path

import numpy as np

from ferkit.data.expressions import affect, expression_of_code
from ferkit.data.sources.layouts.affectnet import AFFECTNET_CODES, AFFECTNET_UNKNOWN
from ferkit.data.sources.layouts.folders import image_names, wrong_folder
from ferkit.data.sources.layouts.layout import Parts
from ferkit.data.sources.layouts.lazy import LazyPictures, or_unreadable
from ferkit.data.sources.picture import Picture

_FOLDERS = {"train": "train_set", "val": "val_set"}


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
    return LazyPictures(len(names), partial(_picture, folder, names))


def _picture(folder: Path, names: list[str], index: int) -> Picture:
    annotation = str(folder / "annotations" / names[index].rpartition(".")[0])
    return or_unreadable(
        f"{annotation}_exp.npy#0",
        lambda: Picture(
            str(folder / "images" / names[index]),
            label=expression_of_code(_value(f"{annotation}_exp.npy"), AFFECTNET_CODES),
            valence=affect(_value(f"{annotation}_val.npy"), unknown=AFFECTNET_UNKNOWN),
            arousal=affect(_value(f"{annotation}_aro.npy"), unknown=AFFECTNET_UNKNOWN),
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
