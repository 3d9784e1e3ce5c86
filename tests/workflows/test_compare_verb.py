import numpy as np
import pytest
from PIL import Image

import ferkit
from ferkit.encoders.encoder import load_encoder
from ferkit.errors import InputError, MissingPathError, NoFaceError


def test_both_figures_of_two_photos(portraits, headed_run):
    found = ferkit.compare(portraits["hopper"], portraits["astronaut"], encoder=headed_run, min_face=60, device="cpu")
    faces = [ferkit.find_faces(Image.open(portraits[name]), min_face=60)[0] for name in ("hopper", "astronaut")]
    again = ferkit.compare(*faces, encoder=headed_run, device="cpu")
    assert found.cosine == pytest.approx(again.cosine, abs=0.02)  # photos are searched at another size
    head = load_encoder(headed_run, "cpu").head
    assert found.probability == pytest.approx(float(head.same_probability(np.array(found.cosine))))
    assert found.same == (found.probability > 0.5)


def test_a_face_is_chosen_by_its_number(portraits, headed_run):
    settings = {"encoder": headed_run, "min_face": 60, "device": "cpu"}
    found = ferkit.compare(portraits["both"], portraits["hopper"], face=2, **settings)
    assert found.cosine == pytest.approx(1, abs=0.05)
    with pytest.raises(InputError, match="no face 3"):
        ferkit.compare(portraits["both"], portraits["hopper"], face=3, **settings)


def test_without_a_curve_there_is_the_cosine_alone(crop_folder, run_folder, noise_crops):
    folder = crop_folder(2)
    found = ferkit.compare(folder / "0.png", folder / "1.png", encoder=run_folder, device="cpu")
    assert (found.probability, found.same) == (None, None)
    assert ferkit.compare(*noise_crops(2), encoder=run_folder, device="cpu").cosine == pytest.approx(found.cosine)
    with pytest.raises(MissingPathError):
        ferkit.compare(folder / "0.png", folder / "9.png", encoder=run_folder)
    with pytest.raises(NoFaceError):
        ferkit.compare(np.zeros((200, 200, 3), np.uint8), folder / "1.png", encoder=run_folder, device="cpu")
