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
    """One number of one encoder."""

    name: str  # such as ``accuracy`` or ``valence.ccc``; unique within its section
    value: float  # the number, pooled over seeds
    interval: tuple[float, float] | None  # its 95 % interval, of a bootstrap over groups; None where there is none
    groups: int  # people, or else pictures, that were drawn anew for it
    chance: float | None = None  # what vectors that hold nothing reach, where that is known
    by_seed: tuple[float, ...] = ()  # the number of each seed, where there are several
    # the number as a function of some of its units (rows, or people), for paired intervals
    statistic: Statistic | None = field(default=None, repr=False, metadata=_IN_MEMORY)
    people: tuple[str | None, ...] = field(default=(), repr=False, metadata=_IN_MEMORY)  # whose each unit is


@dataclass(frozen=True, slots=True, eq=False)
class Section:
    """What one protocol measured of one encoder."""

    protocol: str  # in words, such as "linear probe (L-BFGS), ..."; says all that a figure needs beside it
    figures: tuple[MetricValue, ...]  # its numbers


@dataclass(frozen=True, slots=True, eq=False)
class ClassifierSection(Section):
    """What a classifier said of the test faces: protocols linear, knn and finetune.

    Its figures are accuracy, balanced_accuracy and macro_f1; of knn also ``weighted.accuracy`` and so on.
    """

    result: Classification  # of the answers of all seeds together: recall of each class, confusion matrix, coverage
    # hyper-parameters that were chosen on the held-out part of train, of each fit
    chosen: tuple[Mapping[str, Any], ...] = ()
    # (seeds * M,) labels of the test faces, once for each seed
    true: tuple[str, ...] = field(default=(), repr=False, metadata=_IN_MEMORY)
    # (seeds * M,) answers; None where there was no face
    predicted: tuple[str | None, ...] = field(default=(), repr=False, metadata=_IN_MEMORY)
    # the linear classifier of the last fit, for occlusion maps; None where there is none
    model: LinearModel | None = field(default=None, repr=False, metadata=_IN_MEMORY)


@dataclass(frozen=True, slots=True, eq=False)
class FewLabelSection(Section):
    """Accuracy of linear classifiers that know a share of the training labels; ``figures`` has one for each share."""

    points: tuple[FewLabelPoint, ...]


@dataclass(frozen=True, slots=True, eq=False)
class AffectSection(Section):
    """Valence and arousal: for each figures ``valence.ccc``, ``valence.pcc``, ``valence.sagr``, ``valence.rmse``."""

    chosen: tuple[Mapping[str, Any], ...]  # the penalty of each fit
    # (M, 2) valence and arousal of the test faces that have them
    true: NDArray[np.float64] = field(repr=False, metadata=_IN_MEMORY)
    predicted: NDArray[np.float64] = field(repr=False, metadata=_IN_MEMORY)  # (M, 2) what regression said


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
    """

    # the same figures of ``pixels`` and of ``random`` weights of the encoder's network
    baselines: Mapping[str, tuple[MetricValue, ...]]
    left_out: Mapping[str, str] = field(default_factory=dict)  # figures that the faces do not permit, and why


@dataclass(frozen=True, slots=True, eq=False)
class ProbedFaces:
    """The M test faces of an encoder, for drawing; never in report.json."""

    labels: tuple[str | None, ...]  # M labels after the label map; None where there is none
    identities: tuple[str | None, ...]  # M people; None where they are not known
    vectors: NDArray[np.float32]  # (M, D) float32 of length 1, for cosines; NaN where there was no face
    features: NDArray[np.float32]  # (M, D) float32 raw features, for classifiers; NaN where there was no face
    # gives the (n, H, W, 3) uint8 RGB crops of some of the M rows; None where there are no pictures
    crops: Callable[[NDArray[np.int64]], NDArray[np.uint8]] | None = None
    # gives the (n, D) raw features of crops; None where there is no network
    features_of: Callable[[NDArray[np.uint8]], NDArray[np.float32]] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class EncoderReport:
    """All that was measured of one encoder."""

    name: str  # what tables and pictures call it
    encoder: str  # its name or path; where it is none of ferkit's, the file of the vectors
    sha256: str  # of its weights; of plain vectors, of the file
    dim: int  # length of a vector
    supervision: str | None  # what it learnt from, as its entry says; None where that is not known
    coverage: float  # share of the test faces that have a vector
    # by protocol, in the order of `ferkit probe --protocol all`: linear, knn, few-labels, finetune, affect, retrieval,
    # triplets, leakage
    sections: Mapping[str, Section]
    test_faces: ProbedFaces = field(repr=False, metadata=_IN_MEMORY)  # the faces, in memory
    # digest of the recipe of a run but for its seed: runs of one tell how much the seed decides
    recipe: str | None = None


@dataclass(frozen=True, slots=True)
class DataStamp:
    """Which faces a figure was measured on."""

    sources: tuple[str, ...]  # what was named
    sha256: str  # digest of the faces, their labels, people and values, in order
    faces: int  # rows, faceless ones included
    faceless: int  # rows of pictures without a face, whose label is known and whose answer is wrong
    people: int  # different identities
    without_identity: int  # rows of nobody known
    labels: Mapping[str, int]  # rows of each label, after the label map
    unlabelled: int  # rows without one
    affect: int  # rows with valence and arousal


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
    """A probe as a whole; ``as_json(report)`` is what report.json holds."""

    data: DataStamp  # the faces that were fitted on, and asked as well where ``test`` is None
    test: DataStamp | None  # the faces that were asked, where they were named
    split: str  # how train and test faces were told apart, in words
    settings: Mapping[str, Any]  # every argument that decides a figure
    versions: Mapping[str, str]  # of ferkit and the libraries that compute
    warnings: tuple[str, ...]  # what a reader should know, one sentence each
    skipped: Mapping[str, str]  # protocols that could not run, and why
    encoders: tuple[EncoderReport, ...]  # in the order given
    comparisons: tuple[Comparison, ...]  # of the first encoder with each other one
    format: int = FORMAT  # version of this shape


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
