"""Label faces without an annotator, to teach an encoder from: by drawn expressions, then by what it was taught.

    python benchmarks/drawn_labels.py runs/unwarp-r18 carry/train carry/drawn-1 --share 0.03
    python benchmarks/train_queue.py one carry runs/queue drawn-1
    python benchmarks/drawn_labels.py runs/queue/drawn-1 carry/train carry/drawn-2 --share 0.05 --taught carry/drawn-1

First four expressions are drawn onto some faces, each in both directions, and the mean change of the features is the
expression's direction; what turning, moving, scaling and lighting a face changes as well counts less. The faces that
lie farthest that way get its label, and as many that lie in no such direction are "neutral". A network learns these
labels (Noisy Student, arXiv:1911.04252) and labels all faces anew: by how near their vectors are to the mean of each
class that it was taught.
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from ferkit.data.face_set import FaceSet, FaceSetWriter
from ferkit.encoders.encoder import Encoder, load_encoder
from ferkit.methods.anchors import ANCHORS
from ferkit.methods.expression_warps import Push, push_displacement
from ferkit.ops.grids import sample

CROP, SAMPLE, SHRINKAGE = 128, 1200, 0.3
NONE = "neutral"
Scores = NDArray[np.float64]
DRAWN: dict[str, list[tuple[str, float, float, float]]] = {
    "happiness": [
        ("mouth corner", 5, -2.5, 19),
        ("cheek", 0, -2.5, 18),
        ("upper lip", 0, -1, 12),
        ("lower lip", 0, 1, 16),
    ],
    "surprise": [("inner brow", 4, -4, 14), ("outer brow", 0, -4, 14), ("mouth corner", -2.5, 0, 20)],
    "anger": [
        ("inner brow", -2.5, 4.5, 15),
        ("outer brow", 0, 1, 13),
        ("cheek", 0, -2, 16),
        ("mouth corner", 0, 1, 14),
        ("upper lip", 0, -1.5, 14),
        ("lower lip", 0, -1.5, 16),
    ],
    "sadness": [("mouth corner", -0.5, 2.5, 18), ("inner brow", 0, -5, 13), ("lower lip", 0, -1, 14)],
}
"""Anchors, those in pairs without their side, how far they move outwards and down, and how far around them the skin
follows; pixels of the crop. Action units 12, 6 and 25; 1 and 2 with rounded lips; 4, 6, 10 and 17; 15 and 1."""


def pushes_of(expression: str) -> list[Push]:
    """An expression of `DRAWN` on both sides of the face."""
    sides = ("left ", -1), ("right ", 1), ("", 0)
    return [
        Push(side + name, (sign * out, down), radius)
        for name, out, down, radius in DRAWN[expression]
        for side, sign in sides
        if side + name in ANCHORS
    ]


def drawn_scores(encoder: Encoder, faces: FaceSet) -> Scores:
    """(N, K) how far each face lies in the direction of each expression of `DRAWN`, standardised."""
    features = in_blocks(encoder.features, faces)
    scale = features.std(0) + 1e-6
    random = torch.Generator().manual_seed(0)
    crops = faces.crops(torch.randperm(len(faces), generator=random)[:SAMPLE].sort().values.numpy())
    images = torch.from_numpy(crops).permute(0, 3, 1, 2)
    identity = torch.eye(2, 3).expand(len(images), -1, -1)

    def standard_features(images: Tensor) -> NDArray[np.float64]:
        pixels = images.round().clamp(0, 255).byte().permute(0, 2, 3, 1).numpy()
        return np.asarray(encoder.features(pixels) / scale, np.float64)

    moves, light = harmless_changes(len(images), random)
    change = standard_features(seen_through(images, moves, light=light)) - standard_features(images.float())
    spread = change.T @ change / len(change)
    spread += SHRINKAGE * np.trace(spread) / len(spread) * np.eye(len(spread))
    scores = []
    for expression in DRAWN:
        strength = 0.6 + 0.8 * torch.rand(len(images), 1, 1, 1, generator=random)
        drawn, undone = (seen_through(images, identity, expression, sign * strength) for sign in (1, -1))
        direction = (standard_features(drawn) - standard_features(undone)).mean(0) / 2
        scores.append((features / scale) @ np.linalg.solve(spread, direction))
    return standardised(np.stack(scores, 1))


def harmless_changes(count: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """(N, 2, 3) small turns, sizes and shifts, and (N, 2) contrast and brightness that leave an expression as it is."""
    low, high = torch.tensor([-0.14, 0.92, -0.05, -0.05, 0.7, -25]), torch.tensor([0.14, 1.08, 0.05, 0.05, 1.3, 25])
    drawn = low + (high - low) * torch.rand(count, 6, generator=random)
    angle, size, x, y = drawn[:, :4].unbind(1)
    rows = [size * angle.cos(), -size * angle.sin(), x, size * angle.sin(), size * angle.cos(), y]
    return torch.stack(rows, 1).view(-1, 2, 3), drawn[:, 4:]


def seen_through(
    images: Tensor,
    moves: Tensor,
    expression: str | None = None,
    strength: Tensor | None = None,
    *,
    light: Tensor | None = None,
) -> Tensor:
    """(N, 3, H, W) images, moved by matrices, with an expression drawn onto them or in another light."""
    bent = []
    for rows in torch.arange(len(images)).split(200):
        points = F.affine_grid(moves[rows], [len(rows), 3, CROP, CROP], align_corners=False)
        if expression is not None and strength is not None:
            points = points - strength[rows] * push_displacement(pushes_of(expression), points[:1])
        bent.append(sample(images[rows].float(), points))
    seen = torch.cat(bent)
    return seen if light is None else seen * light[:, :1, None, None] + light[:, 1:, None, None]


def taught_scores(encoder: Encoder, faces: FaceSet, taught: FaceSet) -> Scores:
    """(N, K) how near each face is to the mean of each class that the encoder was taught, standardised."""

    def embed(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        return encoder.embed(crops) + encoder.embed(crops[:, :, ::-1])

    vectors, learnt, label = (
        in_blocks(embed, faces),
        in_blocks(embed, taught),
        np.array(taught.column("label").to_pylist()),
    )
    return standardised(np.stack([vectors @ learnt[label == name].mean(0) for name in DRAWN], 1).astype(np.float64))


def in_blocks(compute: Callable[[NDArray[np.uint8]], NDArray[np.float32]], faces: FaceSet) -> NDArray[np.float32]:
    blocks = np.array_split(np.arange(len(faces)), -(-len(faces) // 1024))
    return np.concatenate([compute(faces.crops(rows)) for rows in blocks])


def standardised(scores: Scores) -> Scores:
    return (scores - scores.mean(0)) / scores.std(0)


def confident_rows(scores: Scores, count: int) -> dict[str, NDArray[np.intp]]:
    """The ``count`` faces that show each expression most, and others least, and as many that show all of them least."""
    rows = {}
    for number, name in enumerate(DRAWN):
        others = np.delete(scores, number, 1).max(1)
        rows[name] = np.argsort(others / 2 - scores[:, number])[:count]
    least = np.argsort(scores.max(1))
    return rows | {NONE: np.random.default_rng(0).permutation(least[: 5 * count])[:count]}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("encoder")
    parser.add_argument("faces", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--share", type=float, default=0.05, help="of the faces, for each expression")
    parser.add_argument("--taught", type=Path, help="the labelled faces that the encoder was taught")
    given = parser.parse_args()
    encoder, faces = load_encoder(given.encoder), FaceSet.open(given.faces)
    taught = FaceSet.open(given.taught) if given.taught else None
    scores = taught_scores(encoder, faces, taught) if taught else drawn_scores(encoder, faces)
    labelled = confident_rows(scores, int(given.share * len(faces)))
    rows, names = (
        np.concatenate(list(labelled.values())),
        np.repeat(list(labelled), [len(rows) for rows in labelled.values()]),
    )
    job = f"{encoder.sha256} {given.faces} {given.taught} {given.share}"
    with FaceSetWriter(given.out, faces.template, faces.size, fingerprint=job) as writer:
        if not len(writer):
            shown = [replace(face, label=str(name)) for face, name in zip(faces.faces(rows), names, strict=True)]
            writer.append(faces.crops(rows), shown, pictures_done=len(rows))
