import io
import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from ferkit.web.app import MOST_BYTES, make_app
from ferkit.web.guard import Door
from ferkit.web.turns import Turns
from samples import png


def test_the_page_names_its_set_and_holds_no_inline_script(page):
    answer = page.get("/")
    assert "emb.npy" in answer.text
    assert not re.search(r"<script(?![^>]*src=)|\son\w+=|style=", answer.text)
    for path in re.findall(r'(?:src|href)="(/static/[^"]+)"', answer.text):
        assert page.get(path).status_code == 200, path


def test_without_a_question_the_set_is_shown_in_its_order(page):
    hits = page.get("/api/hits?start=1&count=3").json()["hits"]
    assert [hit["row"] for hit in hits] == [1, 2, 3]
    assert [hit["identity"] for hit in hits] == ["Bob", "Ann", "Bob"]
    assert [hit["score"] for hit in hits] == [None] * 3


def test_a_photo_is_asked_with_and_never_written(page, viewer, shown_crops):
    for row in range(5):
        page.get(f"/thumbnail/{row}.jpg")
    before = set(viewer.path.parent.rglob("*"))
    (face,) = page.post("/api/faces", content=png(shown_crops[4])).json()["faces"]
    assert face["crop"].startswith("data:image/jpeg;base64,")
    assert face["box"] is None
    best = page.get("/api/hits", params={"like": face["like"]}).json()["hits"][0]
    assert (best["row"], best["score"]) == (4, pytest.approx(1, abs=1e-3))
    assert set(viewer.path.parent.rglob("*")) == before


def test_the_faces_of_a_group_come_with_their_places(page, portraits):
    faces = page.post("/api/faces", content=portraits["both"].read_bytes()).json()["faces"]
    assert len(faces) == 2
    (left, top, right, bottom), other = (face["box"] for face in faces)
    assert 0 < left < right < 0.5 < other[0] < other[2] < 1
    assert 0 < top < bottom < 1


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "empty"),
        (b"GIF89a and no more", "cannot read"),
        (b"%!PS-Adobe-3.0 EPSF-3.0", "no image"),
        (png(np.zeros((300, 200, 3), np.uint8)), "no face"),
    ],
)
def test_what_is_no_photo_of_a_face_gets_one_sentence(page, content, sentence):
    answer = page.post("/api/faces", content=content)
    assert answer.status_code == 400
    assert sentence in answer.json()["error"]


def test_photos_have_limits(page):
    assert page.post("/api/faces", content=b"\xff" * (MOST_BYTES + 1)).status_code == 413
    huge = png(np.zeros((16, 16, 3), np.uint8)).replace(
        (16).to_bytes(4) + (16).to_bytes(4), (20_000).to_bytes(4) + (20_000).to_bytes(4)
    )
    answer = page.post("/api/faces", content=huge)
    assert answer.status_code == 400


def test_pictures_go_by_row_and_nothing_else(page, viewer, shown_crops):
    answer = page.get("/thumbnail/3.jpg")
    assert answer.headers["content-type"] == "image/jpeg"
    shown = np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGB")).astype(float)
    assert shown.shape == (128, 128, 3)
    differences = [np.abs(shown - crop).mean() for crop in shown_crops]
    assert int(np.argmin(differences)) == 3
    for path in ("/thumbnail/6.jpg", "/photo/6.jpg", "/api/face/99", "/video/3", "/photo/5.jpg", "/thumbnail/5.jpg"):
        assert page.get(path).status_code in (400, 404), path
    for path in ("/thumbnail/-1.jpg", "/static/../app.py", "/static/%2e%2e/app.py", "/photo//etc/passwd.jpg"):
        assert page.get(path).status_code in (404, 405), path


def test_thirty_parallel_questions_are_all_answered(page):
    with ThreadPoolExecutor(30) as pool:
        answers = list(pool.map(lambda row: page.get(f"/api/hits?like={row % 6}&count=1"), range(30)))
    assert {answer.status_code for answer in answers} == {200}
    assert all(answer.json()["hits"][0]["row"] != row % 6 for row, answer in enumerate(answers))


def test_beyond_the_queue_a_sentence_says_to_come_again(viewer, monkeypatch):
    turns = Turns(at_once=1, most=1)
    monkeypatch.setattr(turns._places, "acquire", lambda **_: False)
    full = make_app(viewer, Door({"127.0.0.1"}, 8321), turns)
    answer = TestClient(full, base_url="http://127.0.0.1:8321").get("/api/hits")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "2")
    assert "ask again in a moment" in answer.json()["error"]


def test_names_of_others_stay_text(page):
    answer = page.get("/api/hits?count=1")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["hits"][0]["name"] == "<img src=x onerror=alert(1)>0.png"
