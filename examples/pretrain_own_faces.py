"""Learn an encoder from my own photos, without labels.

    python examples/pretrain_own_faces.py photos/ --epochs 20

Leaves a face set, a run folder with the encoder, and its embeddings in --out. Some thousand faces and a GPU make a
useful encoder; on a CPU keep --base simclr, which learns within a few epochs, and start from the bundled encoder.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import ferkit


def main() -> None:
    """Align, pretrain, embed."""
    options = read_options()
    faces, run, embeddings = options.out / "faces", options.out / "run", options.out / "emb.npy"

    if not faces.exists():
        aligned = ferkit.align([options.photos], faces)
        print(f"{aligned.faces} faces on {aligned.pictures} pictures, {len(aligned.faceless)} without a face")

    trained = ferkit.pretrain(
        [faces],
        run,
        method="contrawarping",
        init="contrawarping-r18",
        epochs=options.epochs,
        batch_size=options.batch_size,
        settings={"base": options.base},
        resume=run.exists(),
    )
    print(f"{trained.steps} steps in {trained.seconds:.0f} s: {trained.last}")

    ferkit.embed([faces], embeddings, encoder=str(run))
    encoder = ferkit.load_encoder(run)
    print(f"{embeddings}: vectors of {encoder.dim}, made by {encoder.name}")


def read_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Pretrain an encoder on one's own faces.")
    parser.add_argument("photos", type=Path, help="a photo, a folder of them, or a parquet file with images")
    parser.add_argument("--out", type=Path, default=Path("own"), help="folder for everything")
    parser.add_argument("--base", choices=("simclr", "byol"), default="simclr", help="objective of the positive pairs")
    parser.add_argument("--epochs", type=float, default=20, help="passes over the faces")
    parser.add_argument("--batch-size", type=int, help="faces a step; 256, or what the faces fill, if not given")
    return parser.parse_args()


if __name__ == "__main__":
    main()
