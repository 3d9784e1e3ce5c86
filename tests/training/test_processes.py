import pytest
import torch

from ferkit.errors import InputError
from ferkit.training.processes import Processes, is_first_process


def test_alone_leads_and_waits_for_nobody():
    processes = Processes("cpu")
    assert (processes.rank, processes.world, processes.device) == (0, 1, torch.device("cpu"))
    assert processes.first
    assert processes.on_rank_zero(lambda: 3) == 3
    with pytest.raises(ZeroDivisionError):
        processes.on_rank_zero(lambda: 1 / 0)


def test_a_launcher_says_which_process_speaks(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    assert is_first_process()
    monkeypatch.setenv("RANK", "1")
    assert not is_first_process()


def test_device_that_is_not_there():
    with pytest.raises(InputError, match="cannot be used here"):
        Processes("cuda:99")


def test_precision_may_change_from_run_to_run(tmp_path):
    for precision in ("no", "bf16", "no"):
        assert Processes("cpu").accelerator(precision, (), tmp_path).mixed_precision == precision
