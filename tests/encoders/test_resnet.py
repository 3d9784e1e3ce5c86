import subprocess
import sys

import pytest
import timm
import torch

from ferkit.encoders.backbones import empty_backbone
from ferkit.encoders.resnet import RESNETS


@pytest.mark.parametrize("arch", ["resnet18", "resnet50"])
def test_features_are_those_of_timm_s_network_with_the_same_weights(arch):
    theirs = timm.create_model(arch, num_classes=0).eval()
    with torch.no_grad():
        for norm in (module for module in theirs.modules() if isinstance(module, torch.nn.BatchNorm2d)):
            norm.weight.uniform_(0.5, 1)  # the last of each block is born 0
            norm.running_mean.normal_()
    ours = empty_backbone(arch).eval()
    assert not isinstance(ours, type(theirs))
    ours.load_state_dict(theirs.state_dict(), assign=True)
    images = torch.randn(2, 3, 64, 80)
    with torch.inference_mode():
        assert torch.equal(ours(images), theirs(images))
    assert ours.num_features == theirs.num_features


@pytest.mark.parametrize("arch", RESNETS)
def test_the_layers_have_the_names_and_shapes_of_timm(arch):
    with torch.device("meta"):
        theirs, ours = timm.create_model(arch, num_classes=0), empty_backbone(arch)
    shapes = [{name: tensor.shape for name, tensor in each.state_dict().items()} for each in (ours, theirs)]
    assert shapes[0] == shapes[1]


def test_the_default_encoder_and_the_detector_load_neither_timm_nor_torchvision():
    code = """
import sys
from ferkit.encoders.encoder import load_encoder
from ferkit.faces.detect import FaceDetector
import numpy as np
load_encoder(device="cpu")
FaceDetector().detect([np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)])
print(sorted({"timm", "torchvision"} & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"
