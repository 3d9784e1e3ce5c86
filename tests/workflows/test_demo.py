import sys

import numpy as np
import pytest
from PIL import Image

from ferkit.data.embedding_set import EmbeddingSet, EncoderStamp
from ferkit.data.face_set import FaceSet
from ferkit.data.faces import Face, faces_to_table
from ferkit.encoders.encoder import random_encoder, save_encoder
from ferkit.errors import InputError, OutputError
from ferkit.methods.expression_warps import EXPRESSIONS
from ferkit.workflows.demo import demo, rank_others

PEOPLE = ("Grace Hopper", "Eileen Collins")
EVERYBODY = ("grace-hopper", "eileen-collins", "barack-obama", "joe-biden")
NAMES = tuple(EXPRESSIONS)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """A run folder with untrained weights: the demo must work with any encoder."""
    run = tmp_path_factory.mktemp("runs") / "untrained"
    run.mkdir()
    untrained = random_encoder("resnet18")
    save_encoder(run, untrained.backbone.state_dict(), untrained.entry)
    return str(run)


@pytest.fixture(scope="module")
def result(encoder, tmp_path_factory):
    return demo(tmp_path_factory.mktemp("work") / "demo", encoder=encoder, device="cpu")


def face(person, label):
    return Face(f"{person}-{label}", 1, None, person, None, label, None, None, None, "")


def embeddings_of(expression_axis):
    """Vectors of person + expression, where ``expression_axis`` says on which axis each expression lies."""
    vectors = np.zeros((len(PEOPLE) * len(NAMES), 16), np.float32)
    for row, (person, name) in enumerate((person, name) for person in PEOPLE for name in NAMES):
        vectors[row, 14 + PEOPLE.index(person)] = 3.0
        vectors[row, expression_axis(PEOPLE.index(person), NAMES.index(name))] = 1.0
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    table = faces_to_table([face(person, name) for person in PEOPLE for name in NAMES])
    return EmbeddingSet(vectors, table, EncoderStamp("hand-made", "", 16, "ferkit-128", 112))


def test_expression_vectors_find_themselves_on_the_other_person():
    rankings = rank_others(embeddings_of(lambda person, expression: expression), NAMES)

    assert [(ranking.person, ranking.expression) for ranking in rankings] == [(p, n) for p in PEOPLE for n in NAMES]
    assert [ranking.found[0].expression for ranking in rankings] == [*NAMES, *NAMES]
    assert [ranking.found[0].person for ranking in rankings] == [PEOPLE[1]] * 6 + [PEOPLE[0]] * 6
    # Both have length sqrt(10) and share the expression's axis only.
    assert [ranking.found[0].score for ranking in rankings] == pytest.approx([0.1] * 12)


def test_a_mixed_up_expression_ranks_behind():
    # Collins's expressions lie one axis further on: each finds its neighbour first, its own no better than the others.
    rankings = rank_others(embeddings_of(lambda person, expression: (expression + person) % len(NAMES)), NAMES)

    assert [ranking.found[0].expression for ranking in rankings[:6]] == [NAMES[(i - 1) % 6] for i in range(6)]
    assert all(ranking.rank > 1 for ranking in rankings)


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


def test_demo_finds_the_same_faces_on_all_portraits(result):
    # The eyes of the crops are where the template wants them: darker near (43.5, 43.5) and (83.5, 43.5) than below.
    crops = FaceSet.open(result.faces).crops([0, 7, 14, 21]).astype(float).mean(axis=3)
    for crop in crops:
        for column in (43, 83):
            eye, cheek = crop[40:48, column - 4 : column + 5], crop[66:74, column - 4 : column + 5]
            assert eye.min() < 0.6 * cheek.mean()


def test_the_default_encoder_tells_photographed_expressions(tmp_path):
    result = demo(tmp_path / "demo", device="cpu")
    photographed, bent, _ = result.rounds
    assert photographed.first == 4
    assert bent.first >= 9  # 10 of 12, by drawing lots 4
    for scene in result.scenes:
        assert scene.found is not None
        both = min(scene.made[1], scene.found[1]) - max(scene.made[0], scene.found[0])
        assert both > 0.8  # of the 2 s that it is shown


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
