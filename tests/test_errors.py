import pickle

import pytest

import ferkit
from ferkit.errors import FerkitError, OutputError, UnknownEncoderError, UnreadableImageError, in_python


@pytest.mark.parametrize(
    ("typed", "python"),
    [
        ("choose another output or add --overwrite", "choose another output or add overwrite=True"),
        ("--min-size 40 --max-yaw 30.5 leaves out all", "min_size=40 max_yaw=30.5 leaves out all"),
        ("name your faces: --data FACES", "name your faces: data=FACES"),
        ("--set views.size=64 --set base=simclr", "settings={'views.size': 64} settings={'base': 'simclr'}"),
        ("--set warps.radius=[0.4,0.6] may", "settings={'warps.radius': [0.4,0.6]} may"),
        ("say `--columns image=NAME`", "say `columns={'image': 'NAME'}`"),
        ("choose another -o, or --resume", "choose another out, or resume=True"),
        ("(--detect searches them)", "(aligned=False searches them)"),
        ("add --license and --data", "add licence and data"),
        ("leave --parts out", "leave parts out"),
        ("make it with `ferkit align PHOTOS -o faces --fps 2`", "make it with `ferkit align PHOTOS -o faces --fps 2`"),
        ("a well-known file--name, x-o, 3 -- 4", "a well-known file--name, x-o, 3 -- 4"),
    ],
)
def test_options_are_said_as_python_writes_them(typed, python):
    assert in_python(typed) == python


def test_python_reads_its_own_words_and_the_command_line_its_own(tmp_path, monkeypatch, capsys, portraits):
    assert ferkit.FerkitError is FerkitError
    (tmp_path / "faces").mkdir()
    (tmp_path / "faces" / "mine.txt").write_text("")
    with pytest.raises(OutputError) as caught:
        ferkit.align(portraits["astronaut"], tmp_path / "faces", device="cpu")
    assert "--" not in str(caught.value)
    assert caught.value.command_line_text.split(";")[0] == str(caught.value).split(";")[0]


@pytest.mark.parametrize("error", [UnknownEncoderError("rn18", ["r18"]), UnreadableImageError("a.jpg", "is cut off")])
def test_errors_of_workers_come_as_they_were(error):
    there = pickle.loads(pickle.dumps(error))
    assert (type(there), str(there), vars(there)) == (type(error), str(error), vars(error))
