"""Make an encoder of a ResNet-18 that was trained without labels: what two of its stages see in each quarter.

    python benchmarks/quarters_encoder.py runs/unwarp-long carry/train encoders/unwarp-r18

The 1,536 features are standardised, brought onto their first 1,024 principal components, and whitened by the
covariance between people, shrunk by as much as its mean variance: directions in which people differ, whatever they
show, count less. No label of an expression is used; who is who comes from the face set.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ferkit.data.face_set import FaceSet
from ferkit.encoders.backbones import build_backbone, feature_dim
from ferkit.encoders.encoder import Encoder, load_encoder, save_encoder
from ferkit.encoders.registry import EncoderCard

QUARTERS = "resnet18-quarters"
COMPONENTS = 1024
_BLOCK = 4096


def covariance_between(vectors: NDArray[np.float64], people: list[str | None]) -> NDArray[np.float64]:
    """The (D, D) covariance of the means of people with several photos, less what is left of their photos' own."""
    names, counts = np.unique([name or "" for name in people], return_counts=True)
    several = set(names[counts > 1]) - {""}
    rows = [row for row, name in enumerate(people) if name in several]
    _, person, counts = np.unique([people[row] for row in rows], return_inverse=True, return_counts=True)
    means = np.zeros((len(counts), vectors.shape[1]))
    np.add.at(means, person, vectors[rows])
    means /= counts[:, None]
    within = vectors[rows] - means[person]
    return np.cov(means.T) - within.T @ within / (len(rows) - len(counts)) * np.mean(1 / counts)


def fit_projection(
    features: NDArray[np.float32], people: list[str | None]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the (D,) centre of (N, D) features and the (D, E) projection."""
    center = features.mean(0, dtype=np.float64)
    scale = features.std(0, dtype=np.float64) + 1e-6
    correlation = np.zeros((len(center), len(center)))
    for start in range(0, len(features), _BLOCK):
        block = (features[start : start + _BLOCK] - center) / scale
        correlation += block.T @ block / len(features)
    basis = np.linalg.eigh(correlation)[1][:, ::-1][:, :COMPONENTS] / scale[:, None]
    named = [row for row, name in enumerate(people) if name is not None]
    between = covariance_between((features[named] - center) @ basis, [people[row] for row in named])
    variances, directions = np.linalg.eigh(between)
    variances = variances.clip(0) + np.trace(between) / len(between)
    return center, basis @ (directions * variances**-0.5) @ directions.T


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("encoder")
    parser.add_argument("faces", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    trained, faces = load_encoder(given.encoder, "cpu"), FaceSet.open(given.faces)
    network = build_backbone(QUARTERS)
    network.load_state_dict({name: trained.backbone.state_dict()[name] for name in network.state_dict()})
    card = {name: getattr(trained.entry, name) for name in EncoderCard.model_fields}
    card |= {"name": given.out.name, "arch": QUARTERS, "dim": feature_dim(network), "flip": True, "gray": True}
    encoder = Encoder(EncoderCard(**card), network.to(memory_format=torch.channels_last))
    blocks = [range(start, min(start + _BLOCK, len(faces))) for start in range(0, len(faces), _BLOCK)]
    seen = np.concatenate([encoder.features(faces.crops(block), batch_size=128) for block in blocks])
    fitted = fit_projection(seen, faces.column("identity").to_pylist())
    given.out.mkdir(parents=True)
    middle, projection = (torch.from_numpy(array) for array in fitted)
    save_encoder(given.out, network.state_dict(), encoder.entry, center=middle, projection=projection)
