"""Small files that would take giant amounts of memory or time."""

import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ferkit.data.sources import SourceRules, open_sources
from ferkit.data.sources.rules import _found
from ferkit.errors import InputError


def test_a_parquet_file_of_nothing_but_nulls(tmp_path):
    table = pa.table({"image": pa.nulls(2_000_000, pa.binary())})
    pq.write_table(table, tmp_path / "x.parquet", compression="zstd")
    assert (tmp_path / "x.parquet").stat().st_size < 100_000
    with pytest.raises(InputError, match=r"states 2,000,000 rows in [\d,]+ bytes, which cannot hold as many pictures"):
        open_sources([tmp_path / "x.parquet"], SourceRules())


def test_an_expression_is_searched_in_the_end_of_a_giant_name():
    started = time.monotonic()
    assert _found("identity", r"(\w+)_\d+", "a" * 100_000) is None
    assert time.monotonic() - started < 1
    assert _found("identity", r"(\w+)_\d+", "x/" * 5000 + "ann_3.jpg") == "ann"
