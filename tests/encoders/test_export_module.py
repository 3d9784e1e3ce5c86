import hashlib

import numpy as np
import pytest
import torch

from ferkit.encoders.encoder import Encoder, random_encoder
from ferkit.encoders.export_module import CropGraph, _resampling, contract_digest
from ferkit.encoders.registry import EncoderCard
from ferkit.encoders.runtimes.parity import sample_crops


def test_halving_weighs_pixels_by_their_distance():
    # A tent of half-width 2 about 1.0 and 3.0 covers the pixel centres 0.5, 1.5, 2.5 by 0.75, 0.75, 0.25.
    rows = [[3 / 7, 3 / 7, 1 / 7, 0], [0, 1 / 7, 3 / 7, 3 / 7]]
    torch.testing.assert_close(_resampling(4, 2), torch.tensor(rows))


@pytest.mark.parametrize("gray", [False, True])
@pytest.mark.parametrize(("size", "field", "side"), [(32, 112, 128), (32, 32, 40), (48, 32, 33), (32, 112, 160)])
def test_the_graph_gives_the_encoders_vectors(size, field, side, gray):
    made = random_encoder("resnet10t", input_size=size)
    entry = made.entry.model_copy(update={"gray": gray, "field": field, "mean": (0.4, 0.5, 0.6)})
    encoder = Encoder(entry, made.backbone, center=torch.linspace(-0.1, 0.1, made.dim))
    crops = sample_crops(3, side)
    with torch.inference_mode():
        vectors = CropGraph(encoder, side)(torch.from_numpy(crops)).numpy()
    np.testing.assert_allclose(vectors, encoder.embed(crops), atol=1e-5)


CARD = EncoderCard(name="x", arch="resnet18", dim=512, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25), supervision="none")


CHANGES = {"arch": "resnet34", "input_size": 96, "field": 96, "gray": True, "mean": (0.4,) * 3, "std": (0.5,) * 3}


def test_the_contract_is_what_older_sets_keep_and_changes_with_the_vectors():
    text = "('resnet18', 112, 112, False, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))"
    assert contract_digest(CARD) == hashlib.sha256(text.encode()).hexdigest()[:16]
    assert contract_digest(CARD.model_copy(update={"name": "y", "paper": "z"})) == contract_digest(CARD)
    digests = {contract_digest(CARD.model_copy(update={name: value})) for name, value in CHANGES.items()}
    assert len(digests | {contract_digest(CARD)}) == 7
