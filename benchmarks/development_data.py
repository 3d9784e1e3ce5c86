"""The development faces: which may be trained on, and which are kept for measuring.

The data are not part of the project. They are looked for in ``$FERKIT_DATA``, or ``../shared/data`` beside the
repository: ``ferplus/train.parquet`` (48 px face crops), ``lfw-expressions/<label>/<Person>_NNNN.jpg`` and
``studio-smiles/<label>/<NNN>_*.jpg``.

    python benchmarks/development_data.py carry/faces                  the training faces as one face set
    python benchmarks/development_data.py carry/labelled --labelled    those with a label, and their labels

Of ``lfw-expressions`` the label fear, of five photos, is left out of the labelled ones.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import ferkit
from ferkit.data.face_set import FaceSet, FaceSetWriter
from ferkit.data.faces import PARQUET_OPTIONS, ROW_GROUP

EMOTIONS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
DATA = Path(os.environ.get("FERKIT_DATA") or Path(__file__).parents[2] / "shared" / "data")


def identity_of(photo: Path) -> str:
    """The person of a photo: ``Al_Gore`` of ``Al_Gore_0002.jpg``, ``002`` of ``002_08.jpg``."""
    return photo.stem.rsplit("_", 1)[0]


def is_test_person(identity: str) -> bool:
    """Whether a person belongs to the quarter that is never trained on."""
    return hashlib.sha256(identity.encode()).hexdigest()[-1] in "cdef"


def photos(collection: str, *, test: bool) -> list[Path]:
    """Photos of the test quarter's people, or of all others, of ``lfw-expressions`` or ``studio-smiles``."""
    found = sorted((DATA / collection).glob("*/*.jpg"))
    return [photo for photo in found if is_test_person(identity_of(photo)) is test]


def build_training_faces(out: Path) -> FaceSet:
    """Join the faces of ferplus/train (crops as they are) and the training people's photos (detected, aligned)."""
    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        crops = ferkit.align([DATA / "ferplus" / "train.parquet"], Path(folder) / "crops", aligned=True).path
        people = [*photos("lfw-expressions", test=False), *photos("studio-smiles", test=False)]
        found = ferkit.align(people, Path(folder) / "photos", aligned=False, min_face=40).path
        return join([FaceSet.open(crops), FaceSet.open(found)], out)


def build_labelled_faces(out: Path) -> FaceSet:
    """Join the labelled faces of ferplus/train and the training people's photos, whose folders are labels."""
    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        crops = FaceSet.open(
            ferkit.align([DATA / "ferplus" / "train.parquet"], Path(folder) / "crops", aligned=True).path
        )
        labelled = [row for row, label in enumerate(crops.column("label").to_pylist()) if label is not None]
        return join([crops.subset(labelled), FaceSet.open(_labelled_people(Path(folder) / "photos"))], out)


def _labelled_people(out: Path) -> Path:
    people = [photo for photo in photos("lfw-expressions", test=False) if photo.parent.name != "fear"]
    return ferkit.align(
        [*people, *photos("studio-smiles", test=False)],
        out,
        aligned=False,
        min_face=40,
        faces="largest",
        label_from=r"/(?P<label>[a-z]+)/[^/]*$",
        identity_from=r"/(?P<identity>[^/]+)_\d+\.jpg$",
    ).path


def build_voted_faces(out: Path) -> FaceSet:
    """Join all faces of ferplus/train, labelled or not, and the training people's photos, with a column "votes"."""
    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        crops = ferkit.align([DATA / "ferplus" / "train.parquet"], Path(folder) / "crops", aligned=True).path
        joined = join([FaceSet.open(crops), FaceSet.open(_labelled_people(Path(folder) / "photos"))], out)
    voted = ferplus_votes()
    labels = joined.column("label").to_pylist()[len(voted) :]
    shown = [{"smiling": "happiness"}.get(label, label) for label in labels]
    shares = [*voted, *([float(name == label) for name in EMOTIONS] for label in shown)]
    column = pa.field("votes", pa.list_(pa.float32()), metadata={"classes": json.dumps(EMOTIONS)})
    table = joined.table.append_column(column, pa.array(shares, column.type))
    pq.write_table(table, out / "faces.parquet", row_group_size=ROW_GROUP, **PARQUET_OPTIONS)
    return FaceSet.open(out)


def ferplus_votes() -> list[list[float]]:
    """Shares of the ten votes for each of `EMOTIONS`, in the rows' order; single votes count as slips, as in FER+."""
    table = pq.read_table(DATA / "ferplus" / "train.parquet", columns=[*EMOTIONS, "unknown", "NF"])
    votes = np.stack([table[name].to_numpy() for name in table.column_names], 1).astype(float)
    votes[votes == 1] = 0
    shares = votes / np.maximum(votes.sum(1, keepdims=True), 1)
    return shares[:, : len(EMOTIONS)].tolist()


def join(sets: list[FaceSet], out: Path) -> FaceSet:
    """Write the faces of several sets into one."""
    done = 0
    with FaceSetWriter(out, sets[0].template, sets[0].size, fingerprint="development") as writer:
        for faces in sets:
            for rows in _slices(len(faces)):
                done += len(rows)
                writer.append(faces.crops(rows), [faces.face(row) for row in rows], pictures_done=done)
    return FaceSet.open(out)


def _slices(count: int, size: int = 1024) -> Iterator[range]:
    for start in range(0, count, size):
        yield range(start, min(start + size, count))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder of the face set")
    parser.add_argument("--labelled", action="store_true", help="labelled faces alone, with their labels")
    given = parser.parse_args()
    given.out.parent.mkdir(parents=True, exist_ok=True)
    build = build_labelled_faces if given.labelled else build_training_faces
    print(f"{len(build(given.out))} faces in {given.out}")
