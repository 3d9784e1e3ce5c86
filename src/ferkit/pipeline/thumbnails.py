"""Small pictures of a set's faces: cut once, and kept in the cache folder under the crop's own digest."""

import contextlib
import io
import threading
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ferkit.data.cache_folder import cache_folder
from ferkit.data.embedding_set import EmbeddingSet
from ferkit.errors import InputError
from ferkit.pipeline.recrop import Lost, row_crops

_QUALITY = 88
_ROWS_AT_ONCE = 24  # the first is seen soon, and the frames of a video are still read together


def jpeg(image: NDArray[np.uint8]) -> bytes:
    """Return an (H, W, 3) uint8 RGB picture as the bytes of a JPEG."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=_QUALITY)
    return file.getvalue()


class Thumbnails:
    """JPEGs of 128 px of the faces of one embedding set; threads may share it.

    A thumbnail is named by the digest of its crop, so that one of a photo that was replaced is never shown.

    Args:
        embeddings: an opened embedding set.
        folder: where they are kept; None takes ``thumbnails`` in the cache folder.
    """

    def __init__(self, embeddings: EmbeddingSet, folder: Path | None = None) -> None:
        self._set = embeddings
        self._folder = folder or cache_folder() / "thumbnails"
        self._names = embeddings.column("sha256")
        self._lock = threading.Lock()
        self._waiting: dict[int, Future[bytes]] = {}
        self._cutter = ThreadPoolExecutor(1, thread_name_prefix="thumbnails")

    @property
    def waiting(self) -> int:
        """How many are still to be cut."""
        return len(self._waiting)

    def request(self, row: int) -> Future[bytes]:
        """Return the thumbnail of ``row``, now or later; its error is an `InputError` that says why there is none.

        Raises:
            IndexError: the set has no such row.
        """
        path = self._path(row)
        with self._lock:
            if row in self._waiting:
                return self._waiting[row]
            future: Future[bytes] = Future()
            if path.exists():
                future.set_result(path.read_bytes())
                return future
            self._waiting[row] = future
        self._cutter.submit(self._cut)
        return future

    def prepare(self, rows: Iterable[int]) -> None:
        """Begin to cut the thumbnails of ``rows``, in this order."""
        for row in rows:
            if not self._path(row).exists():
                self.request(row)

    def close(self) -> None:
        """Stop; what still waits is given up."""
        self._cutter.shutdown(wait=False, cancel_futures=True)

    def _path(self, row: int) -> Path:
        if not 0 <= row < len(self._set):
            raise IndexError(f"row {row} of a set of {len(self._set)} faces")
        name = str(self._names[row])
        return self._folder / name[:2] / f"{name}.jpg"

    def _cut(self) -> None:
        with self._lock:
            taken = dict(list(self._waiting.items())[:_ROWS_AT_ONCE])
        if not taken:
            return  # an earlier turn took this one's rows along
        try:
            for (row, future), crop in zip(taken.items(), row_crops(self._set, list(taken)), strict=True):
                if isinstance(crop, Lost):
                    future.set_exception(InputError(f"the picture of face {row} cannot be shown: {crop}"))
                else:
                    future.set_result(self._kept(row, jpeg(crop)))
        except BaseException as error:  # noqa: BLE001 (raised again by whoever waits)
            for future in taken.values():
                if not future.done():
                    future.set_exception(error)
        finally:
            with self._lock:
                for row in taken:
                    del self._waiting[row]

    def _kept(self, row: int, content: bytes) -> bytes:
        path = self._path(row)
        partial = path.with_name(f".{uuid4().hex}.jpg")
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            partial.write_bytes(content)
            partial.replace(path)  # a thumbnail that a power cut takes is cut anew, so nothing is flushed
        except OSError:  # a full disk costs time and no picture
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
        return content
