"""CK+, the extended Cohn-Kanade data set (Lucey et al., CVPR workshops 2010)."""

from functools import partial
from pathlib import Path

from ferkit.data.expressions import expression_of_code, numbered
from ferkit.data.sources.layouts.folders import first_present, folder_names, frame_time, image_names, wrong_folder
from ferkit.data.sources.layouts.layout import LazyPictures, Parts
from ferkit.data.sources.picture import Chain, Picture
from ferkit.errors import InputError

_IMAGES = "cohn-kanade-images"
_CODES = numbered("neutral", "anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise")
_FPS = 30.0
_PEAK_FRAMES = 3


def read_ck_plus(root: Path) -> Parts:
    """Read ``cohn-kanade-images`` and ``Emotion``.

    A sequence runs from the neutral face to the peak, and 327 of 593 have a label for the peak. As is usual, the first
    frame of those is taken as neutral and the last three as the label; the frames between have none.
    """
    images = first_present(root, [_IMAGES, f"extended-{_IMAGES}/{_IMAGES}"])
    emotions = first_present(root, ["Emotion", "Emotion_labels/Emotion"])
    if images is None or emotions is None:
        raise wrong_folder(root, "CK+", "Emotion" if images else _IMAGES, f"{_IMAGES} and Emotion")
    clips = [(person, clip) for person in folder_names(images) for clip in folder_names(images / person)]
    return {"": Chain([_clip(images / person / clip, emotions / person / clip) for person, clip in clips])}


def _clip(folder: Path, emotions: Path) -> LazyPictures:
    names = image_names(folder)
    return LazyPictures(len(names), partial(_frame, folder, names, _peak_label(emotions)))


def _frame(folder: Path, names: list[str], peak: str | None, index: int) -> Picture:
    return Picture(
        str(folder / names[index]),
        label=_frame_label(index, len(names), peak),
        identity=folder.parent.name,
        clip=str(folder),
        time_s=frame_time(names, index, _FPS),
    )


def _frame_label(index: int, frames: int, peak: str | None) -> str | None:
    if peak is None or 0 < index < frames - _PEAK_FRAMES:
        return None
    return peak if index else "neutral"


def _peak_label(folder: Path) -> str | None:
    """Return the label of a sequence, None where it has none: the file or its whole folder may be missing."""
    path = next(iter(sorted(folder.glob("*_emotion.txt"))), None)
    if path is None:
        return None
    try:
        return expression_of_code(path.read_text("utf-8"), _CODES)
    except ValueError as error:
        raise InputError(f"{str(path)!r} is no number of an emotion ({error}); restore or remove the file") from error
