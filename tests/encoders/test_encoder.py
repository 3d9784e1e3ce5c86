import numpy as np
import pytest
import torch
import yaml
from torch import nn

from ferkit.encoders import encoder as encoder_module
from ferkit.encoders import registry as registry_module
from ferkit.encoders.backbones import UnknownBackboneError
from ferkit.encoders.encoder import Encoder, load_encoder, random_encoder, save_encoder
from ferkit.encoders.export_module import CropGraph, contract_digest
from ferkit.encoders.hashes import sha256_of
from ferkit.encoders.registry import EncoderCard, load_registry, read_entry, registered_weights
from ferkit.errors import InputError, MissingPathError, UnknownEncoderError, WeightsError
from ferkit.probing.encoders import NetworkEncoder
from samples import noise

ARCH = "test_resnet"  # timm's own toy


class MeanColour(nn.Module):
    """Three features that can be worked out by hand."""

    def forward(self, images):
        return images.mean(dim=(2, 3))


def mean_colour(*, center=None, **fields):
    fields = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0), **fields}
    card = EncoderCard(name="mean", arch="none", dim=3, supervision="none", **fields)
    return Encoder(card, MeanColour(), center=center)


def crops(*colours, border=255, side=128):
    """Make faces of one colour inside the central 112 px, with a border that must not be seen."""
    faces = np.full((len(colours), side, side, 3), border, dtype=np.uint8)
    faces[:, 8:120, 8:120] = np.array(colours, dtype=np.uint8)[:, None, None]
    return faces


@pytest.fixture(scope="module")
def toy():
    return random_encoder(ARCH, input_size=64)


@pytest.fixture
def run(tmp_path, toy):
    folder = tmp_path / "run"
    folder.mkdir()
    save_encoder(folder, toy.backbone.state_dict(), toy.entry, center=torch.full((toy.dim,), 0.01))
    return folder


def edit(path, **fields):
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **fields}))


# what the network is given


def test_a_gray_encoder_sees_luminance_alone():
    vectors = mean_colour(gray=True).features(crops([200, 0, 0], [0, 100, 0], [10, 20, 250]))
    expected = [200 * 0.299, 100 * 0.587, 10 * 0.299 + 20 * 0.587 + 250 * 0.114]
    np.testing.assert_allclose(vectors * 255, np.repeat([expected], 3, axis=0).T, atol=1e-3)
    gray = crops([77, 77, 77])
    np.testing.assert_allclose(mean_colour(gray=True).features(gray), mean_colour().features(gray), atol=1e-6)


def test_the_field_is_resized_where_the_network_wants_another_size():
    # Halving with the triangle filter of width 4: (p0 + 3 p1 + 3 p2 + p3) / 8, so a ramp stays a ramp.
    ramp = np.broadcast_to(np.arange(128, dtype=np.uint8)[:, None, None], (1, 128, 128, 3))
    images = mean_colour(input_size=56).prepare(ramp)
    assert images.shape == (1, 3, 56, 56)
    expected = (8 + 2 * np.arange(56) + 0.5) / 255
    np.testing.assert_allclose(images[0, 0, 1:-1, 3], expected[1:-1], atol=1e-6)


@pytest.mark.parametrize("side", [160, 256])
def test_the_same_part_of_larger_crops_is_seen(side):
    """The middle 112 of 128 parts: what lies further out is red here, and never met; a ramp is met at its places."""
    line = (np.arange(side) + 0.5) * 128 / side
    ramp = np.broadcast_to(line[:, None, None], (side, side, 3)).copy()
    edge = side // 16 - 1
    ramp[:edge], ramp[:, :edge], ramp[-edge:], ramp[:, -edge:] = ([255, 0, 0],) * 4
    images = mean_colour(input_size=56).prepare(ramp.round().astype(np.uint8)[None])
    expected = 8 + 2 * np.arange(56) + 1
    np.testing.assert_allclose(images[0, 1, 1:-1, 3] * 255, expected[1:-1], atol=0.6)
    assert (images[0, 0] == images[0, 1]).all()


# vectors


