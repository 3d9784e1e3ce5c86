import importlib.util
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

from ferkit.methods.anchors import ANCHORS

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "drawn_labels.py"


@pytest.fixture(scope="module")
def drawn():
    spec = importlib.util.spec_from_file_location("drawn_labels", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def schematic_face(rng):
    """A crop with brows, eyes and a mouth, each where somebody's own may be."""
    crop, at = np.full((128, 128, 3), 190, np.uint8), {name: np.array(point) for name, point in ANCHORS.items()}
    lower, wider = rng.normal(0, 1.5, 2)
    for side, outwards in (("left", -1), ("right", 1)):
        brow = [at[f"{side} {part} brow"] + (0, lower) for part in ("inner", "outer")]
        cv2.line(crop, *(tuple(point.round().astype(int).tolist()) for point in brow), (60, 60, 60), 3)
        cv2.circle(crop, tuple(at[f"{side} eye"].round().astype(int).tolist()), 4, (40, 40, 40), -1)
        corner = at[f"{side} mouth corner"] + (outwards * wider, lower)
        cv2.line(crop, (64, 90), tuple(corner.round().astype(int).tolist()), (90, 60, 60), 3)
    return cv2.GaussianBlur(crop, (0, 0), 1.5)


class Faces:
    """Crops in memory, as a face set gives them."""

    def __init__(self, crops):
        self._crops = crops

    def __len__(self):
        return len(self._crops)

    def crops(self, rows):
        return self._crops[rows]


@pytest.mark.parametrize("expression", ["happiness", "surprise", "anger", "sadness"])
def test_faces_bent_into_an_expression_lie_in_its_direction(drawn, expression):
    rng, count = np.random.default_rng(0), 60
    images = torch.from_numpy(np.stack([schematic_face(rng) for _ in range(count)])).permute(0, 3, 1, 2)
    strength = torch.cat([torch.zeros(count // 2), torch.ones(count // 2)]).view(-1, 1, 1, 1)
    bent = drawn.seen_through(images, torch.eye(2, 3).expand(count, -1, -1), expression, strength)
    faces = Faces(bent.round().byte().permute(0, 2, 3, 1).numpy())
    encoder = SimpleNamespace(features=lambda crops: crops[:, ::4, ::4, 0].reshape(len(crops), -1).astype(np.float32))
    scores = drawn.drawn_scores(encoder, faces)
    assert scores.shape == (count, 4)
    column = list(drawn.DRAWN).index(expression)
    assert scores[count // 2 :, column].min() > np.median(scores[: count // 2, column])


def test_the_most_certain_are_labelled_and_what_shows_nothing_is_neutral(drawn):
    scores = np.array(
        [[3, 0, 0, 0], [3, 2.9, 0, 0], [0, 3, 0, 0], [0, 0, 3, 0], [0, 0, 0, 3], [-1, -1, -1, -1], [-1, 0, 0, 0.0]]
    )
    rows = drawn.confident_rows(scores, 1)
    assert {name: found.tolist() for name, found in rows.items() if name != "neutral"} == {
        "happiness": [0],
        "surprise": [2],
        "anger": [3],
        "sadness": [4],
    }
    assert set(drawn.confident_rows(scores[[0, 2, 3, 4, 5, 5, 5, 5, 5]], 1)["neutral"]) <= {4, 5, 6, 7, 8}
