"""LFW, labeled faces in the wild (Huang et al., 2007)."""

import re
from pathlib import Path

from ferkit.data.sources.layouts.folders import folder_names, image_names, wrong_folder
from ferkit.data.sources.layouts.layout import Parts
from ferkit.data.sources.picture import Picture

_FOLDERS = ("", "lfw", "lfw-deepfunneled", "lfw_funneled", "lfw-deepfunneled/lfw-deepfunneled")


def read_lfw(root: Path) -> Parts:
    """Read ``<Person_Name>/<Person_Name>_0001.jpg``; the identity is the folder's name."""
    for base in (root / folder for folder in _FOLDERS):
        pictures = _pictures(base) if base.is_dir() else []
        if pictures:
            return {"": pictures}
    raise wrong_folder(root, "LFW", "<Person_Name>/<Person_Name>_0001.jpg", "the people")


def _pictures(base: Path) -> list[Picture]:
    return [
        Picture(str(base / person / name), identity=person)
        for person in folder_names(base)
        for name in image_names(base / person)
        if re.fullmatch(re.escape(person) + r"_\d{4}\.\w+", name)
    ]
