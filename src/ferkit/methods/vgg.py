"""The first layers of VGG-19 (Simonyan & Zisserman, arXiv:1409.1556), with what they find on the way."""

from collections.abc import Sequence

from torch import Tensor, nn

from ferkit.encoders.weights import load_weights
from ferkit.errors import FerkitError, TrainingError

_REPOSITORY, _FILE = "timm/vgg19.tv_in1k", "model.safetensors"


class VggLayers(nn.Module):
    """Convolutions with ReLU in VGG-19's order, which give the maps of some of them.

    Args:
        depth: the last block, 1 to 4, of which only the first convolution is there.
        taps: blocks whose first map is given, rising.
        width: channels of the first block; the next ones double them. VGG-19 has 64.
    """

    def __init__(self, depth: int, taps: Sequence[int], width: int = 64) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        self.places: list[int] = []
        inputs = 3
        for block in range(1, depth + 1):
            outputs = width << (block - 1)
            for number in range(1 if block == depth else (2 if block < 3 else 4)):
                layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU()]
                inputs = outputs
                if number == 0 and block in taps:
                    self.places.append(len(layers) - 1)
            if block < depth:
                layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, 3, S, S) normalised images -> a (B, C, s, s) map for each tap."""
        maps = []
        for place, layer in enumerate(self.features):
            x = layer(x)
            if place in self.places:
                maps.append(x)
        return maps


def load_imagenet(network: VggLayers) -> VggLayers:
    """Give a network of width 64 timm's weights of ``vgg19.tv_in1k`` and freeze it.

    They come from the Hugging Face Hub, or from its cache on this machine.

    Raises:
        TrainingError: they cannot be had; says how to do without.
    """
    from ferkit.encoders.hub import HubRepo, fetch  # the hub's client loads only where something is asked of the hub

    try:
        weights = load_weights(fetch(HubRepo(_REPOSITORY), _FILE).path)
    except (FerkitError, OSError) as error:
        raise TrainingError(
            f"the ImageNet weights of VGG-19 ({_REPOSITORY}) cannot be had here ({error}); set perceptual=0 and "
            "stem=learned to do without them"
        ) from error
    network.load_state_dict({name: weights[name] for name in network.state_dict()})
    return network.requires_grad_(False)
