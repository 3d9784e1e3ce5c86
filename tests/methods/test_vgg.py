import pytest
import timm
import torch

from ferkit.encoders import hub
from ferkit.errors import HubError, TrainingError
from ferkit.methods.cycle_networks import VggLayers, load_imagenet


@pytest.fixture(scope="module")
def theirs():
    """timm's VGG-19 up to the first layer of the fourth block, and almost without the layers after the features."""
    torch.manual_seed(0)
    return timm.models.vgg.VGG(timm.models.vgg.cfgs["vgg19"][:12], num_classes=0, mlp_ratio=0.001).eval()


def test_maps_are_those_of_timm(theirs):
    network = VggLayers(4, (2, 3, 4))
    network.load_state_dict(
        {name: value for name, value in theirs.state_dict().items() if name.startswith("features.")}
    )
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        for depth, found in zip((7, 12, 21), network(images), strict=True):  # conv2_1, conv3_1, conv4_1 with their ReLU
            torch.testing.assert_close(found, theirs.features[:depth](images))


def test_without_a_hub_the_way_out_is_named(monkeypatch):
    def refuse(*_):
        raise HubError("cannot reach the hub")

    monkeypatch.setattr(hub, "fetch", refuse)
    with pytest.raises(TrainingError, match=r"cannot reach the hub.*set perceptual=0 and stem=learned"):
        load_imagenet(VggLayers(3, (2, 3)))
