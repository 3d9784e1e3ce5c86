"""The ways to ask `retrieve`, who may be found, and its answers as files."""

import io
import sys
from types import SimpleNamespace

import numpy as np
import pyarrow.csv as csv
import pyarrow.parquet as pq
import pytest
from PIL import Image

from ferkit.data.embedding_set import EmbeddingSet
from ferkit.encoders.encoder import load_head
from ferkit.encoders.expression_head import UnknownExpressionError
from ferkit.errors import InputError, OutputError
from ferkit.workflows.embed import embed
from ferkit.workflows.retrieve import retrieve

PEOPLE, LABELS = ("Ann", "Bob", "Cem"), ("anger", "fear")


@pytest.fixture(scope="module")
def asked(headed_run, tmp_path_factory):
    """A set of nine crops of three people in turn, and of two labels; the crops are 0.png, 1.png, …"""
    folder = tmp_path_factory.mktemp("asked")
    crops = np.random.default_rng(9).integers(0, 256, (9, 128, 128, 3), np.uint8)
    for number, crop in enumerate(crops):
        place = folder / "photos" / LABELS[number % 2] / PEOPLE[number % 3] / f"{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(crop).save(place, compress_level=1)
        Image.fromarray(crop).save(folder / f"{number}.png", compress_level=1)
    embed(
        folder / "photos",
        folder / "emb.npy",
        encoder=headed_run,
        device="cpu",
        label_from="^([^/]+)/",
        identity_from="([^/]+)/[^/]+$",
    )
    return SimpleNamespace(folder=folder, set=EmbeddingSet.open(folder / "emb.npy"))


def row_of(asked, number):
    return next(row for row in range(9) if asked.set.face(row).source.endswith(f"/{number}.png"))


def ask(asked, *pictures, **settings):
    return retrieve([asked.folder / f"{each}.png" for each in pictures], asked.folder / "emb.npy", **settings)


def cosines(asked, vector):
    return np.asarray(asked.set.vectors, np.float64) @ (vector / np.linalg.norm(vector))


def expected(asked, scores, left_out=()):
    return [row for row in np.argsort(-scores).tolist() if row not in left_out]


def test_examples_and_counter_examples(asked):
    v = [np.asarray(asked.set.vectors[row_of(asked, number)], np.float64) for number in range(9)]
    result = ask(asked, 0, 1, negatives=asked.folder / "2.png", fold=False)
    scores = cosines(asked, v[0] + v[1] - v[2])
    rows = expected(asked, scores, [row_of(asked, number) for number in (0, 1, 2)])
    assert [hit.row for hit in result.hits] == rows
    assert [hit.score for hit in result.hits] == pytest.approx(scores[rows], abs=1e-5)
    assert result.query == "0.png, 1.png, not 2.png"
    best = ask(asked, 0, 1, negatives=asked.folder / "2.png", combine="best", fold=False)
    scores = np.maximum(cosines(asked, v[0]), cosines(asked, v[1])) - cosines(asked, v[2])
    assert [hit.score for hit in best.hits] == pytest.approx(np.sort(scores[rows])[::-1], abs=1e-5)


def test_a_row_of_the_set_needs_no_encoder(asked, monkeypatch):
    photo = ask(asked, 4)
    monkeypatch.setattr("ferkit.search.set_encoder.load_encoder", None)
    for result in (
        ask(asked, rows=row_of(asked, 4)),
        ask(asked, source=asked.set.face(row_of(asked, 4)).source, face=1),
    ):
        assert [hit.row for hit in result.hits] == [hit.row for hit in photo.hits]
        assert [hit.probability for hit in result.hits] == pytest.approx(
            [hit.probability for hit in photo.hits], abs=1e-5
        )


def test_standard_input_is_a_picture(asked, monkeypatch):
    content = (asked.folder / "4.png").read_bytes()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content)))
    result = retrieve("-", asked.folder / "emb.npy")
    assert [hit.row for hit in result.hits] == [hit.row for hit in ask(asked, 4).hits]
    with pytest.raises(InputError, match="standard input is empty"):
        retrieve("-", asked.folder / "emb.npy")


def test_a_class_is_asked_for_by_its_prototype(asked, headed_run):
    head = load_head(headed_run)
    result = ask(asked, like="happy")
    scores = cosines(asked, head.prototype("happiness"))
    assert [hit.row for hit in result.hits] == expected(asked, scores)
    shares = head.probabilities(asked.set.vectors)[:, 1]
    assert [hit.probability for hit in result.hits] == pytest.approx([shares[hit.row] for hit in result.hits])
    with pytest.raises(UnknownExpressionError, match="did you mean: surprise"):
        ask(asked, like="surprize")


def test_the_probability_is_the_heads_curve_and_percentiles_are_of_the_set(asked, headed_run):
    result = ask(asked, 0)
    curve = load_head(headed_run).same_probability(np.array([hit.score for hit in result.hits]))
    assert [hit.probability for hit in result.hits] == pytest.approx(curve, abs=1e-5)
    # the query itself is the one face of nine that scores higher than the first hit
    assert [hit.percentile for hit in result.hits] == pytest.approx([100 * (7 - rank) / 9 for rank in range(8)])
    least = float(np.median(curve))
    assert [hit.row for hit in ask(asked, 0, min_probability=least).hits] == [
        hit.row for hit in result.hits if hit.probability >= least
    ]
    assert result.good == (curve.max() >= 0.5)


