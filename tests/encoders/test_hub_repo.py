import hashlib
import json

import numpy as np
import pytest
import timm
import torch
from huggingface_hub import constants
from safetensors.torch import save

from ferkit.encoders.encoder import load_encoder, random_encoder
from ferkit.encoders.hub import HubRepo
from ferkit.encoders.hub_repo import config_of, fetch_encoder, fetch_entry, pinned_entry
from ferkit.encoders.registry import EncoderEntry, Licences, WeightsFile
from ferkit.encoders.weights import serialize
from ferkit.errors import InputError, WeightsError
from samples import noise

ARCH = "test_resnet"  # timm's own toy
WEIGHTS = "model.safetensors"
LICENCES = Licences(code="Apache-2.0", weights="MIT", data="ours")


def entry(data, **fields):
    weights = WeightsFile(kind="hub", file=WEIGHTS, repo="ann/faces", revision="main")
    fields = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data), "weights": weights, **fields}
    card = {"name": "toy", "arch": ARCH, "dim": 256, "input_size": 64, "supervision": "weak", "licences": LICENCES}
    return EncoderEntry(**{**card, **fields})


def unknown(**fields):
    """An entry that names a branch and no hash."""
    return entry(b"", sha256=None, bytes=None, **fields)


@pytest.fixture(scope="module")
def toy():
    return random_encoder(ARCH, input_size=64)


@pytest.fixture(scope="module")
def own(toy):
    """The files of a repository that ferkit pushed."""
    state = {f"backbone.{name}": tensor for name, tensor in toy.backbone.state_dict().items()}
    data = serialize({**state, "center": torch.full((toy.dim,), 0.01)})
    said = entry(data, dim=toy.dim, mean=(0.1, 0.2, 0.3), gray=True)
    return {WEIGHTS: data, "config.json": json.dumps(config_of(said)).encode()}


