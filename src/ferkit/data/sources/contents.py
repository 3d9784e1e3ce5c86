"""What was found in all that the user named: pictures and videos."""

from collections.abc import Sequence
from dataclasses import dataclass

from ferkit.data.sources.picture import Picture
from ferkit.data.sources.video import Video


@dataclass(frozen=True)
class Sources:
    """What was found in all that the user named."""

    pictures: Sequence[Picture] = ()  # the images, in the given order, each source's in natural order or in its own
    videos: Sequence[Video] = ()  # the videos, in the same order; their frames come after all images
    labels_from: str = ""  # what the labels were taken from; "" where there are none
    repeated: int = 0  # how many pictures and videos were named more than once, and are listed once

    @property
    def unit(self) -> str:
        """What they are read as: ``pictures``, ``frames`` of videos, or ``pictures and frames``."""
        return "pictures" if not self.videos else "pictures and frames" if len(self.pictures) else "frames"
