import importlib.util
from pathlib import Path

from ferkit.encoders.card import COLUMNS, markdown_table, table_row
from ferkit.encoders.registry import load_registry

ROOT = Path(__file__).parents[2]


def test_the_readme_holds_the_tables():
    spec = importlib.util.spec_from_file_location("readme_tables", ROOT / "benchmarks" / "readme_tables.py")
    tables = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tables)
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert markdown_table(load_registry(own=[]).values()) in text
    assert tables.with_tables(text) == text, "run `make table`"
    damaged = text.replace("| .866 (", "| .999 (")
    assert damaged != text == tables.with_tables(damaged)


def test_a_row():
    entry = load_registry(own=[])["votes-r18"]
    expected = ("votes-r18", "resnet18", "512", "96 gray", "labels", "22.9", "research use only")
    assert table_row(entry) == expected
    assert len(COLUMNS) == len(expected)
    unknown = entry.model_copy(update={"bytes": None, "licences": None, "supervision": "unknown", "gray": False})
    assert table_row(unknown)[3:] == ("96", "what its makers do not say", "?", "not stated")
