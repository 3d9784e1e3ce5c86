import pyarrow as pa
import pytest

from ferkit.errors import OutputError
from ferkit.report.table_file import write_table_file

TABLE = pa.table({"source": ["a,b"], "face": [1], "label": ["joy"], "score": [0.5]})


@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet"])
def test_only_tables_of_the_same_kind_are_replaced(tmp_path, suffix):
    path = tmp_path / f"t.{suffix}"
    path.touch()  # as mktemp leaves one
    write_table_file(TABLE, path)
    write_table_file(TABLE.append_column("more", [[2]]), path)
    before = path.read_bytes()
    with pytest.raises(OutputError, match="no table of this kind"):
        write_table_file(TABLE.select(["source", "label", "score"]), path)
    assert path.read_bytes() == before