def timm_files(arch, classes=7, **pretrained):
    """The files of a repository in timm's form, classifier and all, and the network in them."""
    torch.manual_seed(0)
    network = timm.create_model(arch, num_classes=classes)
    cfg = {"input_size": [3, 160, 160], "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.2, 0.2], **pretrained}
    config = {"architecture": arch, "num_classes": classes, "num_features": network.num_features, "pretrained_cfg": cfg}
    return {WEIGHTS: save(network.state_dict()), "config.json": json.dumps(config).encode()}, network


# ferkit's own repositories


def test_load_encoder_takes_a_repository_and_a_commit_of_it(hub, own, toy):
    commit = hub.add("ann/faces", own)
    encoder = load_encoder("hf-hub:ann/faces", device="cpu")
    assert (encoder.name, encoder.sha256) == ("toy", hashlib.sha256(own[WEIGHTS]).hexdigest())
    for name, tensor in toy.backbone.state_dict().items():
        torch.testing.assert_close(encoder.backbone.state_dict()[name].float(), tensor.float(), atol=2e-3, rtol=2e-3)
    hub.repos["ann/faces"].commit({WEIGHTS: None, "config.json": b"gone"})
    again = load_encoder(f"hf-hub:ann/faces@{commit}", device="cpu")
    np.testing.assert_array_equal(again.embed(noise(3)), encoder.embed(noise(3)))


def test_weights_that_are_not_those_of_config_json_are_refused(hub, own):
    hub.add("ann/faces", {**own, WEIGHTS: own[WEIGHTS] + b" "})
    with pytest.raises(WeightsError, match="that is expected"):
        fetch_encoder(HubRepo("ann/faces"))


# timm's repositories


def test_a_network_in_timm_s_form_gives_timm_s_features(hub):
    files, network = timm_files(ARCH, license="apache-2.0")
    hub.add("timm/toy.a1", files)
    encoder = load_encoder("hf-hub:timm/toy.a1", device="cpu")
    card = encoder.entry
    assert (card.name, card.arch, card.input_size, card.supervision) == ("toy.a1", ARCH, 160, "unknown")
    assert (card.mean, card.std, card.licences.weights) == ((0.5, 0.4, 0.3), (0.2, 0.2, 0.2), "apache-2.0")
    assert card.sha256 == hashlib.sha256(files[WEIGHTS]).hexdigest()
    faces = noise(3)
    with torch.no_grad():
        expected = network.eval().forward_head(network.forward_features(encoder.prepare(faces)), pre_logits=True)
    np.testing.assert_allclose(encoder.features(faces), expected.numpy(), atol=1e-5)


@pytest.mark.parametrize(
    ("arch", "arguments", "named"),
    [
        (ARCH, {"act_layer": "gelu"}, "'act_layer'"),
        ("test_vit", {"global_pool": "avg", "class_token": True}, "'global_pool', 'class_token'"),
        (ARCH, [1], "no JSON object"),
    ],
)
def test_a_network_that_is_not_timm_s_usual_one_is_refused(hub, arch, arguments, named):
    config = json.loads(timm_files(arch)[0]["config.json"])
    hub.add("ann/other", {"config.json": json.dumps({**config, "model_args": arguments}).encode()})
    with pytest.raises(InputError, match=named):
        fetch_encoder(HubRepo("ann/other"))


@pytest.mark.parametrize("size", [64, 160])
def test_position_embeddings_are_resampled_as_timm_does(hub, size):
    files, network = timm_files("test_vit")
    hub.add("timm/vit", files)
    settled, file = fetch_entry(unknown(arch="test_vit", dim=64, input_size=size, weights=_at("timm/vit")))
    assert settled.sha256 == hashlib.sha256(files[WEIGHTS]).hexdigest()

    from ferkit.encoders.backbones import timm_state
    from ferkit.encoders.weights import load_weights

    ours = timm_state(load_weights(file.path), "test_vit", size)
    overlay = {"state_dict": network.state_dict(), "num_classes": 7}
    theirs = timm.create_model(
        "test_vit", pretrained=True, num_classes=0, img_size=size, pretrained_cfg_overlay=overlay
    ).state_dict()
    assert ours.keys() == theirs.keys()
    for name, tensor in theirs.items():
        torch.testing.assert_close(ours[name], tensor)


def _at(repo, revision="main"):
    return WeightsFile(kind="hub", file=WEIGHTS, repo=repo, revision=revision)


# what is no encoder


def test_pickles_are_refused_in_one_sentence(hub, own):
    hub.add("ann/old", {"config.json": own["config.json"], "pytorch_model.bin": b"\x80\x04."})
    with pytest.raises(WeightsError, match=r"'pytorch_model.bin', a pickle"):
        fetch_encoder(HubRepo("ann/old"))
    assert hub.requests("GET", "pytorch_model.bin") == []


@pytest.mark.parametrize(
    "config",
    [
        *(b"{", b"[1]", b'{"model_type": "bert"}', b'{"library_name": "ferkit", "name": "x"}', b"[" * 200_000),
        b'{"architecture": "test_resnet", "pretrained_cfg": {"mean": 1}}',
        b'{"architecture": ["test_resnet"], "pretrained_cfg": {}}',
        *({"sha256": digest} for digest in (None, "AB" * 32)),
    ],
)
def test_a_config_that_ferkit_cannot_build_is_refused(hub, own, config):
    if isinstance(config, dict):
        config = json.dumps(json.loads(own["config.json"]) | config).encode()
    hub.add("ann/other", {**own, "config.json": config})
    with pytest.raises(InputError):
        fetch_encoder(HubRepo("ann/other"))


# entries of models.yaml


def test_the_first_pull_is_recorded_and_holds_from_then_on(hub):
    first = hub.add("ann/faces", {WEIGHTS: b"first"})
    settled, _ = fetch_entry(unknown())
    assert (settled.weights.revision, settled.bytes) == (first, 5)
    assert settled.sha256 == hashlib.sha256(b"first").hexdigest()

    second = hub.repos["ann/faces"].commit({WEIGHTS: b"second"})
    again, file = fetch_entry(unknown())
    assert (again, file.path.read_bytes()) == (settled, b"first")
    assert pinned_entry(unknown()) == settled

    updated, file = fetch_entry(unknown(), update=True)
    assert (updated.weights.revision, file.path.read_bytes()) == (second, b"second")
    assert pinned_entry(unknown()) == updated


@pytest.mark.parametrize("fetched", [lambda: fetch_encoder(HubRepo("ann/faces")), lambda: fetch_entry(unknown())])
def test_what_is_damaged_in_the_cache_becomes_no_reference(hub, monkeypatch, fetched):
    hub.add("ann/faces", timm_files(ARCH)[0])
    settled, file = fetched()
    monkeypatch.setattr(constants, "HF_ASSETS_CACHE", constants.HF_ASSETS_CACHE + "-lost")
    file.path.resolve().write_bytes(b"damaged")
    with pytest.raises(WeightsError, match="pull it again"):
        fetched()
    again, file = fetched()
    assert (again, file.fetched) == (settled, True)
