import json

import cv2
import pytest

from samples import write_video


@pytest.fixture
def clip(crops, tmp_path):
    """A lossless video of picture 0, whose nose is another for the 10 frames in the middle, as in nose.png."""
    usual = cv2.resize(cv2.imread(str(crops / "0.png"))[:6, :6], (128, 128), interpolation=cv2.INTER_CUBIC)
    other = usual.copy()
    other[48:80, 44:84] //= 3
    cv2.imwrite(str(tmp_path / "nose.png"), other)
    frames = [usual] * 10 + [other] * 10 + [usual] * 10
    write_video(tmp_path / "clip.avi", [frame[..., ::-1] for frame in frames], codec="FFV1")


@pytest.mark.parametrize("verb", ["moments", "best"])
def test_what_is_asked_for_is_looked_for_before_anything_is_embedded(ferkit_command, tmp_path, verb):
    (tmp_path / "clip.avi").write_bytes(b"")  # would be told as well
    said = ferkit_command(verb, "clip.avi", "--like", "smile").err
    assert "no picture or expression named 'smile'; there are: anger, contempt" in said
    assert "'smile.jpg'" in ferkit_command(verb, "clip.avi", "--like", "smile.jpg").err


def test_moments_of_a_video_as_a_table_and_as_json(ferkit_command, clip):
    arguments = ["moments", "clip.avi", "--like", "nose.png", "--aligned", "--prominence", 0.1]
    said = ferkit_command(*arguments)
    assert said.code == 0
    head, columns, row = said.out.splitlines()
    assert head.startswith("1 moment like nose.png in 30 frames of 1 clip")
    assert columns.split() == ["rank", "probability", "onset", "apex", "offset", "clip"]
    assert row.endswith("clip.avi@1")
    (moment,) = json.loads(ferkit_command(*arguments, "--json").out)["moments"]
    assert (moment["onset_s"], moment["offset_s"]) == pytest.approx((0.38, 0.78), abs=0.01)
