import numpy as np
import pytest
import timm
import torch

from ferkit.encoders.backbones import feature_dim
from ferkit.encoders.encoder import Encoder, random_encoder
from ferkit.encoders.registry import EncoderCard
from ferkit.errors import InputError
from ferkit.evaluation.affect import concordance
from ferkit.evaluation.classification import classification_of
from ferkit.evaluation.finetune import (
    FINETUNES,
    FineTuneSettings,
    finetune_answers,
    finetune_values,
    layered_optimizer,
)
from ferkit.probing import settings as probe_settings

QUICK = {"batch_size": 16, "lr": 1e-2, "warmup": 0.0}
STILL = {"flip": 0.0, "least_scale": 1.0, "rotation": 0.0, "brightness": 0.0, "contrast": 0.0}


@pytest.fixture(scope="module")
def encoder():
    return small("test_resnet")


def small(arch):
    """An untrained encoder that looks at the whole of 32 px crops."""
    backbone = random_encoder(arch, input_size=32).backbone
    dim = feature_dim(backbone)
    card = EncoderCard(name="small", arch=arch, dim=dim, input_size=32, field=32, supervision="none")
    return Encoder(card, backbone)


def squares(count, seed):
    """Noise with a bright square above or below the middle, where no mirror brings it to the other."""
    random = np.random.default_rng(seed)
    crops = random.integers(0, 120, (count, 32, 32, 3), np.uint8)
    high = random.random(count) < 0.5
    for crop, top in zip(crops, np.where(high, 4, 20), strict=True):
        left = random.integers(4, 20)
        crop[top : top + 8, left : left + 8] += 120
    return crops, np.where(high, "above", "below").tolist()


def test_it_learns_what_is_planted_and_leaves_the_encoder_as_it_was(encoder):
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    (train, labels), (test, truth) = squares(96, 0), squares(40, 1)
    answers = finetune_answers(encoder, train, labels, test, settings=FineTuneSettings(epochs=8, **QUICK))
    assert classification_of(truth, answers.predicted).accuracy == 1
    assert answers.classes == ("above", "below")
    assert answers.outputs.argmax(1).tolist() == [answers.classes.index(label) for label in answers.predicted]
    assert len(answers.losses) == 8
    assert answers.losses[-1] < 0.1 < answers.losses[0]
    assert all(torch.equal(tensor, before[name]) for name, tensor in encoder.state_dict().items())
    assert not encoder.training


"""A network that is none of timm's: it has no classifier to replace."""


def test_rates_fall_by_the_layer():
    network = timm.create_model("resnet10t", num_classes=3)
    optimizer = layered_optimizer(network, FineTuneSettings(lr=0.8, layer_decay=0.5, weight_decay=0.1))
    group_of = {id(weight): group for group in optimizer.param_groups for weight in group["params"]}
    weights = dict(network.named_parameters())
    assert len(group_of) == len(weights)
    # Stem, four stages of one block each, classifier: each at half the rate of the next.
    rates = {
        **{"conv1.0.weight": 0.025, "layer1.0.conv1.weight": 0.05, "layer2.0.conv1.weight": 0.1},
        **{"layer3.0.conv1.weight": 0.2, "layer4.0.conv1.weight": 0.4, "fc.weight": 0.8, "fc.bias": 0.8},
    }
    assert {name: group_of[id(weights[name])]["lr"] for name in rates} == pytest.approx(rates)
    decays = {name: group_of[id(weight)]["weight_decay"] for name, weight in weights.items()}
    assert {name for name, decay in decays.items() if decay} == {n for n, w in weights.items() if w.ndim > 1}
    assert set(decays.values()) == {0, 0.1}


