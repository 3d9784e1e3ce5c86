from pathlib import Path

from ferkit.encoders.registry import load_registry
from ferkit.encoders.table import COLUMNS, markdown_table, table_row

README = Path(__file__).parents[2] / "README.md"


def test_the_readme_holds_the_table():
    table = markdown_table(load_registry(own=[]).values())
    assert table in README.read_text(encoding="utf-8"), "put what `ferkit models list --markdown` prints there"


def test_a_row():
    entry = load_registry(own=[])["votes-r18"]
    expected = ("votes-r18", "resnet18", "512", "96 gray", "labels", "22.9", "research use only")
    assert table_row(entry) == expected
    assert len(COLUMNS) == len(expected)
    unknown = entry.model_copy(update={"bytes": None, "licences": None, "supervision": "unknown", "gray": False})
    assert table_row(unknown)[3:] == ("96", "what its makers do not say", "?", "not stated")
