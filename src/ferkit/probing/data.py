"""The faces of a probe: crops or vectors, and what is known of each."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ferkit.data.face_selection import groups_of
from ferkit.data.face_set import FaceSet, is_face_set
from ferkit.data.sources.picture import Picture
from ferkit.data.sources.rules import SourceRules
from ferkit.documents import read_yaml
from ferkit.errors import InputError, MissingPathError
from ferkit.pipeline import FACES
from ferkit.pipeline.face_finder import NO_FACE
from ferkit.pipeline.face_options import FaceOptions
from ferkit.pipeline.face_stream import filtered_set, open_pictures
from ferkit.pipeline.fingerprint import digest
from ferkit.pipeline.source_stream import SourceStream
from ferkit.probing.feature_cache import cached_faces
from ferkit.probing.report import DataStamp
from ferkit.progress import Progress

_BINS = ("low", "middle", "high")
"""What a column of numbers is told apart by: its thirds."""


@dataclass(frozen=True, eq=False)
class ProbeData:
    """N faces and what is known of them."""

    sources: tuple[str, ...]  # what was named
    table: pa.Table  # N rows with the columns of the faces' table
    labels: list[str | None]  # N labels after the label map, or None
    face_set: FaceSet | None = None  # the crops of the first rows; None where there are vectors alone
    faceless: int = 0  # how many rows, the last ones, are pictures that show no face

    @cached_property
    def identities(self) -> list[str | None]:
        """N people, or None where nobody said."""
        return list(self.table.column("identity").to_pylist())

    @cached_property
    def clips(self) -> list[str | None]:
        """N clips, or None."""
        return list(self.table.column("clip").to_pylist())

    @cached_property
    def people(self) -> list[str]:
        """N names of what stays together: the identity, else the clip, else the picture."""
        groups, _ = groups_of(self.table)
        return [who or f"#{group}" for who, group in zip(self.identities, groups.tolist(), strict=True)]

    @cached_property
    def affect(self) -> NDArray[np.float64]:
        """(N, 2) valence and arousal; NaN where nobody said."""
        return np.stack([self.table.column(n).to_numpy().astype(np.float64) for n in ("valence", "arousal")], axis=1)

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @property
    def labelled(self) -> NDArray[np.int64]:
        """Rows that have a label."""
        return np.flatnonzero([label is not None for label in self.labels])

    @property
    def valued(self) -> NDArray[np.int64]:
        """Rows that have valence and arousal."""
        return np.flatnonzero(np.isfinite(self.affect).all(axis=1))

    def stamp(self) -> DataStamp:
        """Say which faces these are."""
        people = [who for who in self.identities if who is not None]
        rows = zip(self.table.column("sha256").to_pylist(), self.labels, self.people, self.affect.tolist(), strict=True)
        return DataStamp(
            sources=self.sources,
            sha256=digest(map(repr, rows)),
            faces=len(self),
            faceless=self.faceless,
            people=len(set(people)),
            without_identity=len(self) - len(people),
            labels=dict(sorted(Counter(label for label in self.labels if label is not None).items())),
            unlabelled=len(self) - len(self.labelled),
            affect=len(self.valued),
        )

    def column(self, name: str) -> list[str | None]:
        """Return N values of a column that leakage can be asked for; numbers by thirds, a source by its folder.

        Raises:
            InputError: there is no such column, or it is empty.
        """
        if name not in self.table.column_names or self.table.column(name).null_count == len(self):
            there = [each for each in self.table.column_names if self.table.column(each).null_count < len(self)]
            raise InputError(f"these faces have no column {name!r} with values; there are {', '.join(there)}")
        column = self.table.column(name)
        if name == "source":
            return [str(Path(source.partition("#")[0]).parent) for source in column.to_pylist()]
        if pa.types.is_floating(column.type) or pa.types.is_integer(column.type):
            return _thirds(column.cast(pa.float64()).to_numpy())
        return [None if value is None else str(value) for value in column.to_pylist()]


def open_data(
    sources: Sequence[Path],
    options: Mapping[str, Any],
    label_map: Mapping[str, str],
    device: str | None,
    progress: Progress,
) -> ProbeData:
    """Open a face set, or find the faces of whatever `align` takes.

    Pictures that show no face and have a label are rows without a vector. Labels and identities can be taken from the
    paths of a face set's pictures as well.

    Raises:
        FerkitError: as `open_faces`; the label map names a label that no face has.
    """
    face_options = FaceOptions(**options)
    if list(sources) == [Path(FACES)] and not sources[0].exists():
        raise MissingPathError(FACES, "make it with `ferkit align PHOTOS -o faces`, or name your faces: --data FACES")
    sets = [source for source in sources if is_face_set(source)]
    if sets and len(sources) > 1:
        raise InputError(f"{str(sets[0])!r} is a face set; give it alone, or merge the sets first")
    if sets:
        faces, faceless = filtered_set(FaceSet.open(sets[0]), face_options, progress), []
    else:
        stream = open_pictures(list(sources), face_options, device, progress)
        faces = cached_faces(stream, sources, progress)
        faceless = _without_face(stream, faces)
    table = pa.concat_tables([_apply_rules(faces.table, face_options), _rows_of(faceless, faces.table.schema)])
    names = tuple(str(source) for source in sources)
    return ProbeData(names, table, _map_labels(table, label_map), faces, len(faceless))


def rows_of_table(table: pa.Table, source: Path, options: Mapping[str, Any], label_map: Mapping[str, str]) -> ProbeData:
    """Take the rows of an embedding set for the faces of a probe."""
    table = _apply_rules(table, FaceOptions(**options))
    return ProbeData((str(source),), table, _map_labels(table, label_map))


def read_label_map(label_map: str | Path | Mapping[str, str] | None) -> dict[str, str]:
    """Read ``happiness=smiling,contempt=``, a JSON or YAML file of the same, or a mapping; ``""`` drops a label.

    Raises:
        InputError: it cannot be understood.
    """
    if label_map is None or isinstance(label_map, Mapping):
        return dict(label_map or {})
    text = str(label_map)
    try:
        read = read_yaml(Path(text)) if Path(text).is_file() else _pairs(text)
    except (OSError, ValueError) as error:
        raise InputError(f"the label map {text!r} cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(read, Mapping) or not read:
        raise InputError(
            f"the label map {text!r} is not OLD=NEW,OLD=NEW, nor a YAML or JSON file of such; try happiness=smiling"
        )
    return {str(old): "" if new is None else str(new) for old, new in read.items()}


def _pairs(text: str) -> dict[str, str] | None:
    parts = [part.partition("=") for part in text.split(",") if part]
    return {old.strip(): new.strip() for old, _, new in parts} if all(sign and old for old, sign, _ in parts) else None


def _apply_rules(table: pa.Table, options: FaceOptions) -> pa.Table:
    """Take labels and identities from the pictures' paths, where that is asked for."""
    rules = SourceRules(label_from=options.label_from, identity_from=options.identity_from)
    pictures = [rules.apply(Picture(source), source) for source in table.column("source").to_pylist()]
    for name, rule in (("label", rules.label_from), ("identity", rules.identity_from)):
        if rule is None:
            continue
        values = pa.array([getattr(picture, name) for picture in pictures], pa.string())
        if values.null_count == len(values):
            raise InputError(f"no {name} is found in the paths by {rule!r}; one of them is {pictures[0].source!r}")
        table = table.set_column(table.column_names.index(name), name, values)
    return table


