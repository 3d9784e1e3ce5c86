import pytest
import torch

from ferkit.training.processes import fast_precision, is_first_process


@pytest.mark.parametrize(
    ("abilities", "precision"), [({"amx_bf16": True}, "bf16"), ({"amx_bf16": False}, "no"), ({}, "no")]
)
def test_a_cpu_takes_bf16_where_it_multiplies_it(monkeypatch, abilities, precision):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: abilities, raising=False)
    assert fast_precision(torch.device("cpu")) == precision


@pytest.mark.parametrize(("has_bf16", "precision"), [(True, "bf16"), (False, "fp16")])
def test_a_gpu_takes_bf16_unless_it_would_emulate_it(monkeypatch, has_bf16, precision):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: has_bf16 or including_emulation)
    assert fast_precision(torch.device("mps")) == "no"
    assert fast_precision(torch.device("cuda")) == precision


def test_a_launcher_says_which_process_speaks(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    assert is_first_process()
    monkeypatch.setenv("RANK", "1")
    assert not is_first_process()
