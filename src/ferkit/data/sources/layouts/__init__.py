"""Known data sets: how each lies on disk, in one line."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from ferkit.data.expressions import EXPRESSIONS
from ferkit.data.sources.layouts.aff_wild2 import read_aff_wild2
from ferkit.data.sources.layouts.fer2013 import read_fer2013, read_ferplus
from ferkit.data.sources.layouts.layout import Layout, MissingPartError
from ferkit.data.sources.layouts.lists import read_affectnet, read_affectnet_npy, read_expw, read_raf_db
from ferkit.data.sources.layouts.paths import (
    read_ck_plus,
    read_kdef,
    read_lfw,
    read_sfew,
    read_voxceleb1,
    read_voxceleb2,
)
from ferkit.data.sources.picture import Chain, Picture
from ferkit.errors import InputError, MissingPathError, NoImagesError, UnknownLayoutError

__all__ = ["EXPRESSIONS", "LAYOUTS", "Layout", "open_layout"]

# fmt: off
LAYOUTS: Mapping[str, Layout] = MappingProxyType({
    "aff-wild2": Layout(
        "Aff-Wild2", "https://ibug.doc.ic.ac.uk/resources/aff-wild2/", read_aff_wild2,
        "cropped_aligned and the annotations", path=r"cropped_aligned/"),
    "affectnet": Layout(
        "AffectNet", "http://mohammadmahoor.com/affectnet/", read_affectnet,
        "Manually_Annotated_Images and training.csv or validation.csv", ("train", "val"),
        r"(Manually_Annotated/)?Manually_Annotated_Images/"),
    "affectnet-npy": Layout(
        "AffectNet", "http://mohammadmahoor.com/affectnet/", read_affectnet_npy,
        "train_set and val_set", ("train", "val"), r"(train|val)_set/images/"),
    "ck+": Layout(
        "CK+", "https://doi.org/10.1109/CVPRW.2010.5543262", read_ck_plus, "cohn-kanade-images and Emotion",
        path=r"(extended-cohn-kanade-images/)?cohn-kanade-images/S\d+/"),
    "expw": Layout(
        "ExpW", "http://mmlab.ie.cuhk.edu.hk/projects/socialrelation/index.html", read_expw, "label and image",
        path=r"(image/)?origin/"),
    "fer2013": Layout(
        "FER2013", "https://arxiv.org/abs/1307.0414", read_fer2013,
        "fer2013.csv or icml_face_data.csv", ("train", "val", "test")),
    "ferplus": Layout(
        "FERPlus", "https://github.com/microsoft/FERPlus", read_ferplus,
        "fer2013.csv and fer2013new.csv, or FER2013Train and the others", ("train", "val", "test"),
        r"(data/)?FER2013(Train|Valid|Test)/fer\d+\."),
    "kdef": Layout(
        "KDEF", "https://kdef.se", read_kdef, "AF01AFS.JPG and the others",
        path=r"([AB][FM]\d\d/)?[AB][FM]\d\d[A-Z]{2}(FL|HL|S|HR|FR)\."),
    "lfw": Layout(
        "LFW", "http://vis-www.cs.umass.edu/lfw/", read_lfw, "<Person_Name>/<Person_Name>_0001.jpg and the others",
        path=r"(?P<person>[^/]+)/(?P=person)_\d{4}\."),
    "raf-db": Layout(
        "RAF-DB", "http://www.whdeng.cn/RAF/model1.html", read_raf_db, "EmoLabel and Image", ("train", "test"),
        r"(basic/)?Image/(aligned|original)/(train|test)_\d+"),
    "sfew": Layout(
        "SFEW", "https://doi.org/10.1145/2818346.2829994", read_sfew,
        "Train, Val or Test, the first two with Angry, Happy and the others", ("train", "val", "test")),
    "voxceleb1": Layout(
        "VoxCeleb1", "https://www.robots.ox.ac.uk/~vgg/data/voxceleb/vox1.html", read_voxceleb1,
        "<name>/1.6/<video>", path=r"(unzippedIntervalFaces/data/|unzippedFaces/|data/)?[^/]+/1\.6/"),
    "voxceleb2": Layout(
        "VoxCeleb2", "https://www.robots.ox.ac.uk/~vgg/data/voxceleb/vox2.html", read_voxceleb2,
        "id00012/<video>/<track>", path=r"((dev|test)/)?id\d{5}/[^/]+/[^/]+/"),
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
        NoImagesError: the folder does not hold this data set.
        InputError: it lacks the split, or its annotations are damaged.
    """
    key, _, split = name.partition(":")
    if key not in LAYOUTS or name not in _names(key):
        raise UnknownLayoutError(name, _names(key) if key in LAYOUTS else LAYOUTS)
    if not root.exists():
        raise MissingPathError(root)
    layout = LAYOUTS[key]
    if not root.is_dir():
        raise InputError(f"{str(root)!r} is no folder; name the one that {layout.title} was unpacked to")
    try:
        parts = {part: pictures for part, pictures in layout.read(root.resolve()).items() if len(pictures)}
    except OSError as error:
        where = str(error.filename or root)
        raise InputError(f"cannot look into {where!r}: {error.strerror}; check its permissions") from error
    except MissingPartError as missing:
        raise _wrong_folder(layout, missing.root, missing.part) from missing
    if not parts:
        raise _wrong_folder(layout, root, "picture")
    if split and split not in parts:
        raise InputError(f"{str(root)!r} lacks the {split} split of {layout.title}, it holds only: {', '.join(parts)}")
    return parts[split] if split else Chain(list(parts.values()))


def _names(key: str) -> list[str]:
    return [key, *(f"{key}:{split}" for split in LAYOUTS[key].splits)]


def _wrong_folder(layout: Layout, root: Path, part: str) -> NoImagesError:
    return NoImagesError(
        f"no {part} below {str(root)!r}, which {layout.title} has; name the folder that holds {layout.mark}"
    )
