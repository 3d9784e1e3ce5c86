"""Known data sets: how each lies on disk, in one line."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from ferkit.data.expressions import EXPRESSIONS
from ferkit.data.sources.layouts.aff_wild2 import read_aff_wild2
from ferkit.data.sources.layouts.affectnet import read_affectnet, read_affectnet_npy
from ferkit.data.sources.layouts.ck_plus import read_ck_plus
from ferkit.data.sources.layouts.expw import read_expw
from ferkit.data.sources.layouts.fer2013 import read_fer2013
from ferkit.data.sources.layouts.ferplus import read_ferplus
from ferkit.data.sources.layouts.kdef import read_kdef
from ferkit.data.sources.layouts.layout import Layout
from ferkit.data.sources.layouts.lfw import read_lfw
from ferkit.data.sources.layouts.raf_db import read_raf_db
from ferkit.data.sources.layouts.sfew import read_sfew
from ferkit.data.sources.layouts.voxceleb import read_voxceleb1, read_voxceleb2
from ferkit.data.sources.picture import Chain, Picture
from ferkit.errors import InputError, MissingPathError, NoImagesError, UnknownLayoutError

__all__ = ["EXPRESSIONS", "LAYOUTS", "Layout", "open_layout"]

# fmt: off
LAYOUTS: Mapping[str, Layout] = MappingProxyType({
    "aff-wild2": Layout(
        "Aff-Wild2", read_aff_wild2, "https://ibug.doc.ic.ac.uk/resources/aff-wild2/",
        path=r"cropped_aligned/"),
    "affectnet": Layout(
        "AffectNet", read_affectnet, "http://mohammadmahoor.com/affectnet/", ("train", "val"),
        path=r"(Manually_Annotated/)?Manually_Annotated_Images/"),
    "affectnet-npy": Layout(
        "AffectNet", read_affectnet_npy, "http://mohammadmahoor.com/affectnet/", ("train", "val"),
        path=r"(train|val)_set/images/"),
    "ck+": Layout(
        "CK+", read_ck_plus, "https://doi.org/10.1109/CVPRW.2010.5543262",
        path=r"(extended-cohn-kanade-images/)?cohn-kanade-images/S\d+/"),
    "expw": Layout(
        "ExpW", read_expw, "http://mmlab.ie.cuhk.edu.hk/projects/socialrelation/index.html",
        path=r"(image/)?origin/"),
    "fer2013": Layout("FER2013", read_fer2013, "https://arxiv.org/abs/1307.0414", ("train", "val", "test")),
    "ferplus": Layout(
        "FERPlus", read_ferplus, "https://github.com/microsoft/FERPlus", ("train", "val", "test"),
        path=r"(data/)?FER2013(Train|Valid|Test)/fer\d+\."),
    "kdef": Layout("KDEF", read_kdef, "https://kdef.se", path=r"([AB][FM]\d\d/)?[AB][FM]\d\d[A-Z]{2}(FL|HL|S|HR|FR)\."),
    "lfw": Layout("LFW", read_lfw, "http://vis-www.cs.umass.edu/lfw/", path=r"(?P<person>[^/]+)/(?P=person)_\d{4}\."),
    "raf-db": Layout(
        "RAF-DB", read_raf_db, "http://www.whdeng.cn/RAF/model1.html", ("train", "test"),
        path=r"(basic/)?Image/(aligned|original)/(train|test)_\d+"),
    "sfew": Layout("SFEW", read_sfew, "https://doi.org/10.1145/2818346.2829994", ("train", "val", "test")),
    "voxceleb1": Layout(
        "VoxCeleb1", read_voxceleb1, "https://www.robots.ox.ac.uk/~vgg/data/voxceleb/vox1.html",
        path=r"(unzippedIntervalFaces/data/|unzippedFaces/|data/)?[^/]+/1\.6/"),
    "voxceleb2": Layout(
        "VoxCeleb2", read_voxceleb2, "https://www.robots.ox.ac.uk/~vgg/data/voxceleb/vox2.html",
        path=r"((dev|test)/)?id\d{5}/[^/]+/[^/]+/"),
})
# fmt: on


def open_layout(name: str, root: Path) -> Sequence[Picture]:
    """List the pictures of a known data set.

    Labels are of `EXPRESSIONS` (Aff-Wild2 also has ``other``). A picture that an annotation names and that is missing,
    and a row of annotations that is damaged or names a file elsewhere, stay in the list: reading them raises
    `UnreadableImageError`.

    Args:
        name: a key of `LAYOUTS`, for all there is; with ``:train``, ``:val`` or ``:test`` behind it for an official
            split, where the data set has them.
        root: the folder that the data set was unpacked to.

    Returns:
        The pictures, split after split. Most are made when they are asked for.

    Raises:
        UnknownLayoutError: there is no such layout or split.
        MissingPathError: there is no such folder.
        InputError: the folder does not hold this data set or split, or its annotations are damaged.
        NoImagesError: it does, but without any picture.
    """
    key, _, split = name.partition(":")
    if key not in LAYOUTS or name not in _names(key):
        raise UnknownLayoutError(name, _names(key) if key in LAYOUTS else LAYOUTS)
    try:
        pictures = _read(LAYOUTS[key], root, split)
    except OSError as error:
        where = str(error.filename or root)
        raise InputError(f"cannot look into {where!r}: {error.strerror}; check its permissions") from error
    if not len(pictures):
        raise NoImagesError(f"there is no picture of {LAYOUTS[key].title} in {str(root)!r}; unpack its images there")
    return pictures


def _names(key: str) -> list[str]:
    return [key, *(f"{key}:{split}" for split in LAYOUTS[key].splits)]


def _read(layout: Layout, root: Path, split: str) -> Sequence[Picture]:
    if not root.exists():
        raise MissingPathError(root)
    if not root.is_dir():
        raise InputError(f"{str(root)!r} is no folder; name the one that {layout.title} was unpacked to")
    parts = layout.read(root.resolve())
    if not split:
        return Chain(list(parts.values()))
    if split not in parts:
        here = ", ".join(parts)
        raise InputError(f"{str(root)!r} lacks the {split} split of {layout.title}, it holds only: {here}")
    return parts[split]
