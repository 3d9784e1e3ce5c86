"""What a probe's data permit: who trains and who is tested, and why a protocol cannot run."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ferkit.data.fec_triplets import FecTriplets, read_fec
from ferkit.errors import InputError
from ferkit.probing.data import ProbeData
from ferkit.probing.folds import Split, cross_validation_split, fixed_split
from ferkit.probing.settings import ProbeSettings

_FEW = 5000
"""Labelled faces up to which every one is asked, by cross-validation; a ferkit default."""

_FOLDS = 5


@dataclass(frozen=True, eq=False)
class ProbePlan:
    """Training and test faces of every protocol.

    Where there are no test faces, some of the data are asked.
    """

    data: ProbeData
    test: ProbeData | None
    settings: ProbeSettings

    @property
    def test_data(self) -> ProbeData:
        """The faces that retrieval, triplets and leakage ask, and of which classifiers ask some."""
        return self.data if self.test is None else self.test

    @property
    def seeds(self) -> tuple[int, ...]:
        """Of the fits."""
        return tuple(range(self.settings.seed, self.settings.seed + self.settings.seeds))

    @cached_property
    def labelled(self) -> Split:
        """How classifiers learn labels.

        Raises:
            InputError: labels are missing, or are not enough.
        """
        for part in self._parts:
            if not len(part.labelled):
                raise InputError(f"no face of {_name(part)} has a label; give class folders, a column or --label-from")
        labels = sorted({str(self.data.labels[row]) for row in self.data.labelled})
        if len(labels) < 2:
            raise InputError(f"all labelled faces of {_name(self.data)} are {labels[0]!r}; give two classes or more")
        if self.test is not None:
            test_labels = {str(self.test.labels[row]) for row in self.test.labelled}
            if not test_labels & set(labels):
                raise InputError(
                    f"{_name(self.test)} has the labels {', '.join(sorted(test_labels))} and {_name(self.data)} none"
                    f" of them but {', '.join(labels)}; bring them together with --label-map OLD=NEW"
                )
        return self._split(self.data.labelled, None if self.test is None else self.test.labelled, True)

    @cached_property
    def valued(self) -> Split:
        """How regression learns valence and arousal.

        Raises:
            InputError: they are missing.
        """
        for part in self._parts:
            if not len(part.valued):
                raise InputError(f"no face of {_name(part)} has valence and arousal; name their columns: --columns")
        return self._split(self.data.valued, None if self.test is None else self.test.valued, False)

    @cached_property
    def test_labelled(self) -> NDArray[np.int64]:
        """Rows of the test faces that have a label; retrieval asks them.

        Raises:
            InputError: there is none, or one class alone.
        """
        rows = self.test_data.labelled
        if len({self.test_data.labels[row] for row in rows}) < 2:
            raise InputError(f"{_name(self.test_data)} has faces of fewer than two labels; retrieval needs two")
        return rows

    @cached_property
    def comparisons(self) -> FecTriplets | None:
        """The triplets that people judged, where their table was named.

        Raises:
            InputError: as `read_fec`, or its pictures were not named.
        """
        settings = self.settings
        if settings.fec is None:
            return None
        if settings.fec_images is None:
            raise InputError(f"{settings.fec!r} names pictures; say in which folder they are: --fec-images FOLDER")
        return read_fec(settings.fec, settings.fec_images)

    def require_triplets(self) -> None:
        """Raise an InputError unless people judged triplets, or there are labels and identities."""
        if self.comparisons is not None:
            return
        if not len(self.test_data.labelled):
            raise InputError(f"no face of {_name(self.test_data)} has a label, and triplets compare labels")
        if self.test_data.stamp().people < 2:
            raise InputError(f"the people of {_name(self.test_data)} are not known; name them with --identity-from")

    def leak_columns(self) -> dict[str, list[str | None]]:
        """Return the columns that leakage asks for, the identity first where it is known.

        Raises:
            InputError: there is none.
        """
        columns = {} if self.test_data.stamp().people < 2 else {"identity": self.test_data.identities}
        columns |= {name: self.test_data.column(name) for name in self.settings.leak}
        if not columns:
            raise InputError(f"the people of {_name(self.test_data)} are not known; name them with --identity-from")
        return columns

    def warnings(self) -> Iterator[str]:
        """Yield what a reader of the figures should know, one sentence each."""
        for part in self._parts:
            stamp = part.stamp()
            if stamp.without_identity:
                yield (
                    f"{stamp.without_identity:,} of {stamp.faces:,} faces of {_name(part)} have no identity, so that"
                    " a person may be on both sides and intervals are over pictures (--identity-from names people)"
                )
            if stamp.labels and stamp.unlabelled:
                yield f"{stamp.unlabelled:,} of {stamp.faces:,} faces of {_name(part)} have no label and are left out"
            if part.faceless:
                yield f"{part.faceless:,} pictures of {_name(part)} show no face; they count as wrong"
        if self.test is not None:
            yield from self._overlap_warnings(self.data, self.test)

    @property
    def _parts(self) -> list[ProbeData]:
        return [self.data] if self.test is None else [self.data, self.test]

    def _overlap_warnings(self, data: ProbeData, test: ProbeData) -> Iterator[str]:
        people = {who for who in data.identities if who} & {who for who in test.identities if who}
        if people:
            yield f"{len(people):,} people are in train and test, such as {sorted(people)[0]!r}; name disjoint sets"
        digests = [set(part.table.column("sha256").to_pylist()) - {""} for part in (data, test)]
        if same := len(digests[0] & digests[1]):
            yield f"{same:,} pictures are in train and test, pixel by pixel; their answers are known"
        train_labels = {label for label in data.labels if label}
        unseen = sorted({label for label in test.labels if label} - train_labels)
        if unseen and train_labels:
            count = sum(label in unseen for label in test.labels)
            yield (
                f"{count:,} test faces show {', '.join(unseen)}, which no training face does; they count as wrong"
                " (--label-map OLD=NEW renames, OLD= leaves out)"
            )

    def _split(self, train: NDArray[np.int64], test: NDArray[np.int64] | None, by_label: bool) -> Split:
        if test is not None:
            return fixed_split(train, test, self.seeds)
        labels = [str(self.data.labels[row]) if by_label else "" for row in train]
        people = [self.data.people[row] for row in train]
        usual = max(2, min(_FOLDS, len(set(people)))) if len(train) <= _FEW else 1
        folds = self.settings.folds or usual
        have_names = all(self.data.identities[row] is not None for row in train)
        return cross_validation_split(train, labels, people, self.seeds, folds, named=have_names)


def _name(data: ProbeData) -> str:
    return repr(data.sources[0]) + (f" and {len(data.sources) - 1} more" if len(data.sources) > 1 else "")
