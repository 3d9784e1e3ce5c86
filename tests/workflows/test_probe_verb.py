"""`ferkit.probe` on faces whose grey says the label and whose stripe says the person."""

import json
from functools import partial
from importlib import import_module

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import ferkit
from ferkit.encoders.encoder import load_encoder, load_head
from ferkit.encoders.registry import read_entry
from ferkit.errors import EncoderMismatchError, InputError, OutputError, UnknownEncoderError, WeightsError
from ferkit.probing import encoders
from ferkit.probing.protocols import base as protocols
from ferkit.probing.report import as_json
from ferkit.report.probe_folder import PAGE, REPORT
from samples import save_run

probe_module = import_module("ferkit.workflows.probe")
LABELS = ("calm", "glad")


@pytest.fixture(autouse=True)
def own_cache_and_few_resamples(monkeypatch, tmp_path):
    monkeypatch.setenv("FERKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(protocols, "bootstrap_interval", partial(protocols.bootstrap_interval, resamples=40))
    monkeypatch.setattr(probe_module, "paired_interval", partial(probe_module.paired_interval, resamples=40))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run folder with a tiny encoder that knows nothing."""
    return save_run(tmp_path_factory.mktemp("runs") / "tiny", seed=1, name="tiny")


@pytest.fixture
def people(make_face_set):
    """Write face sets of n people, two faces of each label; the label is where the bright half is."""

    def make(n=6, name="people", seed=0, **known):
        random = np.random.default_rng(seed)
        crops = random.integers(0, 40, (4 * n, 128, 128, 3), np.uint8)
        for row in range(len(crops)):
            crops[row, :, (row // 4) * 9 % 128 :][:, :3] = 255
            crops[row, slice(0, 64) if row % 2 else slice(64, 128)] += 150
        usual = {"label": lambda row: LABELS[row % 2], "identity": lambda row: f"{name} {row // 4}"}
        return make_face_set(crops, name, **{**usual, **known}).path

    return make


def value_of(report, protocol, name, encoder=0):
    return next(each.value for each in report.encoders[encoder].sections[protocol].figures if each.name == name)


def test_all_that_the_data_permit(people, run, tmp_path):
    report = ferkit.probe(run, people(), out=tmp_path / "report", device="cpu", k=5, pictures=False)
    (encoder,) = report.encoders
    assert list(encoder.sections) == ["linear", "knn", "few-labels", "retrieval", "triplets", "leakage"]
    assert set(report.skipped) == {"affect", "finetune", "finetune-affect"}
    assert value_of(report, "linear", "accuracy") > 0.9
    assert set(encoder.sections["leakage"].baselines) == {"pixels", "random"}
    assert report.warnings == ()
    assert "<h1>Probe of tiny</h1>" in (tmp_path / "report" / PAGE).read_text()
    told = json.loads((tmp_path / "report" / REPORT).read_text())
    known = json.loads(json.dumps(as_json(report)))
    known["data"]["sources"] = ["people"]  # a report travels without paths
    known["encoders"][0]["encoder"] = "tiny"
    assert told == known
    assert told["data"]["people"] == 6
    assert told["encoders"][0]["sha256"] == load_encoder(run).sha256
    assert told["settings"]["k"] == 5
    assert set(told["versions"]) == {"ferkit", "python", "numpy", "scikit-learn", "timm", "torch"}


def test_a_report_replaces_the_pictures_of_an_earlier_one_and_touches_no_other_folder(people, run, tmp_path):
    faces, out = people(2), tmp_path / "report"
    ask = partial(ferkit.probe, data=faces, test=people(1, "more"), protocol="linear", device="cpu", folds=2)
    ask("random", out=out)
    drawn = {path.name for path in out.glob("*.png")}
    assert "random-linear-confusion.png" in drawn
    (out / "mine.png").write_text("")
    ask(run, out=out, pictures=False)
    assert str(tmp_path) not in (out / REPORT).read_text() + (out / PAGE).read_text()
    assert {path.name for path in out.iterdir()} == {REPORT, PAGE, "mine.png"}
    (out / REPORT).unlink()
    with pytest.raises(OutputError, match="no report"):
        ask(run, out=out)


def test_a_report_that_cannot_be_drawn_leaves_the_earlier_one(people, run, tmp_path, monkeypatch):
    def broken(*_):
        raise OSError(28, "No space left on device")

    ask, out = (
        partial(ferkit.probe, run, people(), protocol="knn", out=tmp_path / "out", pictures=False),
        tmp_path / "out",
    )
    for before in (False, True):
        if before:
            ask()
        left = {path.name: path.read_bytes() for path in out.iterdir()} if before else {}
        with monkeypatch.context() as patch:
            patch.setattr("ferkit.report.probe_page.page_of", broken)
            with pytest.raises(OutputError, match="nothing was changed"):
                ask()
        assert ({path.name: path.read_bytes() for path in out.iterdir()} if out.exists() else {}) == left


def test_a_head_of_own_labels_is_kept(people, run, tmp_path):
    faces = people(n=12)
    ferkit.probe(run, faces, protocol="linear", device="cpu", save_head=tmp_path / "own.safetensors")
    found = ferkit.recognise(faces, encoder=run, head=tmp_path / "own.safetensors", device="cpu")
    assert found.classes == LABELS
    assert np.mean([row["expression"] == row["label"] for row in found.table.to_pylist()]) > 0.8
    head = load_head(run, tmp_path / "own.safetensors")
    assert head.same is not None
    assert head.affect_weight is None
    other = save_run(tmp_path / "other", seed=2)
    with pytest.raises(WeightsError, match="not those"):
        ferkit.recognise(faces, encoder=other, head=tmp_path / "own.safetensors", device="cpu")


def test_faces_are_embedded_once(people, run, monkeypatch, listener):
    faces = people(3)
    first = ferkit.probe(run, faces, protocol="knn")

    def refuse(*_):
        raise AssertionError("embedded again")

    monkeypatch.setattr(encoders.NetworkEncoder, "features", refuse)
    again = ferkit.probe(run, faces, protocol="knn")
    assert as_json(first) == as_json(again)
    assert as_json(ferkit.probe(run, people(3, label=lambda row: LABELS[row % 4 // 2]), protocol="knn"))
    with pytest.raises(AssertionError, match="embedded again"):
        ferkit.probe(run, people(3, "others", seed=1), protocol="knn")


def test_train_on_one_set_and_test_on_another_with_other_names(people, run):
    train, test = people(4, "train"), people(3, "test", label=lambda row: ("still", "laughing")[row % 2])
    named = {"still": "calm", "laughing": "glad"}
    report = ferkit.probe(run, train, test=test, protocol=["linear", "knn"], label_map=named)
    assert (report.data.faces, report.test.faces) == (16, 12)
    assert report.split == "train and test as given"
    assert value_of(report, "linear", "accuracy") > 0.9
    assert report.encoders[0].sections["linear"].result.count == 12
    with pytest.raises(InputError, match="label_map"):
        ferkit.probe(run, train, test=test, protocol="linear")


def test_what_a_reader_should_know_is_said(people, run):
    strange = people(3, "strange", label=lambda row: [*LABELS, "proud", None][row % 4], identity=lambda row: None)
    report = ferkit.probe(run, people(3), test=strange, protocol="knn")
    said = "\n".join(report.warnings)
    for words in (
        "12 of 12 faces of",
        "have no identity",
        "3 of 12 faces of",
        "have no label",
        "3 test faces show proud",
    ):
        assert words in said
    assert report.encoders[0].sections["knn"].result.unseen == {"proud": 3}
    report = ferkit.probe(run, people(3), test=people(2), protocol="knn")
    said = "\n".join(report.warnings)
    assert "2 people are in train and test" in said
    assert "8 pictures are in train and test" in said


def test_encoders_side_by_side_with_paired_differences(people, run):
    report = ferkit.probe(
        [run, "random", "pixels"], people(), protocol=["linear", "triplets"], compare=True, seeds=2, folds=3
    )
    assert [each.name for each in report.encoders] == ["tiny", "random", "pixels"]
    pairs = {(each.protocol, each.figure, each.second): each.difference for each in report.comparisons}
    assert pairs["linear", "accuracy", "random"].groups == 6
    difference = pairs["triplets", "accuracy", "pixels"]
    assert difference.value == pytest.approx(
        value_of(report, "triplets", "accuracy") - value_of(report, "triplets", "accuracy", 2)
    )
    assert len(report.encoders[0].sections["linear"].figures[0].by_seed) == 2


def test_vectors_are_probed_by_their_own_rows_and_faceless_ones_are_wrong(people, run, tmp_path):
    ferkit.embed(people(), tmp_path / "emb.npy", encoder=run)
    whole = ferkit.probe(tmp_path / "emb.npy", protocol=["linear", "knn"])
    assert whole.encoders[0].name == "emb.npy"
    assert whole.encoders[0].sha256 == load_encoder(run).sha256
    vectors = np.load(tmp_path / "emb.npy")
    vectors[:6] = np.nan
    np.save(tmp_path / "emb.npy", vectors)
    part = ferkit.probe(tmp_path / "emb.npy", protocol="linear")
    assert part.encoders[0].coverage == 0.75
    assert value_of(part, "linear", "accuracy") <= 0.75
    assert part.encoders[0].sections["linear"].result.coverage == 0.75


def test_affect_of_an_array_of_another_program(tmp_path):
    random = np.random.default_rng(0)
    vectors = random.normal(size=(60, 4)).astype(np.float32)
    values = {"valence": np.tanh(vectors[:, 0]), "arousal": np.tanh(vectors[:, 1])}
    np.save(tmp_path / "mine.npy", vectors)
    pq.write_table(pa.table({"identity": [f"p{row // 3}" for row in range(60)], **values}), tmp_path / "mine.parquet")
    report = ferkit.probe(tmp_path / "mine.npy")
    assert report.data.affect == 60
    assert value_of(report, "affect", "valence.ccc") > 0.8
    assert set(report.skipped) == {
        *{"linear", "knn", "few-labels", "finetune", "finetune-affect", "retrieval", "triplets"}
    }


def test_triplets_that_people_judged(people, run, make_face_set, noise_crops, tmp_path):
    crops = noise_crops(2)
    faces = make_face_set(np.stack([crops[0], crops[0], crops[1]]), "fec", source=lambda row: f"/x/{row}.png")
    (tmp_path / "pictures").mkdir()
    for row in range(3):
        Image.new("RGB", (8, 8)).save(tmp_path / "pictures" / f"{row}.png")
    places = ",".join(f"http://x.org/{row}.png,0,1,0,1" for row in range(3))
    rows = [f"{places},{kind}_CLASS_TRIPLET,someone,{odd}" for kind, odd in (("ONE", 3), ("TWO", 1))]
    (tmp_path / "fec.csv").write_text("\n".join(rows))
    given = {"fec": str(tmp_path / "fec.csv"), "fec_images": str(tmp_path / "pictures")}
    report = ferkit.probe(run, faces.path, protocol="triplets", **given)
    found = {figure.name: figure.value for figure in report.encoders[0].sections["triplets"].figures}
    assert found == {"fec.accuracy": 0.5, "fec.ONE_CLASS_TRIPLET": 1, "fec.TWO_CLASS_TRIPLET": 0}


def test_published_figures_stand_in_the_entry_and_are_replaced(people, tmp_path):
    run = save_run(tmp_path / "published", name="published")
    before = read_entry(run / "encoder.yaml")
    for _ in range(2):
        report = ferkit.probe(run, people(), protocol="knn", publish=True)
    entry = read_entry(run / "encoder.yaml")
    assert entry.model_copy(update={"metrics": []}) == before
    assert len(entry.metrics) == 6
    metric = entry.metrics[0]
    assert metric.value == pytest.approx(value_of(report, "knn", "accuracy"), abs=1e-4)
    assert metric.protocol.startswith("accuracy; kNN (cosine, k = ")
    assert metric.data.startswith("people (24 faces, 6 people, sha256 ")
    load_encoder(run)


@pytest.mark.parametrize(
    ("known", "more", "words"),
    [
        ({"label": lambda row: None}, {"protocol": "linear"}, "has a label"),
        ({"label": lambda row: None, "identity": lambda row: None}, {}, "has a label"),
        ({"label": lambda row: "calm"}, {"protocol": "knn"}, "are 'calm'"),
        ({"identity": lambda row: "ann"}, {"protocol": "linear"}, "1 people cannot make 2 folds"),
        ({}, {"protocol": "linear", "folds": 9}, "6 people cannot make 9 folds"),
        ({"identity": lambda row: None}, {"protocol": "leakage"}, "identity_from"),
        ({"identity": lambda row: None}, {"protocol": "triplets"}, "identity_from"),
        ({}, {"protocol": "affect"}, "valence and arousal"),
        ({}, {"protocol": "lineal"}, "'lineal'"),
        ({}, {"protocol": "retrieval", "k": 100}, "smaller k"),
        ({}, {"protocol": "triplets", "pair": ("calm", "proud")}, "'proud'"),
        ({}, {"protocol": "leakage", "leak": ["gender"]}, "'gender'"),
        ({}, {"protocol": "triplets", "fec": "table.csv"}, "fec_images"),
        ({}, {"linear": "adam"}, "'adam'.*crs-cont"),
        ({}, {"lr": 0}, "above 0"),
    ],
)
def test_bad_input(people, run, known, more, words):
    with pytest.raises(InputError, match=words):
        ferkit.probe(run, people(**known), **more)


def test_what_does_not_go_together(people, run, make_face_set, noise_crops, tmp_path):
    faces = people(2)
    with pytest.raises(EncoderMismatchError, match="aligned to 'other'"):
        ferkit.probe(run, make_face_set(noise_crops(2), "b", "other", label=lambda row: LABELS[row]).path)
    with pytest.raises(UnknownEncoderError):
        ferkit.probe("contrawarpin", faces)
    with pytest.raises(InputError, match=r"models\.yaml"):
        ferkit.probe("contrawarping-r18", faces, publish=True)
    with pytest.raises(InputError, match="no entry"):
        ferkit.probe("pixels", faces, publish=True)
    (tmp_path / "taken").write_text("")
    with pytest.raises(OutputError, match="is a file"):
        ferkit.probe(run, faces, out=tmp_path / "taken")
    ferkit.embed(faces, tmp_path / "emb.npy", encoder=run)
    save_run(tmp_path / "other", seed=2)
    ferkit.embed(faces, tmp_path / "other.npy", encoder=tmp_path / "other")
    with pytest.raises(EncoderMismatchError, match="cannot be compared"):
        ferkit.probe(tmp_path / "emb.npy", test=tmp_path / "other.npy", protocol="knn")
    with pytest.raises(InputError, match="holds no crops"):
        ferkit.probe([tmp_path / "emb.npy", run], protocol="knn")
