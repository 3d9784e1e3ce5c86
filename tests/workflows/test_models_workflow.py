import subprocess
import sys

import pytest

from ferkit.encoders import DEFAULT_ENCODER
from ferkit.encoders.registry import load_registry, read_entry
from ferkit.errors import UnknownEncoderError
from ferkit.workflows.models import list_encoders, show_encoder


def test_all_of_models_yaml_is_listed_in_its_order():
    assert list_encoders() == list(load_registry().values())
    assert DEFAULT_ENCODER in [entry.name for entry in list_encoders()]


def test_one_entry_is_shown():
    assert show_encoder(DEFAULT_ENCODER) == load_registry()[DEFAULT_ENCODER]


def test_a_run_is_shown_by_its_folder_or_its_weights(run_folder):
    entry = read_entry(run_folder / "encoder.yaml")
    assert show_encoder(run_folder) == show_encoder(str(run_folder / "encoder.safetensors")) == entry


def test_an_unknown_name_says_the_nearest():
    with pytest.raises(UnknownEncoderError, match=DEFAULT_ENCODER):
        show_encoder(DEFAULT_ENCODER[:-1])


def test_listing_loads_no_torch():
    code = "import sys; from ferkit.workflows.models import list_encoders as l; l(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
