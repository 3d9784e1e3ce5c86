import pytest


def test_export_writes_a_file_and_says_how_near_it_is(ferkit_command, run_folder, tmp_path):
    done = ferkit_command("models", "export", run_folder, "--format", "torchscript", "-o", "smiles.pt")
    assert done.code == 0, done.err
    assert (tmp_path / "smiles.pt").is_file()
    assert "parity with torch on 32 crops: largest difference" in done.out
    assert "takes (N, 128, 128, 3) uint8 RGB, aligned to ferkit-128" in done.out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["votes-r18", "-f", "tflite"], 3, "'tflite'"),
        (["votes-r18", "-f", "torchscript", "-o", "x.onnx"], 6, "'x.onnx'"),
        (["votes-r18", "-f", "safetensors", "-o", "crops"], 6, "'crops' is there already"),
    ],
)
def test_bad_input_is_one_sentence(ferkit_command, crops, tmp_path, arguments, code, message):
    done = ferkit_command("models", "export", *arguments)
    assert done.code == code
    assert message in " ".join(done.err.split())
    assert list(tmp_path.iterdir()) == [crops]
