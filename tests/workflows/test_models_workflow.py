from ferkit.encoders.registry import read_entry
from ferkit.workflows.models import show_encoder


def test_a_run_is_shown_by_its_folder_or_its_weights(run_folder):
    entry = read_entry(run_folder / "encoder.yaml")
    assert show_encoder(run_folder) == show_encoder(str(run_folder / "encoder.safetensors")) == entry
