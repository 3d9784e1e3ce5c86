import pytest
from PIL import Image

from ferkit.errors import InputError
from ferkit.workflows.best import best
from ferkit.workflows.embed import embed


@pytest.fixture
def crops(noise_crops, tmp_path):
    """Six crops with EXIF times: a burst of three, of which the second is asked for, and three single ones."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, (crop, second) in enumerate(zip(noise_crops(6), (0, 2, 4, 20, 40, 60), strict=True)):
        exif = Image.Exif()
        exif[0x010F] = "a camera"  # Pillow writes no EXIF data that have nothing in their first folder
        exif.get_ifd(0x8769)[0x9003] = f"2024:05:06 12:00:{second % 60:02d}" if second < 60 else "broken"
        Image.fromarray(crop).save(folder / f"{number}.png", exif=exif)
    Image.fromarray(noise_crops(6)[1]).save(tmp_path / "like.png")
    return folder


def test_of_every_burst_the_photo_that_is_most_alike_is_chosen_and_copied(crops, run_folder, tmp_path):
    result = best(
        crops, tmp_path / "like.png", copy_to=tmp_path / "chosen", sheet=tmp_path / "s.png", csv=tmp_path / "t.csv",
        encoder=run_folder, device="cpu", aligned=True,
    )  # fmt: skip
    assert [(shot.burst, shot.photos, shot.source) for shot in result.shots] == [
        (1, 3, str(crops / "1.png")),
        (2, 1, str(crops / "3.png")),
        (3, 1, str(crops / "4.png")),
        (4, 1, str(crops / "5.png")),
    ]
    assert result.shots[0].score == pytest.approx(1, abs=1e-5)
    copied = sorted((tmp_path / "chosen").iterdir())
    assert [path.name for path in copied] == ["001 1.png", "002 3.png", "003 4.png", "004 5.png"]
    assert copied[0].read_bytes() == (crops / "1.png").read_bytes()
    assert (tmp_path / "t.csv").read_text().count("\n") == 5
    assert (tmp_path / "s.png").read_bytes().startswith(b"\x89PNG")


def test_videos_beside_photos_are_left_out_unread(crops, run_folder, listener, tmp_path):
    (crops / "clip.mp4").write_bytes(b"no video")
    heard, like = listener(), tmp_path / "like.png"
    result = best(crops, like, encoder=run_folder, device="cpu", aligned=True, progress=heard)
    assert result.photos == 6
    assert any(said.startswith("1 videos are left out") for said in heard.said)
    with pytest.raises(InputError, match="only videos"):
        best(crops / "clip.mp4", like, encoder=run_folder, device="cpu", aligned=True)


def test_photos_that_have_gone_are_told_and_the_others_chosen(crops, run_folder, listener, tmp_path):
    embed(crops, tmp_path / "emb.npy", encoder=run_folder, device="cpu", aligned=True)
    for number in (3, 4):
        (crops / f"{number}.png").unlink()
    heard, copies = listener(), tmp_path / "chosen"
    result = best(
        tmp_path / "emb.npy", tmp_path / "like.png", copy_to=copies, progress=heard, device="cpu", aligned=True
    )
    assert [shot.photos for shot in result.shots] == [3, 1, 1, 1]
    assert [path.name for path in sorted(copies.iterdir())] == ["001 1.png", "004 5.png"]
    assert any(said.startswith("2 of the 4 ") and "not copied" in said for said in heard.said)
