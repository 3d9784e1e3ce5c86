"""The map of the set as the page fetches it: computed in the background, sent as numbers."""

import threading
import time
from concurrent.futures import Future
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ferkit.report.set_map import set_map
from ferkit.search.people import person_numbers
from ferkit.workflows.serve import Viewer

_NONE = 255
"""The colour of a face that has none; of more values than this only the first ones have one."""

_TITLES = {"shows": "what it reads as", "label": "label", "folder": "folder", "month": "date"}


class MapInWork:
    """The map of the set, which is computed in the background when it is first asked for.

    Args:
        viewer: the set, and by what its points can be coloured.
    """

    def __init__(self, viewer: Viewer) -> None:
        self._set, self._facets, self._people = viewer.set, viewer.facets, person_numbers(viewer.set)
        self._begun: float | None = None
        self._places: Future[NDArray[np.float32]] = Future()
        self._lock = threading.Lock()

    def status(self) -> dict[str, Any]:
        """Return whether it is there, and by what it can be coloured; begins to compute it."""
        with self._lock:
            if self._begun is None:
                self._begun = time.monotonic()
                threading.Thread(target=self._compute, daemon=True).start()
        if not self._places.done():
            return {"ready": False, "seconds": time.monotonic() - self._begun}
        self._places.result()
        return {"ready": True, "faces": len(self._set), "colours": [each[0] for each in self._colours()]}

    def points(self) -> bytes:
        """Return x and y of each face as float32, then for each colour of `status` a byte a face, 255 for none."""
        codes = [numbers for _, numbers in self._colours()]
        return b"".join([self._places.result().astype("<f4").tobytes(), *(each.tobytes() for each in codes)])

    def _compute(self) -> None:
        try:
            self._places.set_result(set_map(self._set))
        except BaseException as error:  # noqa: BLE001 (raised again by whoever asks)
            self._places.set_exception(error)

    def _colours(self) -> list[tuple[dict[str, Any], NDArray[np.uint8]]]:
        columns = dict(self._facets.columns)
        found = [
            ({"name": name, "title": title, "values": columns[name][1][:_NONE]}, _bytes(columns[name][0]))
            for name, title in _TITLES.items()
            if name in columns and len(columns[name][1])
        ]
        if (self._people >= 0).any():
            who = np.where(self._people < 0, -1, self._people % _NONE)
            found.append(({"name": "person", "title": "person", "values": []}, _bytes(who)))
        return found


def _bytes(numbers: NDArray[np.int64]) -> NDArray[np.uint8]:
    return np.where((numbers < 0) | (numbers >= _NONE), 255, numbers).astype(np.uint8)
