"""Pictures that are made from a number when they are asked for."""

from collections.abc import Callable

from ferkit.data.sources.picture import Picture, Pictures, refused


class LazyPictures(Pictures):
    """``count`` pictures, each made by ``make`` from its index."""

    def __init__(self, count: int, make: Callable[[int], Picture]) -> None:
        self._count = count
        self._make = make

    def __len__(self) -> int:
        return self._count

    def _at(self, index: int) -> Picture:
        return self._make(index)


def or_unreadable(source: str, make: Callable[[], Picture]) -> Picture:
    """Return the picture that ``make`` makes; where it raises `ValueError`, one under ``source`` that cannot be read.

    So a damaged annotation is counted among the pictures that could not be read, and the others go on.
    """
    try:
        return make()
    except ValueError as error:
        return refused(source, " ".join(str(error).split()))
