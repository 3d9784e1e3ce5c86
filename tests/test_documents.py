import pytest

from ferkit.documents import parse_json, parse_yaml, read_json, read_yaml

BOMB = "a: &a [x, x, x]\nb: &b [*a, *a, *a, *a]\nc: &c [*b, *b, *b, *b]\n"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"[" * 200_000, "nested too deep"),
        (b"1e309", "beyond all bounds"),
        (b'{"a": Infinity}', "beyond all bounds"),
        (b"1" * 5000, "beyond all bounds"),
        (b'{"a": ', "not JSON"),
        (b'"\xff"', "not UTF-8"),
        (b"", "not JSON"),
    ],
)
def test_what_is_no_json_is_one_sentence(text, why):
    with pytest.raises(ValueError, match=why) as caught:
        parse_json(text)
    assert len(str(caught.value)) < 120


def test_a_file_holds_an_object(tmp_path):
    (tmp_path / "x.json").write_text('{"a": [1, 0.5, null]}')
    assert read_json(tmp_path / "x.json") == {"a": [1, 0.5, None]}
    (tmp_path / "x.json").write_text("[1]")
    with pytest.raises(ValueError, match="no JSON object"):
        read_json(tmp_path / "x.json")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (BOMB, "alias"),
        ("[" * 100_000, "nested too deep|not YAML"),
        ("a: !!python/object/apply:os.system [ls]", "not YAML"),
        ("a: 2024-13-45", "not YAML"),
        ("{[a]: 1}", "not YAML"),
    ],
)
def test_what_is_no_plain_yaml_is_one_sentence(text, why):
    with pytest.raises(ValueError, match=why) as caught:
        parse_yaml(text)
    assert len(str(caught.value)) <= 200


def test_yaml_of_plain_values(tmp_path):
    (tmp_path / "x.yaml").write_text("a: [1, 0.5, null]\nb: {c: text}\n")
    assert read_yaml(tmp_path / "x.yaml") == {"a": [1, 0.5, None], "b": {"c": "text"}}
    with (tmp_path / "x.yaml").open("wb") as file:
        file.truncate(1 << 23)
    with pytest.raises(ValueError, match="bytes long"):
        read_yaml(tmp_path / "x.yaml")
