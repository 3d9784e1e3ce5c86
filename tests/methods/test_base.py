import pytest

from ferkit.errors import UnknownMethodError
from ferkit.methods import find_method
from ferkit.methods.base import mlp


def kinds(network):
    return [type(layer).__name__ for layer in network]


def test_mlp_has_norms_between_the_layers_only():
    assert kinds(mlp(4, 8, 8, 2)) == ["Linear", "BatchNorm1d", "ReLU", "Linear", "BatchNorm1d", "ReLU", "Linear"]
    assert kinds(mlp(4, 2)) == ["Linear"]


@pytest.mark.parametrize(("name", "near"), [("contrawraping", "contrawarping"), ("moco", "mocov2")])
def test_unknown_method_names_the_nearest(name, near):
    with pytest.raises(UnknownMethodError, match=near):
        find_method(name)
