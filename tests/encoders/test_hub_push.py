import base64
import json
import re

import numpy as np
import pytest
import timm
import torch
from huggingface_hub import PyTorchModelHubMixin, constants
from torch import nn

from ferkit.encoders.encoder import load_encoder, random_encoder, save_encoder
from ferkit.encoders.hub_push import push_encoder
from ferkit.encoders.registry import Licences, Metric, TrainedOn
from ferkit.errors import HubError, InputError, OutputError
from samples import noise

# The hub's client uploads to a store in a way that its own HTTP library calls old.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

FILES = {"README.md", "config.json", "model.safetensors"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return save(tmp_path_factory.mktemp("run"), "smiles", seed=0)


def save(folder, name, seed):
    encoder = random_encoder("test_resnet", input_size=64, seed=seed)
    card = encoder.entry.model_copy(
        update={
            "name": name,
            "supervision": "unsupervised",
            "trained_on": TrainedOn(method="byol", data="a dozen faces", faces=12),
            "metrics": [Metric(protocol="kNN, k = 20", data="FER+ valid", value=0.5, interval=(0.4, 0.6))],
            "licences": Licences(code="Apache-2.0", weights="CC BY-NC 4.0", data="ours"),
        }
    )
    save_encoder(folder, encoder.backbone.state_dict(), card, center=torch.full((encoder.dim,), 0.01))
    return folder


@pytest.fixture
def pushed(hub, run, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_write")

    def act(folder=run, repo="ann/smiles", **settings):
        return push_encoder(folder, repo, **settings)

    return act


def files(hub, repo="ann/smiles"):
    return hub.repos[repo].commits[-1][1]


def test_a_new_repository_is_private_and_holds_the_encoder(hub, pushed, run):
    result = pushed()
    repo = hub.repos["ann/smiles"]
    assert result.commit == repo.commits[-1][0]
    assert (result.repo, result.url) == ("ann/smiles", f"{hub.url}/ann/smiles")
    assert result.private is result.changed is repo.private is True
    assert files(hub).keys() == FILES | {".gitattributes"}
    assert files(hub)["model.safetensors"] == (run / "encoder.safetensors").read_bytes()
    assert repo.messages[-1].startswith("Push smiles with ferkit ")


def test_no_password_is_in_the_page_s_address(hub, pushed, monkeypatch):
    monkeypatch.setattr(constants, "ENDPOINT", hub.url.replace("//", "//ann:pa55@"))
    hub.tokens["Basic " + base64.b64encode(b"ann:pa55").decode()] = "write"  # takes the token's place
    assert pushed().url == f"{hub.url}/ann/smiles"


def test_what_is_pushed_is_what_is_pulled(hub, pushed, run):
    pushed()
    faces = noise(3)
    here, there = load_encoder(run, device="cpu"), load_encoder("hf-hub:ann/smiles", device="cpu")
    np.testing.assert_array_equal(there.embed(faces), here.embed(faces))
    assert there.sha256 == here.sha256
    assert there.entry.metrics == here.entry.metrics


class Theirs(nn.Module, PyTorchModelHubMixin):
    """Somebody's own class, which knows nothing of ferkit."""

    def __init__(self, arch: str, dim: int, input_size: int, mean: list, std: list) -> None:
        super().__init__()
        self.backbone = timm.create_model(arch, num_classes=0)
        self.register_buffer("center", torch.zeros(dim))
        self.size, self.mean, self.std = input_size, mean, std


def test_pytorch_model_hub_mixin_loads_it(hub, pushed, run):
    pushed()
    theirs = Theirs.from_pretrained("ann/smiles", strict=True)
    ours = load_encoder(run, device="cpu")
    images = torch.randn(2, 3, theirs.size, theirs.size)
    with torch.no_grad():
        torch.testing.assert_close(theirs.backbone(images), ours(images), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(theirs.center, ours.center)
    assert (theirs.size, theirs.mean) == (64, [0.485, 0.456, 0.406])


# what is there already


def test_another_encoder_is_not_pushed_over(hub, pushed, tmp_path):
    first = pushed()
    other = save(tmp_path, "frowns", seed=1)
    with pytest.raises(OutputError, match=r"'smiles'.*'frowns'"):
        pushed(other)
    assert hub.repos["ann/smiles"].commits[-1][0] == first.commit
    assert pushed(other, overwrite=True).changed
    assert json.loads(files(hub)["config.json"])["name"] == "frowns"


@pytest.mark.parametrize(
    "there",
    [
        {"README.md": b"# My thesis"},
        {"config.json": b'{"model_type": "bert"}', "model.safetensors": b"x"},
        {"config.json": b"not json"},
        {"model.safetensors": b"x"},
    ],
)
def test_what_is_not_ours_is_left_alone(hub, pushed, there):
    before = hub.add("ann/smiles", there)
    with pytest.raises(OutputError, match=r"holds something else \(.*overwrite=True"):
        pushed()
    assert hub.repos["ann/smiles"].commits[-1][0] == before


@pytest.mark.parametrize(("is_private", "wanted"), [(True, "private=False"), (False, "private=True")])
def test_who_sees_a_repository_is_never_changed_in_passing(hub, pushed, is_private, wanted):
    hub.add("ann/smiles", {}, private=is_private)
    with pytest.raises(OutputError, match=f"push without {wanted}"):
        pushed(private=not is_private)
    assert pushed(private=is_private).private is is_private


def test_a_commit_that_came_between_is_not_lost(hub, pushed, monkeypatch):
    pushed()
    hub.add("ann/smiles", files(hub))
    look = hub.repos["ann/smiles"].at

    def at_and_move(revision):
        hub.repos["ann/smiles"].at = look
        found = look(revision)
        hub.repos["ann/smiles"].commit({"README.md": b"theirs"})
        return found

    hub.repos["ann/smiles"].at = at_and_move
    with pytest.raises(HubError, match="412"):
        pushed()
    assert files(hub)["README.md"] == b"theirs"


# who may write


@pytest.mark.parametrize("token", [None, "hf_read"])
def test_without_a_token_that_may_write_nothing_is_made(hub, pushed, monkeypatch, token):
    monkeypatch.delenv("HF_TOKEN")
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(HubError, match="token"):
        pushed()
    assert hub.repos == {}


@pytest.mark.parametrize(("port", "said"), [(9, "push again"), (None, "token")])
def test_a_push_that_fails_does_not_speak_of_fetching(hub, pushed, monkeypatch, port, said):
    if port:
        monkeypatch.setattr(constants, "ENDPOINT", f"http://ann:pa55@127.0.0.1:{port}")
    else:
        monkeypatch.setenv("HF_TOKEN", "hf_…")
    with pytest.raises(HubError, match=said) as caught:
        pushed()
    assert not {"fetched", "pa55", "hf_…"} & set(re.findall(r"[\w…]+", str(caught.value)))


@pytest.mark.parametrize("data", ["photos of /home/ann/private", r"C:\\Users\\ann", "from ~/photos", "/srv/faces/2024"])
def test_a_path_of_this_machine_is_not_published(hub, tmp_path, data):
    save(tmp_path, "smiles", seed=0)
    yaml_file = tmp_path / "encoder.yaml"
    yaml_file.write_text(yaml_file.read_text().replace("a dozen faces", data))
    with pytest.raises(InputError, match="which would be published"):
        push_encoder(tmp_path, "ann/smiles")
    assert hub.requests("POST", "commit") == []
