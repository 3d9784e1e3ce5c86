import json
import subprocess
import sys

import pytest

import ferkit

HEAVY = {"PIL", "cv2", "facenet_pytorch", "faiss", "matplotlib", "numpy", "pyarrow", "timm", "torch", "torchvision"}


def loaded_by(statement):
    """Names of the top-level modules that a fresh Python has loaded after ``statement``."""
    program = f"{statement}\nimport json, sys\nprint(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}


@pytest.mark.parametrize("arguments", [["--help"], ["embed", "--help"]])
def test_help_loads_nothing_heavy(arguments):
    statement = f"""
import sys
from contextlib import suppress
sys.argv = ["ferkit", *{arguments!r}]
from ferkit.cli import main
with suppress(SystemExit):
    main()
"""
    assert not loaded_by(statement) & HEAVY


def test_importing_ferkit_loads_nothing_heavy():
    loaded = loaded_by("import ferkit; ferkit.__version__; dir(ferkit)")
    assert "ferkit" in loaded
    assert not loaded & (HEAVY | {"typer", "rich", "pydantic"})


def test_encoders_are_listed_and_pulled_without_torch():
    pull = "from ferkit.encoders.hub_repo import pull_encoder; pull_encoder(ferkit.encoders.DEFAULT_ENCODER)"
    assert "torch" not in loaded_by(f"import ferkit.workflows.models as m; m.list_encoders(); import ferkit; {pull}")


def test_every_public_name_leads_somewhere():
    assert set(dir(ferkit)) == set(ferkit.__all__)
    for name in set(ferkit.__all__) - {"__version__"}:
        function = getattr(ferkit, name)
        assert function.__name__ == name
        assert getattr(ferkit, name) is function


def test_a_query_loads_only_what_it_needs(crop_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    crops = crop_folder(4)
    ferkit.embed(crops, "emb.npy", aligned=True)
    query = next(path for path in crops.iterdir() if path.suffix == ".png")
    statement = f"""
import sys
from contextlib import redirect_stdout, suppress
sys.argv = ["ferkit", "retrieve", {str(query)!r}, "--aligned"]
from ferkit.cli import main
with redirect_stdout(sys.stderr), suppress(SystemExit):
    main()
"""
    loaded = loaded_by(statement)
    assert "torch" in loaded
    others = {"faiss", "fsspec", "huggingface_hub", "matplotlib", "pandas", "scipy", "sklearn", "timm", "torchvision"}
    assert loaded & others == set()


TYPING_ERRORS = (
    (["retrieve", __file__, "--set", "nope.npy"], "no embedding set"),
    (["embed", __file__, "--encoder", "votes-r19"], "did you mean: votes-r18"),
    (["align", "nope", "-o", "out"], "no file or folder"),
    (["recognise", __file__, "-o", "out.csv", "--encoder", "runs/nope"], "a run folder"),
    (["retrieve", __file__, "--combine", "nope"], "choose mean or best"),
    (["retrieve", __file__, "-k", "0"], "Invalid value"),
    (["compare", __file__, "nope.jpg"], "no file or folder"),
    (["best", "nope", "--like", "surprise"], "no file or folder"),
    (["pretrain", "--method", "byol"], "ferkit align PHOTOS"),
    (["pretrain", __file__, "--method", "bayol"], "did you mean: byol"),
    (["probe", "nope"], "no encoder named"),
    (["probe", "pixels", "--data", "nope"], "no file or folder"),
    (["warp-preview", "nope.jpg"], "no file or folder"),
)


def test_typing_errors_are_told_before_torch_is_loaded(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    program = f"""
import sys
from ferkit.cli import main
for arguments, _ in {TYPING_ERRORS!r}:
    sys.argv = ["ferkit", *arguments]
    try:
        main()
    except SystemExit as stop:
        print("torch" in sys.modules, stop.code)
        print(file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    for (_, why), said, ended in zip(TYPING_ERRORS, done.stderr.split("\n\n"), done.stdout.splitlines(), strict=False):
        assert why in said
        assert ended in ("False 2", "False 3", "False 5")
    assert len(done.stdout.splitlines()) == len(TYPING_ERRORS)