def test_who_may_be_found(asked, listener):
    told = listener()
    result = ask(asked, 0, same_person="exclude", progress=told)
    assert {hit.identity for hit in result.hits} == {"Bob", "Cem"}
    assert (result.people, result.searched) == ("identity", 6)
    assert any("'identity'" in text for text in told.said)
    assert {hit.identity for hit in ask(asked, 0, same_person="only").hits} == {"Ann"}
    assert {hit.identity for hit in ask(asked, 0, same_person="exclude", identity="Cem").hits} == {"Ann", "Bob"}
    once = ask(asked, 0, one_per_person=True)
    assert sorted(hit.identity for hit in once.hits) == ["Ann", "Bob", "Cem"]
    assert once.people == "identity"
    with pytest.raises(InputError, match="'Dan'"):
        ask(asked, 0, same_person="only", identity="Dan")


def test_copies_are_one_hit(crop_folder, headed_run, tmp_path):
    folder = crop_folder(3)
    smooth = Image.open(folder / "1.png").resize((12, 12)).resize((128, 128))
    smooth.save(folder / "1.png")
    smooth.resize((150, 150)).save(folder / "copy.jpg", quality=70)
    embed(folder, tmp_path / "emb.npy", encoder=headed_run, device="cpu", aligned=True)
    found = retrieve(folder / "0.png", tmp_path / "emb.npy", aligned=True).hits
    assert sorted(hit.count for hit in found) == [1, 2]
    every = retrieve(folder / "0.png", tmp_path / "emb.npy", aligned=True, fold=False).hits
    assert [hit.count for hit in every] == [1, 1, 1]


def test_answers_as_files(asked, tmp_path):
    files = {"csv": "t.csv", "parquet": "t.parquet", "html": "t.html", "copy_to": "copies", "explain": "why.png"}
    result = ask(asked, 0, k=2, **{name: tmp_path / path for name, path in files.items()})
    assert set(result.outputs) == {"csv", "parquet", "html", "copy", "explain"}
    for table in (csv.read_csv(tmp_path / "t.csv"), pq.read_table(tmp_path / "t.parquet")):
        assert table.column("row").to_pylist() == [hit.row for hit in result.hits]
        assert table.column("probability").to_pylist() == pytest.approx([hit.probability for hit in result.hits])
    page = (tmp_path / "t.html").read_text()
    assert page.count("data:image/jpeg") == 3
    assert all(f'href="file://{hit.source}"' in page for hit in result.hits)
    names = [f"{hit.rank:03d} {hit.source.rpartition('/')[2]}" for hit in result.hits]
    assert sorted(path.name for path in (tmp_path / "copies").iterdir()) == names
    with Image.open(tmp_path / "why.png") as picture:
        assert picture.width > picture.height
    ask(asked, 0, k=1, html=tmp_path / "t.html")  # an earlier page is replaced


def test_names_are_escaped_on_the_page(crop_folder, headed_run, tmp_path):
    folder = crop_folder(2)
    (folder / "1.png").rename(folder / "<b>&.png")
    embed(folder, tmp_path / "emb.npy", encoder=headed_run, device="cpu")
    retrieve(folder / "0.png", tmp_path / "emb.npy", html=tmp_path / "t.html")
    page = (tmp_path / "t.html").read_text()
    assert "<b>&.png" not in page
    assert "&lt;b&gt;&amp;.png" in page


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "nothing is asked for"),
        ({"before": "0.png"}, "needs two photos"),
        ({"before": "0.png", "after": "1.png", "like": "fear"}, "asked for alone"),
        ({"rows": 9}, "no row 9"),
        ({"rows": 0, "face": 2}, "goes with one photo"),
        ({"source": "nowhere.jpg"}, "no face of the set is from"),
        ({"rows": 0, "combine": "median"}, "mean or best"),
        ({"rows": 0, "same_person": "never"}, "exclude, only or any"),
        ({"rows": 0, "min_probability": 2}, "between 0 and 1"),
    ],
)
def test_bad_questions(asked, settings, message):
    with pytest.raises(InputError, match=message):
        ask(asked, **settings)


def test_a_page_of_others_is_kept(asked, tmp_path):
    (tmp_path / "index.html").write_text("mine")
    with pytest.raises(OutputError, match="no page of ferkit's"):
        ask(asked, 0, html=tmp_path / "index.html")


@pytest.mark.parametrize("combine", ["mean", "best"])
def test_an_empty_set_answers_with_nothing(asked, tmp_path, combine):
    EmbeddingSet(asked.set.vectors[:0], asked.set.table[:0], asked.set.encoder).save(tmp_path / "none.npy")
    pictures = [asked.folder / "0.png", asked.folder / "1.png"]
    for person in ("any", "exclude"):
        result = retrieve(pictures, tmp_path / "none.npy", combine=combine, same_person=person, aligned=True)
        assert (result.hits, result.searched, result.good) == ([], 0, None)


def test_photos_that_are_gone_are_shown_as_missing(crop_folder, headed_run, tmp_path, listener):
    folder, told = crop_folder(3), listener()
    embed(folder, tmp_path / "emb.npy", encoder=headed_run, device="cpu")
    (folder / "1.png").unlink()
    files = {"html": tmp_path / "t.html", "copy_to": tmp_path / "copies"}
    assert len(retrieve(folder / "0.png", tmp_path / "emb.npy", progress=told, **files).hits) == 2
    assert "picture not found" in (tmp_path / "t.html").read_text()
    assert len(list((tmp_path / "copies").iterdir())) == 1
    assert sum("not where they were" in text for text in told.said) == 2
