import subprocess
import sys

from ferkit.encoders.registry import read_entry
from ferkit.workflows.models import show_encoder


def test_a_run_is_shown_by_its_folder_or_its_weights(run_folder):
    entry = read_entry(run_folder / "encoder.yaml")
    assert show_encoder(run_folder) == show_encoder(str(run_folder / "encoder.safetensors")) == entry


def test_listing_loads_no_torch():
    code = "import sys; from ferkit.workflows.models import list_encoders as l; l(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
