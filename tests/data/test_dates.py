import os
from datetime import UTC, datetime

from PIL import Image

from ferkit.data.dates import month_taken


def test_the_camera_s_date_wins_over_the_file_s(tmp_path):
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = "2019:07:14 12:00:00"
    Image.new("RGB", (8, 8)).save(tmp_path / "shot.jpg", exif=exif)
    Image.new("RGB", (8, 8)).save(tmp_path / "plain.jpg")
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe1")
    seconds = datetime(2021, 3, 9, tzinfo=UTC).timestamp()
    for file in tmp_path.iterdir():
        os.utime(file, (seconds, seconds))
    assert month_taken(tmp_path / "shot.jpg") == "2019-07"
    assert month_taken(tmp_path / "plain.jpg") == "2021-03"
    assert month_taken(tmp_path / "broken.jpg") == "2021-03"
    assert month_taken(tmp_path / "gone.jpg") is None
