"""Weights of others as an encoder of ferkit: the folder, the entry, and the user's own models file."""

import sys

import numpy as np
import pytest
import timm
import torch
import yaml

from ferkit.encoders.encoder import load_encoder
from ferkit.encoders.hashes import sha256_of
from ferkit.encoders.importing.import_encoder import import_encoder
from ferkit.encoders.registry import load_registry, read_entry
from ferkit.errors import InputError


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FERKIT_MODELS", raising=False)
    return tmp_path


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    network = timm.create_model("resnet10t", num_classes=0)
    network(torch.rand(2, 3, 32, 32))
    return network.eval()


@pytest.fixture
def checkpoint(here, network):
    """What the code of MoCo writes."""
    query = {f"module.encoder_q.{name}": tensor for name, tensor in network.state_dict().items()}
    key = {f"module.encoder_k.{name}": tensor + 1 for name, tensor in network.state_dict().items()}
    torch.save({"epoch": 200, "arch": "resnet10t", "state_dict": query | key}, here / "moco.pth.tar")
    return here / "moco.pth.tar"


@pytest.fixture
def own(here, monkeypatch):
    (here / "zoo").mkdir()
    monkeypatch.setenv("FERKIT_MODELS", str(here / "zoo" / "mine.yaml"))
    return here / "zoo" / "mine.yaml"


def test_the_encoder_computes_what_the_network_did(checkpoint, network):
    result = import_encoder(checkpoint, "moco", input_size=32)
    encoder = load_encoder(result.folder, device="cpu")
    crops = np.random.default_rng(0).integers(0, 256, (3, 128, 128, 3), dtype=np.uint8)
    with torch.inference_mode():
        expected = network(encoder.prepare(crops)).numpy()
    np.testing.assert_allclose(encoder.features(crops), expected, rtol=1e-5, atol=1e-5)
    state = torch.load(checkpoint)["state_dict"]
    for name, tensor in encoder.backbone.state_dict().items():
        assert torch.equal(tensor, state[f"module.encoder_q.{name}"])  # nothing was shortened


def test_the_entry_says_where_the_weights_are_from(checkpoint):
    result = import_encoder(checkpoint, "moco")
    assert str(result.folder) == "encoders/moco-resnet10t"
    assert read_entry(result.folder / "encoder.yaml") == result.entry
    assert (result.entry.name, result.entry.arch, result.entry.dim) == ("moco-resnet10t", "resnet10t", 512)
    assert (result.entry.input_size, result.entry.supervision) == (224, "unsupervised")
    assert sha256_of(checkpoint) in result.entry.trained_on.data
    assert result.entry.licences is None
    assert result.dropped == {"encoder_k": 84}


@pytest.mark.parametrize("indent", ["", "    "])
def test_registering_keeps_what_stands_in_the_file(checkpoint, own, indent):
    first = import_encoder(checkpoint, "moco", register=True, name="first")
    lines = yaml.safe_dump({"encoders": yaml.safe_load(own.read_text())["encoders"]}).splitlines()
    before = "\n".join(["# mine", lines[0], *(indent + line for line in lines[1:]), "# the end"])
    own.write_text(before + "\n\n")
    import_encoder(checkpoint, "moco", register=True, name="second")
    assert own.read_text().startswith(before + "\n")
    assert [name for name in load_registry() if name in ("first", "second")] == ["first", "second"]
    assert load_registry()["first"].sha256 == first.entry.sha256


def test_a_file_that_lines_cannot_be_added_to_is_left_alone(checkpoint, own):
    import_encoder(checkpoint, "moco", register=True, name="first")
    own.write_text(yaml.safe_dump(yaml.safe_load(own.read_text()), default_flow_style=True))
    before = own.read_text()
    with pytest.raises(InputError, match="by hand"):
        import_encoder(checkpoint, "moco", register=True, name="second")
    assert own.read_text() == before
    assert load_encoder(own.parent / "second", device="cpu").name == "second"


@pytest.mark.parametrize(
    "options",
    [
        {"name": "votes-r18"},
        {"out": "elsewhere"},
        {"out": "zoo/has space"},
        {"name": "../up"},
        {"name": ".hidden"},
        {"input_size": 1025},
    ],
)
def test_what_cannot_be_registered_leaves_nothing(checkpoint, own, here, options):
    with pytest.raises(InputError):
        import_encoder(checkpoint, "moco", register=True, **options)
    assert list(own.parent.iterdir()) == []
    assert {path.name for path in here.iterdir()} == {"zoo", checkpoint.name}


def test_an_import_that_was_killed_before_it_was_registered_goes_on(checkpoint, own, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(sys.modules["ferkit.encoders.importing.import_encoder"], "_register", killed)
        with pytest.raises(KeyboardInterrupt):
            import_encoder(checkpoint, "moco", register=True)
    assert (own.parent / "moco-resnet10t").is_dir()
    assert "moco-resnet10t" not in load_registry(own=[own] if own.exists() else [])
    for _ in range(2):  # the second time it is complete already
        result = import_encoder(checkpoint, "moco", register=True)
        assert load_registry()["moco-resnet10t"].sha256 == result.entry.sha256
    assert own.read_text().count("name: moco-resnet10t") == 1
    with pytest.raises(InputError, match="'moco-resnet10t' already"):
        import_encoder(checkpoint, "moco", register=True, input_size=96)
