"""Looks at an encoder while it learns: how its views lie, how well neighbours tell labels, and what it is shown."""

import hashlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from ferkit.atomic import atomic_path
from ferkit.data.face_set import FaceSet
from ferkit.encoders.encoder import Encoder
from ferkit.encoders.registry import EncoderCard
from ferkit.errors import InputError
from ferkit.evaluation.knn import knn_answers
from ferkit.evaluation.rows import row_blocks
from ferkit.methods import Method
from ferkit.methods.views import as_pictures
from ferkit.ops.losses import alignment, spread, uniformity
from ferkit.pretraining.training_faces import TrainingFaces
from ferkit.progress import Progress
from ferkit.training.loop import BEST_BY
from ferkit.training.settings import MonitorSettings

_BLOCK = 64
_HELD_OUT = 5
_SEED = 0
"""The same faces and the same views at every look, so that its figures can be compared."""


class LabelledFaces:
    """Labelled faces in two parts that share no person: neighbours, and those whose labels they are to tell.

    Args:
        faces: face set with labels.
        most: rows to take of it, at random.
        without: content hashes of faces to leave out.

    Raises:
        InputError: a part is empty, or all labels are the same.
    """

    def __init__(self, faces: FaceSet, most: int, without: Collection[str] = ()) -> None:
        self.faces = faces
        columns = {name: faces.column(name).to_pylist() for name in ("label", "identity", "clip", "sha256")}
        labels, hashes = columns["label"], columns["sha256"]
        usable = [row for row, label in enumerate(labels) if label is not None and hashes[row] not in without]
        rows = np.sort(np.random.default_rng(_SEED).permutation(usable)[:most].astype(np.int64))
        person = [columns["identity"][row] or columns["clip"][row] or hashes[row] for row in rows]
        # A fifth of all people, by name: the same ones whatever else the face set holds.
        held_out = np.array([hashlib.sha256(name.encode()).digest()[0] % _HELD_OUT == 0 for name in person], bool)
        self.train_rows, self.test_rows = rows[~held_out], rows[held_out]
        self.labels = {row: labels[row] for row in rows.tolist()}
        different = len(set(self.labels.values()))
        if not len(self.train_rows) or not len(self.test_rows) or different < 2:
            raise InputError(
                f"{len(rows)} faces of {str(faces.path)!r} can be asked for their labels, of {different} kinds; "
                "kNN accuracy needs two kinds and several people, and a supervised method other faces than its own"
            )

    def accuracy(self, encoder: Encoder, neighbours: int) -> float:
        """Share of the held-out faces whose label their neighbours tell, by the cosine of centred features."""
        train, test = (features_of(encoder, self.faces, rows) for rows in (self.train_rows, self.test_rows))
        center = train.mean(0)
        parts = (self.train_rows, self.test_rows)
        train_labels, true_labels = ([self.labels[row] for row in rows.tolist()] for rows in parts)
        answers = knn_answers(train - center, train_labels, test - center, k=min(neighbours, len(train)))
        return float(np.mean(answers == np.array(true_labels)))


@dataclass(eq=False)
class RunMonitor:
    """The monitor of a run, a `ferkit.training.loop.Monitor`.

    It goes without kNN accuracy where ``labelled`` is None; pictures go into ``folder``.
    """

    method: Method[Any]
    faces: TrainingFaces
    labelled: LabelledFaces | None
    card: EncoderCard
    settings: MonitorSettings
    folder: Path
    progress: Progress

    def __post_init__(self) -> None:
        self.rows = np.sort(np.random.default_rng(_SEED).permutation(len(self.faces))[: self.settings.pairs])

    @torch.no_grad()
    def __call__(self, backbone: nn.Module, step: int) -> dict[str, float]:
        """Return "alignment", "uniformity" and "spread" of views, and "knn" accuracy where there are labelled faces."""
        a, b = (torch.cat(parts) for parts in zip(*self._features(backbone), strict=True))
        figures = {"alignment": alignment(a, b), "uniformity": uniformity(a), "spread": spread(a)}
        values = {name: float(value) for name, value in figures.items()}
        if self.labelled is not None:
            encoder = Encoder(self.card, backbone).to(a.device)
            values = {BEST_BY: self.labelled.accuracy(encoder, self.settings.neighbours), **values}
        if values["spread"] < self.settings.collapse:
            self.progress.say(
                f"the features have all but collapsed (spread {values['spread']:.3g} of 1 at step {step}); "
                "lower lr, or choose larger batches"
            )
        if self.settings.sheet:
            self._draw(next(backbone.parameters()).device, step)
        return values

    def _features(self, backbone: nn.Module) -> Iterator[tuple[Tensor, Tensor]]:
        device = next(backbone.parameters()).device
        generator = torch.Generator().manual_seed(_SEED)
        for rows in row_blocks(self.rows, _BLOCK):
            views = self.method.views(self._batch(rows, device), generator)
            with torch.autocast("cuda", dtype=torch.bfloat16, enabled=device.type == "cuda"):
                yield backbone(views.a).float(), backbone(views.b).float()

    def _draw(self, device: torch.device, step: int) -> None:
        places = np.linspace(0, len(self.rows) - 1, min(self.settings.sheet, len(self.rows)))
        rows = self.rows[places.round().astype(int)]  # neighbours are often one person
        batch = self._batch(rows, device)
        views = self.method.views(batch, torch.Generator().manual_seed(_SEED))
        # Hard negatives are anchors that come behind the faces.
        parts = [part for view in self.method.pictures(views) for part in view.chunk(len(view) // len(rows))]
        pictures = [as_pictures(part, self.method.settings.views) for part in parts]
        size = self.method.settings.views.size
        small = [np.asarray(Image.fromarray(crop).resize((size, size))) for crop in batch["crops"].cpu().numpy()]
        crops: NDArray[np.uint8] = np.stack(small)
        sheet = np.concatenate([column.reshape(-1, size, 3) for column in (crops, *pictures)], axis=1)
        with atomic_path(self.folder / f"sheet-{step:08d}.png") as partial:
            Image.fromarray(sheet).save(partial)

    def _batch(self, rows: NDArray[np.int64], device: torch.device) -> dict[str, Tensor]:
        batch = self.faces.batch(rows, np.random.default_rng(_SEED))
        return {name: torch.from_numpy(values).to(device) for name, values in batch.items()}


def features_of(encoder: Encoder, faces: FaceSet, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the (n, D) raw features of some faces, reading a few at a time."""
    return np.concatenate([encoder.features(faces.crops(block)) for block in row_blocks(rows, _BLOCK)])
