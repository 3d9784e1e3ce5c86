import numpy as np
import pytest
from PIL import Image

from ferkit.errors import InputError
from ferkit.methods.parts.pairs import inner_face
from ferkit.report.swap_sheet import swap_all
from ferkit.workflows.warp_preview import warp_preview


@pytest.fixture
def people(make_face_set, noise_crops):
    """Twelve faces of three people, four each, whose brightness tells who it is."""
    crops = noise_crops(12) // 8 + 80 * (np.arange(12) // 4)[:, None, None, None].astype(np.uint8)
    return make_face_set(crops, identity=lambda row: f"person {row // 4}")


def shown(path):
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def test_a_row_keeps_the_inner_face_and_a_column_the_outer_one(noise_crops):
    faces = noise_crops(3)
    table, around = swap_all(faces), inner_face(128).numpy() == 0
    for row in range(3):
        for column in range(3):
            np.testing.assert_array_equal(table[row, column][around], faces[column][around])
            assert np.array_equal(table[row, column], faces[row]) is (row == column)
    # Noise of one kind keeps its pixels in the middle of a face, whatever is around it.
    middle = table[0, :, 60:70, 60:70].astype(int)
    assert np.abs(middle - middle[0]).mean() < 10 < np.abs(table[1, 0, 60:70, 60:70] - middle[0]).mean()


def test_each_person_of_a_face_set_is_shown_once(people, tmp_path):
    result = warp_preview(people.path, tmp_path / "swap.png", face_swap=True)
    assert (result.faces, result.swaps, result.warps) == (3, 6, 0)
    assert shown(tmp_path / "swap.png").std() > 30


def test_one_person_has_nobody_to_swap_with(crop_folder, make_face_set, noise_crops, tmp_path):
    alone = make_face_set(noise_crops(4), identity=lambda row: "one")
    for source in (crop_folder(1), alone.path):
        with pytest.raises(InputError, match=r"takes two people.*--face-swap"):
            warp_preview(source, tmp_path / "swap.png", face_swap=True, aligned=True)
    assert not (tmp_path / "swap.png").exists()