def test_values_are_learnt_by_their_concordance(encoder):
    """How high the square stands, and how far to the left."""
    (train, _), (test, _) = squares(96, 0), squares(40, 1)

    def places(crops):
        bright = np.stack([crop.mean(2) > 120 for crop in crops])
        return np.stack([[np.argwhere(each).mean(0) / 16 - 1] for each in bright])[:, 0]

    settings = FineTuneSettings(epochs=12, **QUICK, **STILL)
    found = finetune_values(encoder, train, places(train), test, settings=settings)
    assert found.outputs.shape == (40, 2)
    assert concordance(places(test), found.outputs).min() > 0.5
    assert found.losses[-1] < found.losses[0] / 2


def test_ways_to_train_have_the_names_that_the_command_line_knows():
    assert tuple(FINETUNES) == probe_settings.FINETUNES
    assert FINETUNES["ferkit"] == FineTuneSettings()
    theirs = FINETUNES["ssl-fer"]
    assert (theirs.optimizer, theirs.lr, theirs.weight_decay, theirs.epochs) == ("adam", 1e-4, 5e-4, 20)
    assert (theirs.batch_size, theirs.head, theirs.balance, theirs.layer_decay) == (64, "mlp", "softmax", 1)


@pytest.mark.parametrize("arch", ["test_resnet", "test_vit"])
def test_a_head_of_two_layers_learns_at_the_full_rate(arch):
    from ferkit.evaluation.finetune import _with_head

    settings = FineTuneSettings(head="mlp", optimizer="adam", lr=0.8, layer_decay=0.5)
    network = _with_head(small(arch), 3, settings)
    head = network.get_submodule(network.pretrained_cfg["classifier"])
    width = head[0].in_features
    assert [(type(layer).__name__, getattr(layer, "out_features", None)) for layer in head] == [
        *[("Linear", width), ("ReLU", None)],
        *[("Dropout", None), ("Linear", 3)],
    ]
    optimizer = layered_optimizer(network, settings)
    assert type(optimizer) is torch.optim.Adam
    rates = {id(weight): group["lr"] for group in optimizer.param_groups for weight in group["params"]}
    assert {rates[id(weight)] for weight in head.parameters()} == {0.8}
    assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 3)


def test_balanced_softmax_takes_the_frequencies_off():
    # All faces look alike, so all that can be learnt is that "b" is three times as frequent; that is what the
    # balanced softmax adds by itself (arXiv:2007.10740, eq. 3), and so the logits stay equal. A layer norm sees a face
    # by itself, unlike a batch norm; with so steep a decay the classifier alone learns, which has one best point.
    faces = np.full((32, 32, 32, 3), 120, np.uint8)
    plain = {"batch_size": 32, "lr": 6e-3, "layer_decay": 0.01, "weight_decay": 0.0, "warmup": 0.0, **STILL}
    settings = FineTuneSettings(epochs=60, balance="softmax", **plain)
    logits = finetune_answers(small("test_vit"), faces, list("abbb") * 8, faces[:1], settings=settings).outputs[0]
    assert logits[1] - logits[0] == pytest.approx(0, abs=0.03)  # log 3 without it


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"train_labels": ["a"]}, "4 training faces do not match 1 labels"),
        ({"train_labels": ["a", "b", None, "a"]}, "1 of 4 training faces have no label"),
        ({"train_labels": ["a"] * 4}, "at least two labels"),
        ({"test": np.empty((0, 32, 32, 3), np.uint8)}, "no test face"),
    ],
)
def test_bad_input(encoder, change, words):
    faces = np.zeros((4, 32, 32, 3), np.uint8)
    good = {"train": faces, "train_labels": list("abab"), "test": faces}
    with pytest.raises(InputError, match=words):
        finetune_answers(encoder, **{**good, **change})


def test_a_rate_that_bursts_the_weights_is_named(encoder):
    train, labels = squares(32, 0)
    with pytest.raises(InputError, match="smaller lr"):
        finetune_answers(encoder, train, labels, train, settings=FineTuneSettings(batch_size=16, lr=1e30, epochs=3))
