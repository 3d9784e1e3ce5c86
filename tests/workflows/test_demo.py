import sys

import pytest
from PIL import Image
from typer.testing import CliRunner

import ferkit.workflows.demo as module
from ferkit.cli import app
from ferkit.data.embedding_set import EmbeddingSet
from ferkit.data.face_set import FaceSet
from ferkit.errors import InputError, OutputError
from ferkit.methods.expression_warps import EXPRESSIONS
from ferkit.workflows.demo import demo
from samples import save_run

EVERYBODY = ("grace-hopper", "eileen-collins", "barack-obama", "joe-biden")
NAMES = tuple(EXPRESSIONS)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """A run folder with untrained weights: the demo must work with any encoder."""
    return str(save_run(tmp_path_factory.mktemp("runs") / "untrained", "resnet18", 112))


@pytest.fixture(scope="module")
def result(encoder, tmp_path_factory):
    return demo(tmp_path_factory.mktemp("work") / "demo", encoder=encoder, device="cpu")


def test_demo_leaves_everything_it_names(result):
    names = [f"{person}-{name.replace(' ', '-')}.png" for person in EVERYBODY for name in ("photo", *NAMES)]
    assert sorted(path.name for path in result.queries.iterdir()) == sorted(names)
    for picture in (result.gallery, result.preview):
        with Image.open(picture) as image:
            assert min(image.size) > 500
            assert len(set(image.convert("L").resize((32, 32)).tobytes())) > 20  # it is no blank page
    assert result.page.read_text().count('<img src="data:image/png;') == 3
    assert result.film.stat().st_size > 100_000
    assert len(FaceSet.open(result.faces)) == len(EmbeddingSet.open(result.embeddings)) == 4 * 7


def test_demo_asks_the_other_people_only(result):
    assert [len(each.rankings) for each in result.rounds] == [4, 12, 12]
    for ranking in (ranking for each in result.rounds for ranking in each.rankings):
        assert ranking.person not in {answer.person for answer in ranking.found}
        scores = [answer.score for answer in ranking.found]
        assert scores == sorted(scores, reverse=True)
    assert [each.chance for each in result.rounds] == pytest.approx([4 / 3, 4, 4])


def test_the_default_encoder_tells_photographed_expressions(tmp_path):
    result = demo(tmp_path / "demo", device="cpu")
    photographed, bent, _ = result.rounds
    assert photographed.first == 4
    assert bent.first >= 9  # 10 of 12, by drawing lots 4
    for scene in result.scenes:
        assert scene.found is not None
        both = min(scene.made[1], scene.found[1]) - max(scene.made[0], scene.found[0])
        assert both > 0.8  # of the 2 s that it is shown


def test_the_command_tells_result_and_next_step_and_opens_the_page(result, monkeypatch):
    opened = []
    monkeypatch.setattr(module, "demo", lambda *_, **__: result)
    monkeypatch.setattr("ferkit.web.server.has_desktop", lambda: True)
    monkeypatch.setattr("typer.launch", opened.append)
    assert CliRunner().invoke(app, ["demo", "--json"]).exit_code == 0
    assert opened == []
    said = CliRunner().invoke(app, ["demo", "--device", "cpu"]).stdout
    for words in (str(result.page), str(result.gallery), "(chance: 1.3)", "ferkit retrieve query.jpg"):
        assert words in said
    assert opened == [result.page.resolve().as_uri()]


def test_demo_leaves_other_people_s_files_alone(encoder, tmp_path):
    (tmp_path / "emb.npy").write_text("keep me")

    with pytest.raises(OutputError, match="not of a demo"):
        demo(tmp_path, encoder=encoder, device="cpu")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("emb.npy", "keep me")]


def test_demo_without_scikit_image_says_what_to_install(encoder, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage", None)

    with pytest.raises(InputError, match=r"pip install 'ferkit\[demo\]'"):
        demo(tmp_path, encoder=encoder)
    assert list(tmp_path.iterdir()) == []