def test_vectors_have_length_one():
    vectors = mean_colour().embed(crops((30, 0, 40), (7, 7, 7)))
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, [[0.6, 0.0, 0.8], [3**-0.5] * 3], atol=1e-6)
    np.testing.assert_array_equal(mean_colour().embed(crops((0, 0, 0))), np.zeros((1, 3)))  # where there is a length


def test_the_centre_is_taken_off_before_normalising():
    encoder = mean_colour(center=torch.tensor([0.2, 0.2, 0.2]))
    faces = crops((51, 51, 102), (51, 0, 51))
    np.testing.assert_allclose(encoder.embed(faces), [[0, 0, 1], [0, -1, 0]], atol=1e-5)
    np.testing.assert_allclose(encoder.features(faces)[0], [0.2, 0.2, 0.4], atol=1e-6)


def test_embedding_is_that_of_the_bare_network(toy):
    faces = noise(3)
    pixels = torch.from_numpy(faces[:, 8:120, 8:120]).permute(0, 3, 1, 2) / 255
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    images = nn.functional.interpolate((pixels - mean) / std, size=64, mode="bilinear", antialias=True)
    with torch.no_grad():
        features = toy.backbone(images).numpy()
    expected = features / np.linalg.norm(features, axis=1, keepdims=True)
    np.testing.assert_allclose(toy.embed(faces), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "kind"),
    [((1, 128, 128, 3), np.int32), ((1, 3, 128, 128), np.uint8), ((1, 111, 128, 3), np.uint8), ((128, 128), np.int64)],
)
def test_other_arrays_are_refused(toy, shape, kind):
    with pytest.raises(InputError):
        toy.embed(np.zeros(shape, kind))


# random weights


# on disk and back


def test_a_saved_encoder_comes_back(run, toy):
    encoder = load_encoder(run, "cpu")
    assert encoder.entry == read_entry(run / "encoder.yaml")
    assert encoder.sha256 == sha256_of(run / "encoder.safetensors")
    assert encoder.entry.bytes == (run / "encoder.safetensors").stat().st_size
    torch.testing.assert_close(encoder.center, torch.full((toy.dim,), 0.01))
    faces = noise(4)
    np.testing.assert_allclose(encoder.features(faces), toy.features(faces), rtol=0, atol=2e-3)
    assert {p.dtype for p in encoder.parameters()} == {torch.float32}
    assert not encoder.training


def test_a_renamed_pair_loads(run):
    (run / "encoder.safetensors").rename(run / "mine.safetensors")
    (run / "encoder.yaml").rename(run / "mine.yaml")
    assert load_encoder(run / "mine.safetensors").dim > 0


@pytest.mark.parametrize(
    ("fields", "error", "what"),
    [
        ({"arch": "resnet18", "dim": 512}, WeightsError, "resnet18"),
        ({"dim": 10**15}, WeightsError, f"{10**15}"),  # no memory is taken for it
        (
            {"weights": {"kind": "hub", "file": "x.safetensors", "repo": "a/b", "revision": "main"}},
            WeightsError,
            "file",
        ),
        ({"weights": {"kind": "bundled", "file": "encoder.safetensors"}}, WeightsError, "file"),
        ({"crop": "arcface-112"}, InputError, "arcface-112"),
        ({"arch": "hf-hub:somebody/something"}, UnknownBackboneError, "hf-hub"),
        ({"sha256": "ab" * 32}, WeightsError, "SHA-256"),
    ],
)
def test_an_entry_that_is_not_that_of_the_weights_is_refused(run, fields, error, what):
    edit(run / "encoder.yaml", **fields)
    with pytest.raises(error, match=what) as caught:
        load_encoder(run)
    assert "\n" not in str(caught.value)


def test_weights_are_never_taken_without_their_hash(run, monkeypatch):
    known = read_entry(run / "encoder.yaml")
    entry = known.model_copy(update={"sha256": None})
    monkeypatch.setattr(encoder_module, "locate_encoder", lambda *_: (entry, run / "encoder.safetensors"))
    with pytest.raises(WeightsError, match="lacks its sha256"):
        load_encoder(run)


