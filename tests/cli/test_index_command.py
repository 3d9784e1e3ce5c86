import json

import numpy as np

from samples import unit_rows, write_set


def test_the_command_says_what_it_chose_and_measured(ferkit_command, tmp_path):
    write_set(tmp_path / "emb.npy", unit_rows(np.random.default_rng(0).normal(size=(1500, 8))))
    done = ferkit_command("index", tmp_path / "emb.npy", "--kind", "ivf")
    assert done.code == 0
    assert "ivf: codes of 8 bytes in 32 cells" in done.out
    assert "recall@10 " in done.out
    assert "exact search" in done.out
    told = json.loads(ferkit_command("index", tmp_path / "emb.npy", "--kind", "flat", "--json").out)
    assert (told["kind"], told["path"]) == ("flat", None)
    assert not (tmp_path / "emb.index").exists()
    assert ferkit_command("index", tmp_path / "emb.npy", "--kind", "tree").code == 2