def _map_labels(table: pa.Table, label_map: Mapping[str, str]) -> list[str | None]:
    labels = table.column("label").to_pylist()
    return [None if label is None else label_map.get(label, label) or None for label in labels]


def _without_face(stream: SourceStream, faces: FaceSet) -> list[Picture]:
    """The labelled pictures in which no face was found, as the face set's list of problems names them."""
    import csv

    with (faces.path / "problems.csv").open(encoding="utf-8", newline="") as file:
        without_face = {row["source"] for row in csv.DictReader(file) if row["problem"].startswith(NO_FACE)}
    if not without_face:
        return []
    labelled = (picture for picture in stream.sources.pictures if picture.label is not None)
    return [picture for picture in labelled if picture.source in without_face]


def _rows_of(pictures: Sequence[Picture], schema: pa.Schema) -> pa.Table:
    names = ("source", "label", "identity", "clip", "time_s", "valence", "arousal")
    rows = [{name: getattr(picture, name) for name in names} | {"face": 0, "sha256": ""} for picture in pictures]
    return pa.Table.from_pylist(rows, schema=schema)


def _thirds(values: NDArray[np.float64]) -> list[str | None]:
    finite = np.isfinite(values)
    ends = np.quantile(values[finite], (1 / 3, 2 / 3))
    bins = np.searchsorted(ends, values, side="right")
    return [_BINS[place] if there else None for place, there in zip(bins.tolist(), finite.tolist(), strict=True)]