# the registry's


@pytest.fixture
def zoo(run, tmp_path, monkeypatch):
    """A package whose zoo holds the run's encoder."""
    weights = tmp_path / "package" / "weights"
    weights.mkdir(parents=True)
    (run / "encoder.safetensors").rename(weights / "toy.safetensors")
    fields = yaml.safe_load((run / "encoder.yaml").read_text())
    fields |= {"name": "toy", "weights": {"kind": "bundled", "file": "toy.safetensors"}}
    fields["licences"] = {"code": "a", "weights": "b", "data": "c"}
    (tmp_path / "package" / "models.yaml").write_text(yaml.safe_dump({"encoders": [fields]}))
    monkeypatch.setattr(registry_module, "_PACKAGE", tmp_path / "package")
    return weights


def test_a_registered_name_wins_over_a_folder(zoo, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "toy").mkdir()
    assert load_encoder("toy").name == "toy"
    with pytest.raises(WeightsError):
        load_encoder("./toy")
    (zoo / "toy.safetensors").unlink()
    with pytest.raises(WeightsError, match="install or train"):
        load_encoder("toy")


@pytest.mark.parametrize("name", [name for name, entry in load_registry().items() if entry.weights.kind == "bundled"])
def test_every_bundled_encoder_keeps_its_promises(name):
    entry = load_registry()[name]
    assert registered_weights(entry).stat().st_size == entry.bytes
    encoder = load_encoder(name, "cpu")
    vectors = encoder.embed(noise(2))
    assert vectors.shape == (2, entry.dim)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert encoder.center.any()


@pytest.mark.parametrize(("flip", "length"), [(False, 96), (True, 96), (False, 5)])
def test_vectors_are_projected_features(tmp_path, flip, length):
    """Of a file, of the exported network, and of a probe alike."""
    untrained = random_encoder("test_resnet", 32)
    card = untrained.entry.model_copy(update={"field": 32, "flip": flip})
    projection = torch.randn(card.dim, length, generator=torch.Generator().manual_seed(0)).half().float()
    center = torch.full((card.dim,), 0.01)
    save_encoder(tmp_path, untrained.backbone.state_dict(), card, center=center, projection=projection)
    encoder = load_encoder(tmp_path, device="cpu")
    pictures = noise(3, 48)
    projected = (encoder.features(pictures).astype(np.float64) - 0.01) @ projection.double().numpy()
    wanted = projected / np.linalg.norm(projected, axis=1, keepdims=True)
    assert (encoder.width, encoder.dim) == (96, length)
    np.testing.assert_allclose(encoder.embed(pictures), wanted, atol=1e-5)
    np.testing.assert_allclose(CropGraph(encoder, 48)(torch.from_numpy(pictures)).detach(), wanted, atol=1e-5)
    np.testing.assert_allclose(NetworkEncoder(encoder, "", 2).unit(encoder.features(pictures)), wanted, atol=1e-5)


def test_mirror_images_have_the_same_vector_where_both_are_averaged():
    faces, untrained = noise(2), random_encoder(ARCH, 32)
    both = Encoder(untrained.entry.model_copy(update={"flip": True}), untrained.backbone)
    np.testing.assert_allclose(both.embed(faces), both.embed(faces[:, :, ::-1].copy()), atol=1e-5)
    single = (untrained.features(faces) + untrained.features(faces[:, :, ::-1].copy())) / 2
    np.testing.assert_allclose(both.features(faces), single, atol=1e-5)
    assert contract_digest(both.entry) != contract_digest(untrained.entry)


@pytest.mark.parametrize(
    ("name", "error", "what"),
    [
        ("contrawarping-r81", UnknownEncoderError, "contrawarping-r18"),
        ("runs/x", MissingPathError, "runs/x"),
        ("./x", MissingPathError, "./x"),
        ("x.safetensors", MissingPathError, "x.safetensors"),
        (".", WeightsError, r"encoder\.yaml"),  # a run that has not ended
    ],
)
def test_what_is_no_encoder(tmp_path, monkeypatch, name, error, what):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=what):
        load_encoder(name)
