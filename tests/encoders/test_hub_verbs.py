import numpy as np
import pytest
import yaml

from ferkit.data.embedding_set import EmbeddingSet
from ferkit.encoders.encoder import load_head, locate_encoder
from ferkit.encoders.hub_push import push_encoder
from ferkit.encoders.hub_repo import pull_encoder
from ferkit.encoders.registry import WeightsFile, load_registry
from ferkit.errors import InputError, WeightsError
from ferkit.workflows.embed import embed
from ferkit.workflows.models import show_encoder
from ferkit.workflows.retrieve import retrieve

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # see test_hub_push.py

STATED = {"licence": "MIT", "data": "nothing, CC0"}


@pytest.fixture
def pushed(hub, run_folder, monkeypatch):
    """The run folder's encoder at ann/toy, private; its commit."""
    monkeypatch.setenv("HF_TOKEN", "hf_write")
    return push_encoder(run_folder, "ann/toy", **STATED).commit


@pytest.fixture
def registered(pushed, run_folder, monkeypatch):
    """An entry of models.yaml that names the branch."""
    weights = WeightsFile(kind="hub", file="model.safetensors", repo="ann/toy", revision="main")
    known = locate_encoder(run_folder)[0]
    entry = known.model_copy(update={"name": "toy", "weights": weights, "sha256": None, "bytes": None})
    zoo = {**load_registry(), "toy": entry}
    homes = ("encoders.encoder", "encoders.hub_push", "encoders.hub_repo", "search.set_encoder", "workflows.models")
    for module in homes:
        monkeypatch.setattr(f"ferkit.{module}.load_registry", lambda: zoo)
    return entry


# pull


def test_an_entry_is_pulled_recorded_and_shown(registered, pushed, hub):
    assert show_encoder("toy") == registered
    pulled = pull_encoder("toy")
    assert (pulled.source, pulled.entry.weights.revision) == ("toy", pushed)
    assert show_encoder("toy") == pulled.entry
    later = hub.repos["ann/toy"].commit({"notes.txt": b""})
    assert pull_encoder("toy").entry.weights.revision == pushed
    assert pull_encoder("toy", update=True).entry.weights.revision == later


def test_weights_of_one_s_own_are_never_removed(tmp_path, run_folder, monkeypatch):
    weights = tmp_path / "encoder.safetensors"
    weights.write_bytes((run_folder / weights.name).read_bytes())
    entry = locate_encoder(run_folder)[0].model_copy(update={"name": "mine", "sha256": "ab" * 32})
    fields = entry.model_dump(mode="json", exclude_none=True)
    (tmp_path / "models.yaml").write_text(yaml.safe_dump({"encoders": [fields]}))
    monkeypatch.setenv("FERKIT_MODELS", str(tmp_path / "models.yaml"))
    with pytest.raises(WeightsError, match="of its entry, so it is not used"):
        pull_encoder("mine")
    assert weights.is_file()


# push


def test_what_a_run_leaves_open_must_be_said(run_folder):
    with pytest.raises(InputError, match="add licence and data"):
        push_encoder(run_folder, "ann/toy")
    with pytest.raises(InputError, match="add data"):
        push_encoder(run_folder, "ann/toy", licence="MIT")


def test_damaged_weights_are_not_passed_on(hub, tmp_path, run_folder, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_write")
    for path in run_folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "encoder.safetensors").write_bytes(b"damaged")
    with pytest.raises(WeightsError, match="SHA-256"):
        push_encoder(tmp_path, "ann/toy", **STATED)
    assert hub.repos == {}


def test_the_head_goes_with_the_encoder(hub, headed_run, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_write")
    push_encoder(headed_run, "ann/headed", **STATED)
    found, own = load_head("hf-hub:ann/headed"), load_head(headed_run)
    assert (found.classes, found.same) == (own.classes, own.same)
    assert (found.weight == own.weight).all()


# in every command


def test_a_set_remembers_repository_and_commit(pushed, hub, crop_folder, run_folder):
    crops = crop_folder(4)
    out = crops.parent / "emb.npy"
    embed(crops, out, encoder="hf-hub:ann/toy", device="cpu", aligned=True)
    made = EmbeddingSet.open(out)
    assert made.encoder.name == f"hf-hub:ann/toy@{pushed}"
    hub.repos["ann/toy"].commit({"config.json": b"{}"})  # what main says later does not matter
    hub.asked.clear()
    assert retrieve(crops / "0.png", out, device="cpu", exclude_query=False).hits[0].score == pytest.approx(1, abs=1e-5)
    assert hub.asked == []
    own = EmbeddingSet.open(embed(crops, out, encoder=run_folder, aligned=True, device="cpu").path)
    np.testing.assert_array_equal(made.vectors, own.vectors)


# the environment
