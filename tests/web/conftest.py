from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from ferkit.encoders.encoder import load_encoder
from ferkit.search.set_encoder import encoder_stamp
from ferkit.web.app import make_app
from ferkit.web.guard import Door
from ferkit.workflows.serve import Viewer
from samples import face, write_set

PORT = 8321
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="session")
def shown_crops():
    """(6, 128, 128, 3) noise, the faces of `viewer`."""
    return np.random.default_rng(6).integers(0, 256, (6, 128, 128, 3), np.uint8)


@pytest.fixture(scope="session")
def viewer(shown_crops, run_folder, tmp_path_factory) -> Iterator[Viewer]:
    """The viewer of six noise crops of Ann and Bob in turn; the picture of the last one is gone."""
    home = tmp_path_factory.mktemp("page")
    encoder = load_encoder(run_folder, "cpu")
    faces = []
    for row, crop in enumerate(shown_crops):
        source = home / f"{HOSTILE}{row}.png"
        if row < 5:
            Image.fromarray(crop).save(source)
        known = {"identity": ("Ann", "Bob")[row % 2], "label": ("happiness", "anger", None)[row % 3]}
        faces.append(face(str(source), crop=crop, size=40.0 * row, **known))
    write_set(home / "emb.npy", encoder.embed(shown_crops), faces, encoder_stamp(encoder, run_folder))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FERKIT_CACHE", str(home / "cache"))
        viewer = Viewer(home / "emb.npy", device="cpu")
        yield viewer
        viewer.thumbnails.close()


@pytest.fixture
def page(viewer):
    """A client that speaks to the page as a browser on this machine does."""
    app = make_app(viewer, Door({"127.0.0.1", "localhost"}, PORT))
    return TestClient(app, base_url=f"http://127.0.0.1:{PORT}", headers={"origin": f"http://127.0.0.1:{PORT}"})
