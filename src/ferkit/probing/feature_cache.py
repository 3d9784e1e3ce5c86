"""What a probe computes once and keeps in `cache_folder`: features of faces, and faces of photos."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ferkit.atomic import output_errors
from ferkit.data.arrays import cached_array
from ferkit.data.cache_folder import cache_folder
from ferkit.data.face_set import FaceSet, is_face_set
from ferkit.evaluation.rows import row_blocks
from ferkit.locks import output_lock
from ferkit.pipeline.fingerprint import digest
from ferkit.pipeline.source_stream import SourceStream
from ferkit.probing.encoders import FaceEncoder
from ferkit.progress import Progress

_BATCH = 256


def cached_features(encoder: FaceEncoder, faces: FaceSet, progress: Progress) -> NDArray[np.float32]:
    """Return the (N, D) raw features of a face set, computed at the first time that this encoder meets these crops.

    Labels and places do not count: the same crops in the same order are the same faces wherever they lie.
    """
    crops = [faces.template, *faces.column("sha256").to_pylist()]
    path = cache_folder() / "features" / f"{digest([encoder.key])[:16]}-{digest(crops)[:24]}.npy"

    def compute() -> NDArray[np.float32]:
        features = np.empty((len(faces), encoder.dim), np.float32)
        progress.start(f"embedding by {encoder.name}", len(faces), unit="faces")
        for rows in row_blocks(np.arange(len(faces)), _BATCH):
            features[rows] = encoder.features(faces.crops(rows))
            progress.advance(len(rows))
        return features

    return cached_array(path, (len(faces), encoder.dim), compute)


def cached_faces(stream: SourceStream, sources: Sequence[Path], progress: Progress) -> FaceSet:
    """Return the face set of photos, aligned at the first time that photos of this content are met.

    Of two probes of the same photos the second waits; after one that was killed the next goes on.

    Raises:
        OutputError: the folder cannot be written.
        FerkitError: as `align`.
    """
    from ferkit.pipeline.face_set_builder import FaceSetJob  # the detector loads only when photos are searched

    fingerprint = stream.read_fingerprint(progress)
    folder = cache_folder() / "faces" / fingerprint[:24]
    if not is_face_set(folder):
        with output_errors(folder), output_lock(folder.with_name(f"{folder.name}.probe"), wait=True):
            if not is_face_set(folder):
                FaceSetJob(sources, stream, fingerprint, folder, progress).build()
    return FaceSet.open(folder)
