from ferkit.training.processes import is_first_process


def test_a_launcher_says_which_process_speaks(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    assert is_first_process()
    monkeypatch.setenv("RANK", "1")
    assert not is_first_process()
