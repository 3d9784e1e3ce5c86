"""Make an encoder of a trained ResNet-18: its second and third stage pooled over the quarters of the face.

    python benchmarks/quarters_encoder.py runs/queue/unwarp-long carry/train runs/unwarp-r18

The last stage, where there is one, is left out. Features are the mean of a face's and its mirror image's, less their
mean over the faces.
"""

import argparse
from pathlib import Path

import torch

from ferkit.data.face_set import FaceSet
from ferkit.encoders.backbones import build_backbone, feature_dim
from ferkit.encoders.encoder import Encoder, load_encoder, save_encoder
from ferkit.encoders.registry import EncoderCard

QUARTERS = "resnet18-quarters"
_FACES = 4096

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
    some = range(0, len(faces), max(1, len(faces) // _FACES))
    center = torch.from_numpy(encoder.features(faces.crops(some)).mean(0, dtype="float64"))
    given.out.mkdir(parents=True, exist_ok=True)
    save_encoder(given.out, network.state_dict(), encoder.entry, center=center)
