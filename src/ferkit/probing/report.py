"""What a probe found: figures with intervals and how they were made, as a value that can be written and drawn."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ferkit.evaluation.classification import Classification
from ferkit.evaluation.few_labels import FewLabelPoint
from ferkit.evaluation.intervals import Interval, Statistic
from ferkit.evaluation.linear import LinearModel

FORMAT = 1

_IN_MEMORY: dict[str, Any] = {"in_memory": True}
"""Metadata of fields that `as_json` leaves out."""


@dataclass(frozen=True, slots=True, eq=False)
class MetricValue:
    """One number of one encoder.

    Attributes:
        name: such as ``accuracy`` or ``valence.ccc``; unique within its section.
        value: the number, pooled over seeds.
        interval: its 95 % interval, of a bootstrap over groups; None where there is none.
        groups: people, or else pictures, that were drawn anew for it.
        chance: what vectors that hold nothing reach, where that is known.
        by_seed: the number of each seed, where there are several.
        statistic: the number as a function of some of its units (rows, or people), for paired intervals.
        people: whose each unit is.
    """

    name: str
    value: float
    interval: tuple[float, float] | None
    groups: int
    chance: float | None = None
    by_seed: tuple[float, ...] = ()
    statistic: Statistic | None = field(default=None, repr=False, metadata=_IN_MEMORY)
    people: tuple[str | None, ...] = field(default=(), repr=False, metadata=_IN_MEMORY)


@dataclass(frozen=True, slots=True, eq=False)
class Section:
    """What one protocol measured of one encoder.

    Attributes:
        protocol: in words, such as "linear probe (L-BFGS), ..."; says all that a figure needs beside it.
        figures: its numbers.
    """

    protocol: str
    figures: tuple[MetricValue, ...]


@dataclass(frozen=True, slots=True, eq=False)
class ClassifierSection(Section):
    """What a classifier said of the test faces: protocols linear, knn and finetune.

    Its figures are accuracy, balanced_accuracy and macro_f1; of knn also ``weighted.accuracy`` and so on.

    Attributes:
        result: of the answers of all seeds together: recall of each class, confusion matrix, coverage.
        chosen: hyper-parameters that were chosen on the held-out part of train, of each fit.
        true: (seeds * M,) labels of the test faces, once for each seed.
        predicted: (seeds * M,) answers; None where there was no face.
        model: the linear classifier of the last fit, for occlusion maps; None where there is none.
    """

    result: Classification
    chosen: tuple[Mapping[str, Any], ...] = ()
    true: tuple[str, ...] = field(default=(), repr=False, metadata=_IN_MEMORY)
    predicted: tuple[str | None, ...] = field(default=(), repr=False, metadata=_IN_MEMORY)
    model: LinearModel | None = field(default=None, repr=False, metadata=_IN_MEMORY)


@dataclass(frozen=True, slots=True, eq=False)
class FewLabelSection(Section):
    """Accuracy of linear classifiers that know a share of the training labels; ``figures`` has one for each share."""

    points: tuple[FewLabelPoint, ...]


@dataclass(frozen=True, slots=True, eq=False)
class AffectSection(Section):
    """Valence and arousal: for each the figures ``valence.ccc``, ``valence.pcc``, ``valence.sagr``, ``valence.rmse``.

    Attributes:
        chosen: the penalty of each fit.
        true: (M, 2) valence and arousal of the test faces that have them.
        predicted: (M, 2) what regression said.
    """

    chosen: tuple[Mapping[str, Any], ...]
    true: NDArray[np.float64] = field(repr=False, metadata=_IN_MEMORY)
    predicted: NDArray[np.float64] = field(repr=False, metadata=_IN_MEMORY)


@dataclass(frozen=True, slots=True, eq=False)
class RetrievalSection(Section):
    """Faces that come back, the query's own person excluded: figures ``precision`` and ``mean_average_precision``.

    ``by_class`` has both, for the queries of each class.
    """

    by_class: Mapping[str, tuple[float, float]]


@dataclass(frozen=True, slots=True, eq=False)
class TripletSection(Section):
    """Is another person's same expression nearer than the same person's other one?

    Its figures are ``accuracy`` and ``by_person`` of cross-identity triplets; or, of triplets that people judged,
    ``fec.accuracy`` and one for each kind of triplet, ``fec.ONE_CLASS_TRIPLET`` and so on.
    """

    triplets: int


@dataclass(frozen=True, slots=True, eq=False)
class LeakageSection(Section):
    """What the vectors tell of other things than expression.

    Its figures are for each column ``<column>.nearest`` and ``<column>.linear`` (identity first), and
    ``expression_over_identity`` where labels are known.

    Attributes:
        baselines: the same figures of ``pixels`` and of ``random`` weights of the encoder's network.
        left_out: figures that the faces do not permit, and why.
    """

    baselines: Mapping[str, tuple[MetricValue, ...]]
    left_out: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class ProbedFaces:
    """The M test faces of an encoder, for drawing; never in report.json.

    Attributes:
        labels: M labels after the label map; None where there is none.
        identities: M people; None where they are not known.
        vectors: (M, D) float32 of length 1, for cosines; NaN where there was no face.
        features: (M, D) float32 raw features, for classifiers; NaN where there was no face.
        crops: gives the (n, H, W, 3) uint8 RGB crops of some of the M rows; None where there are no pictures.
        features_of: gives the (n, D) raw features of crops; None where there is no network.
    """

    labels: tuple[str | None, ...]
    identities: tuple[str | None, ...]
    vectors: NDArray[np.float32]
    features: NDArray[np.float32]
    crops: Callable[[NDArray[np.int64]], NDArray[np.uint8]] | None = None
    features_of: Callable[[NDArray[np.uint8]], NDArray[np.float32]] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class EncoderReport:
    """All that was measured of one encoder.

    Attributes:
        name: what tables and pictures call it.
        encoder: its name or path; where it is none of ferkit's, the file of the vectors.
        sha256: of its weights; of plain vectors, of the file.
        dim: length of a vector.
        supervision: what it learnt from, as its entry says; None where that is not known.
        coverage: share of the test faces that have a vector.
        sections: by protocol, in the order of `ferkit probe --protocol all`: linear, knn, few-labels, finetune, affect,
            retrieval, triplets, leakage.
        test_faces: the faces, in memory.
        recipe: digest of the recipe of a run but for its seed: runs of one tell how much the seed decides.
    """

    name: str
    encoder: str
    sha256: str
    dim: int
    supervision: str | None
    coverage: float
    sections: Mapping[str, Section]
    test_faces: ProbedFaces = field(repr=False, metadata=_IN_MEMORY)
    recipe: str | None = None


@dataclass(frozen=True, slots=True)
class DataStamp:
    """Which faces a figure was measured on.

    Attributes:
        sources: what was named.
        sha256: digest of the faces, their labels, people and values, in order.
        faces: rows, faceless ones included.
        faceless: rows of pictures without a face, whose label is known and whose answer is wrong.
        people: different identities.
        without_identity: rows of nobody known.
        labels: rows of each label, after the label map.
        unlabelled: rows without one.
        affect: rows with valence and arousal.
    """

    sources: tuple[str, ...]
    sha256: str
    faces: int
    faceless: int
    people: int
    without_identity: int
    labels: Mapping[str, int]
    unlabelled: int
    affect: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """The difference of one figure between two encoders, by the same draws of people.

    An interval of ``first - second`` that leaves out 0 tells the two apart.
    """

    protocol: str
    figure: str
    first: str
    second: str
    difference: Interval


@dataclass(frozen=True, slots=True, eq=False)
class ProbeReport:
    """A probe as a whole; ``as_json(report)`` is what report.json holds.

    Attributes:
        data: the faces that were fitted on, and asked as well where ``test`` is None.
        test: the faces that were asked, where they were named.
        split: how train and test faces were told apart, in words.
        settings: every argument that decides a figure.
        versions: of ferkit and the libraries that compute.
        warnings: what a reader should know, one sentence each.
        skipped: protocols that could not run, and why.
        encoders: in the order given.
        comparisons: of the first encoder with each other one.
        format: version of this shape.
    """

    data: DataStamp
    test: DataStamp | None
    split: str
    settings: Mapping[str, Any]
    versions: Mapping[str, str]
    warnings: tuple[str, ...]
    skipped: Mapping[str, str]
    encoders: tuple[EncoderReport, ...]
    comparisons: tuple[Comparison, ...]
    format: int = FORMAT


def as_json(value: Any) -> Any:  # noqa: ANN401 (dataclasses of every kind, and what they hold)
    """Return a value as JSON knows it: dataclasses as objects without what lives in memory alone, NaN as null."""
    if is_dataclass(value) and not isinstance(value, type):
        public = (each for each in fields(value) if not each.metadata.get("in_memory"))
        return {each.name: as_json(getattr(value, each.name)) for each in public}
    if isinstance(value, Mapping):
        return {str(key): as_json(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [as_json(entry) for entry in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
