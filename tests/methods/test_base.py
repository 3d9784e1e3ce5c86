import pytest
import torch

from ferkit.errors import UnknownMethodError
from ferkit.methods import find_method
from ferkit.methods.base import MethodSettings, mlp


def kinds(network):
    return [type(layer).__name__ for layer in network]


def test_mlp_has_norms_between_the_layers_only():
    assert kinds(mlp(4, 8, 8, 2)) == ["Linear", "BatchNorm1d", "ReLU", "Linear", "BatchNorm1d", "ReLU", "Linear"]
    assert kinds(mlp(4, 2)) == ["Linear"]


def test_mlp_without_norms_has_biases_instead():
    network = mlp(4, 8, 2, norm=False)
    assert kinds(network) == ["Linear", "ReLU", "Linear"]
    assert network[0].bias is not None
    assert mlp(4, 8, 2)[0].bias is None
    torch.testing.assert_close(network(torch.zeros(1, 4)), network[2](network[0].bias.relu())[None])


def test_unknown_method_names_the_nearest():
    with pytest.raises(UnknownMethodError, match="contrawarping"):
        find_method("contrawraping")
    with pytest.raises(UnknownMethodError, match="mocov2"):
        find_method("moco")


def test_settings_without_labels_stay_as_they_are():
    settings = MethodSettings()
    assert settings.for_labels([None, "joy"]) is settings
