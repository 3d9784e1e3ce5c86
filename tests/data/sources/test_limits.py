"""Small files that would take giant amounts of memory or time."""

import io
import tarfile
import time
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ferkit.data.sources import SourceRules, open_sources
from ferkit.data.sources.rules import _matched_text
from ferkit.errors import InputError, UnreadableImageError
from samples import noise, png


def test_a_parquet_file_of_nothing_but_nulls(tmp_path):
    table = pa.table({"image": pa.nulls(2_000_000, pa.binary())})
    pq.write_table(table, tmp_path / "x.parquet", compression="zstd")
    assert (tmp_path / "x.parquet").stat().st_size < 100_000
    with pytest.raises(InputError, match=r"2,000,000 rows"):
        open_sources([tmp_path / "x.parquet"], SourceRules())


def test_an_expression_is_searched_in_the_end_of_a_giant_name():
    started = time.monotonic()
    assert _matched_text("identity", r"(\w+)_\d+", "a" * 100_000) is None
    assert time.monotonic() - started < 1
    assert _matched_text("identity", r"(\w+)_\d+", "x/" * 5000 + "ann_3.jpg") == "ann"


def test_a_member_that_claims_terabytes_and_a_number_of_5000_digits(tmp_path):
    picture = png(noise(1, 40)[0])
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        header = tarfile.TarInfo("a.png")
        header.size = len(picture)
        archive.addfile(header, io.BytesIO(picture))
        header = tarfile.TarInfo("b.png")
        header.size = 4 << 40
        archive.fileobj.write(header.tobuf(tarfile.GNU_FORMAT))
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for name in ("9" * 5000, "10", "2"):
            archive.writestr(f"happy/{name}.png", picture)
    with pytest.raises(UnreadableImageError, match="cut short"):
        open_sources([tmp_path / "x.tar"], SourceRules()).pictures[1].read()
    pictures = open_sources([tmp_path / "x.zip"], SourceRules()).pictures
    assert [picture.source[-6:] for picture in pictures] == ["/2.png", "10.png", "99.png"]
    assert pictures[2].read().shape == (40, 40, 3)
