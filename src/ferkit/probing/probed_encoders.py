"""What is probed, on the faces that it is probed with."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ferkit.data.face_set import FaceSet
from ferkit.errors import EncoderMismatchError, InputError
from ferkit.evaluation.rows import unit_rows
from ferkit.probing.data import ProbeData
from ferkit.probing.encoders import FaceEncoder, NetworkEncoder, PixelEncoder, find_encoder, random_like
from ferkit.probing.feature_cache import cached_features
from ferkit.probing.folds import ProbeRows
from ferkit.probing.report import ProbedFaces
from ferkit.probing.settings import RANDOM
from ferkit.probing.vector_file import VectorFile, is_vector_file
from ferkit.progress import Progress

Source = FaceEncoder | VectorFile


@dataclass(frozen=True, eq=False)
class ProbedEncoder:
    """One encoder, or file of vectors, and what it makes of the faces.

    No two have the same ``name``; ``test_rows`` are ``train_rows`` where there are no test faces.
    """

    source: Source
    name: str
    train_rows: ProbeRows
    test_rows: ProbeRows

    def test_faces(self, data: ProbeData, rows: NDArray[np.int64]) -> ProbedFaces:
        """Return some rows of the test faces, for drawing."""
        test_rows = self.test_rows.at(rows)
        return ProbedFaces(
            tuple(test_rows.labels),
            tuple(test_rows.identities),
            np.asarray(test_rows.vectors, np.float32),
            np.asarray(test_rows.features, np.float32),
            None if data.face_set is None else partial(_crops, data.face_set, rows),
            None if isinstance(self.source, VectorFile) else self.source.features,
        )


def _crops(faces: FaceSet, rows: NDArray[np.int64], some: NDArray[np.int64]) -> NDArray[np.uint8]:
    """The crops of some of the rows, black where a row is of a picture without a face."""
    picks = rows[some]
    pictures, there = np.zeros((len(picks), faces.size, faces.size, 3), np.uint8), picks < len(faces)
    pictures[there] = faces.crops(picks[there])
    return pictures


def open_sources(
    names: Sequence[str | Path], files: Sequence[VectorFile], device: str | None, batch_size: int, progress: Progress
) -> list[Source]:
    """Load the encoders among the names and put the opened files in their places; ``random`` takes after the first."""
    waiting = iter(files)
    loaded: dict[int, Source] = {}
    for place, name in enumerate(names):
        if is_vector_file(name):
            loaded[place] = next(waiting)
        elif str(name) != RANDOM:
            loaded[place] = find_encoder(name, device, batch_size, progress)
    like = next((each for _, each in sorted(loaded.items()) if isinstance(each, NetworkEncoder)), None)
    return [loaded.get(place) or random_like(like, device, batch_size) for place in range(len(names))]


def probed_encoders(
    sources: Sequence[Source], data: ProbeData, test: ProbeData | None, test_file: VectorFile | None, progress: Progress
) -> list[ProbedEncoder]:
    """Embed the faces, or look their vectors up.

    Where the test faces are rows of a file, ``test_file`` has their vectors.

    Raises:
        EncoderMismatchError: the faces are aligned to another template than an encoder's.
        InputError: a file holds none of the faces, or there are no crops to embed.
    """
    encoders = []
    counts = Counter(source.name for source in sources)
    for source in sources:
        name = source.name if counts[source.name] == 1 else source.reference
        train_rows = rows_of(source, data, progress)
        test_rows = train_rows if test is None else rows_of(test_file or source, test, progress)
        encoders.append(ProbedEncoder(source, name, train_rows, test_rows))
    return encoders


def rows_of(source: Source, data: ProbeData, progress: Progress) -> ProbeRows:
    """Return what one encoder or file makes of some faces; rows without a face are NaN."""
    if isinstance(source, VectorFile):
        features = source.vectors_of(data.table, data.sources[0])
        vectors = unit_rows(np.asarray(features))
    else:
        features = _features_of(source, data, progress)
        vectors = source.unit(features)
        if data.faceless:
            missing = np.full((data.faceless, source.dim), np.nan, np.float32)
            features, vectors = np.concatenate([features, missing]), np.concatenate([vectors, missing])
    return ProbeRows(features, vectors, data.labels, data.identities, data.people, data.clips, data.affect)


def baselines(source: Source, data: ProbeData, device: str | None) -> list[FaceEncoder]:
    """Return what an encoder is read beside: pixels and random weights of its network; where there are crops to see."""
    if data.face_set is None:
        return []
    like = source if isinstance(source, NetworkEncoder) else None
    others: list[FaceEncoder] = [PixelEncoder(), random_like(like, device)]
    return [each for each in others if each.key != getattr(source, "key", None)]


def _features_of(encoder: FaceEncoder, data: ProbeData, progress: Progress) -> NDArray[np.float32]:
    faces = data.face_set
    if faces is None:
        raise InputError(f"{data.sources[0]!r} holds no crops for {encoder.name!r} to see; add --data FACES")
    if encoder.crop not in (None, faces.template):
        raise EncoderMismatchError(
            f"the faces of {data.sources[0]!r} are aligned to {faces.template!r} and {encoder.name!r} needs"
            f" {encoder.crop!r}; align the photos again"
        )
    return cached_features(encoder, faces, progress)
