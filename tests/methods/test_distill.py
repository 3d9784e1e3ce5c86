import pytest
import torch
from torch import nn

from ferkit.encoders.encoder import load_encoder
from ferkit.errors import TrainingError
from ferkit.methods.distill import Distill, DistillSettings
from ferkit.methods.views import Views
from samples import Means, noise, save_run, seeded


@pytest.fixture
def teacher(tmp_path):
    return save_run(tmp_path, field=32)


def build(teacher):
    return Distill(Means(), 3, DistillSettings(teacher=str(teacher), vector=2, views={"size": 24}))


def batch_of(rows):
    return {"crops": torch.from_numpy(noise(max(rows) + 1, 48)[rows]), "row": torch.tensor(rows)}


def test_targets_are_the_vectors_of_the_crops_as_they_are(teacher):
    method, batch = build(teacher), batch_of([2, 0, 1])
    target = method.views(batch, seeded()).target
    vectors = torch.from_numpy(load_encoder(teacher, "cpu").embed(batch["crops"]))
    torch.testing.assert_close(target, vectors.repeat(2, 1))


def test_vectors_of_the_encoder_are_the_head_s_but_for_its_bias(teacher):
    method, features = build(teacher), torch.randn(4, 3)
    vectors = (features - features.mean(0)) @ method.projection(features, {})
    torch.testing.assert_close(vectors, method.head(features) - method.head(features).mean(0))


def test_vectors_of_the_teacher_s_length_may_be_its_own(teacher):
    target = torch.randn(3, load_encoder(teacher, "cpu").dim, generator=torch.Generator().manual_seed(0))
    settings = {"teacher": str(teacher), "vector": target.shape[1], "views": {"size": 24}}
    method = Distill(nn.Identity(), 3, DistillSettings(**settings, direct=2.0))
    method.head = nn.Identity()
    vectors = target.flip(1)  # the same cosines between each other, and others with the teacher's
    loss = method.loss(Views(vectors[:2], vectors[2:], vectors[:0], target=target))["loss"]
    cosines = torch.nn.functional.cosine_similarity(vectors.double(), target.double())
    assert loss.item() == pytest.approx(2 * (1 - cosines.mean().item()), abs=1e-5)
    with pytest.raises(TrainingError, match=f"vector.*{target.shape[1]}"):
        Distill(nn.Identity(), 3, DistillSettings(**settings | {"vector": 2}, direct=2.0))
