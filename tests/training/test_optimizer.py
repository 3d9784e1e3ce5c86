import pytest
import torch
from torch import nn

from ferkit.errors import TrainingError, UnknownNameError
from ferkit.training.optimizer import check_optimizer, make_optimizer
from ferkit.training.settings import TrainSettings


class Embedding(nn.Module):
    """A network that spares one of its matrices, as a transformer does its position embedding."""

    def __init__(self):
        super().__init__()
        self.position = nn.Parameter(torch.ones(3, 2))
        self.linear = nn.Linear(2, 2)
        self.norm = nn.BatchNorm1d(2)

    def no_weight_decay(self):
        return {"position"}


def test_weights_alone_decay():
    method = nn.ModuleDict({"backbone": Embedding(), "frozen": nn.Linear(2, 2).requires_grad_(False)})
    groups = make_optimizer(method, TrainSettings(weight_decay=0.1)).param_groups
    decays = {id(parameter): group["weight_decay"] for group in groups for parameter in group["params"]}
    names = {name: decays.get(id(parameter)) for name, parameter in method.named_parameters()}
    assert names == {
        "backbone.position": 0,
        "backbone.linear.weight": 0.1,
        "backbone.linear.bias": 0,
        "backbone.norm.weight": 0,
        "backbone.norm.bias": 0,
        "frozen.weight": None,
        "frozen.bias": None,
    }


def stepped(name, **settings):
    """A weight (3, 4) of norm 5 after one step along the gradient (0, 1)."""
    layer = nn.Linear(2, 1, bias=False)
    layer.weight.data = torch.tensor([[3.0, 4.0]])
    optimizer = make_optimizer(layer, TrainSettings(optimizer=name, lr=0.1, **settings))
    layer.weight.grad = torch.tensor([[0.0, 1.0]])
    optimizer.step()
    return layer.weight.detach()[0].tolist()


# AdamW's first step has the length lr whatever the gradient; its decay is decoupled: w (1 - lr * 0.5). LARS takes the
# local rate 0.001 * 5 / (1 + 0.5 * 5) on the gradient with decay, (0 + 1.5, 1 + 2).
@pytest.mark.parametrize(
    ("name", "settings", "expected"),
    [
        ("sgd", {"weight_decay": 0.0, "momentum": 0.0}, [3.0, 3.9]),
        ("adamw", {"weight_decay": 0.5}, [3 * 0.95, 4 * 0.95 - 0.1]),
        ("lars", {"weight_decay": 0.5, "momentum": 0.0}, [3 - 1.5e-4 * 5 / 3.5, 4 - 3e-4 * 5 / 3.5]),
    ],
)
def test_a_step_by_hand(name, settings, expected):
    assert stepped(name, **settings) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "error", "says"),
    [
        ("adamx", UnknownNameError, "adamax"),
        ("adahessian", TrainingError, "second derivatives"),
        ("fusedadam", TrainingError, "cannot be used here"),
    ],
)
def test_optimizer_that_cannot_be_used(name, error, says):
    with pytest.raises(error, match=says):
        check_optimizer(TrainSettings(optimizer=name))
