import json

import numpy as np

from ferkit.data.embedding_set import EmbeddingSet, EncoderStamp
from ferkit.data.faces import Face, faces_to_table


def test_the_command_says_what_it_chose_and_measured(ferkit_command, tmp_path):
    vectors = np.random.default_rng(0).normal(size=(1500, 8))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    faces = faces_to_table([Face("/p.jpg", 1, None, None, None, None, None, None, None, "0")] * 1500)
    EmbeddingSet(vectors, faces, EncoderStamp("made", "ab" * 32, 8, "ferkit-128", 112)).save(tmp_path / "emb.npy")
    done = ferkit_command("index", tmp_path / "emb.npy", "--kind", "ivf")
    assert done.code == 0
    assert "ivf: codes of 8 bytes in 32 cells" in done.out
    assert "recall@10 " in done.out
    assert "exact search" in done.out
    told = json.loads(ferkit_command("index", tmp_path / "emb.npy", "--kind", "flat", "--json").out)
    assert (told["kind"], told["path"]) == ("flat", None)
    assert not (tmp_path / "emb.index").exists()
    assert ferkit_command("index", tmp_path / "emb.npy", "--kind", "tree").code == 2
