"""SFEW, stills of films (Dhall et al., 2011 and EmotiW 2015)."""

from pathlib import Path

from ferkit.data.expressions import EXPRESSIONS, expression
from ferkit.data.sources.layouts.folders import first_present, folder_names, image_names, wrong_folder
from ferkit.data.sources.layouts.layout import Parts
from ferkit.data.sources.picture import Picture

_SPLITS = {"train": "Train", "val": "Val", "test": "Test"}


def read_sfew(root: Path) -> Parts:
    """Read ``Train``, ``Val`` and ``Test``, or in their place the folders of aligned faces; ``Test`` has no labels."""
    found = {split: folder for split, name in _SPLITS.items() if (folder := _split_folder(root, name)) is not None}
    if not found:
        raise wrong_folder(root, "SFEW", "Train, Val or Test", "them")
    return {split: _unlabelled(folder) if split == "test" else _labelled(folder) for split, folder in found.items()}


def _split_folder(root: Path, name: str) -> Path | None:
    aligned = [f"{name}_Aligned_Faces_new", f"{name}_Aligned_Faces"]
    return first_present(root, [*aligned, *(f"{name}/{folder}" for folder in aligned), name])


def _labelled(folder: Path) -> list[Picture]:
    classes = [name for name in folder_names(folder) if expression(name) in EXPRESSIONS]
    if not classes:
        raise wrong_folder(folder, "SFEW", "Angry, Disgust, Fear, Happy, Neutral, Sad or Surprise", "Train and Val")
    return [
        Picture(str(folder / name / image), label=expression(name))
        for name in classes
        for image in image_names(folder / name)
    ]


def _unlabelled(folder: Path) -> list[Picture]:
    folders = [folder, *(folder / name for name in folder_names(folder))]
    return [Picture(str(place / image)) for place in folders for image in image_names(place)]
