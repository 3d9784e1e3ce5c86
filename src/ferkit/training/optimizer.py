"""The optimiser: any of timm's, without weight decay where it does harm."""

import timm.optim
import torch
from torch import nn

from ferkit.errors import TrainingError, UnknownNameError
from ferkit.training.settings import TrainSettings


class UnknownOptimizerError(UnknownNameError):
    """timm has no optimiser of this name."""

    kind = "optimizer"
    listing = "any name of `timm.optim.list_optimizers()`"


def check_optimizer(settings: TrainSettings) -> None:
    """Tell whether the optimiser can be made here.

    Raises:
        UnknownOptimizerError: timm has no such optimiser.
        TrainingError: it needs a package that is not installed, or second derivatives.
    """
    name = settings.optimizer
    if name not in timm.optim.list_optimizers():
        raise UnknownOptimizerError(name, timm.optim.list_optimizers())
    try:
        optimizer = _create([{"params": [nn.Parameter(torch.zeros(2, 2))]}], settings)
    except Exception as error:
        raise TrainingError(f"the optimizer {name!r} cannot be used here ({error}); take adamw, sgd or lars") from error
    if getattr(optimizer, "is_second_order", False):
        raise TrainingError(f"the optimizer {name!r} needs second derivatives; take adamw, sgd or lars")


def make_optimizer(method: nn.Module, settings: TrainSettings) -> torch.optim.Optimizer:
    """Make the optimiser of all weights that take a gradient.

    Biases, norms and what a network itself names in ``no_weight_decay()``, such as a transformer's position embedding,
    do not decay. LARS (arXiv:1708.03888) adapts its rate on the decaying ones alone.
    """
    spared = {
        f"{place}.{name}" if place else name
        for place, module in method.named_modules()
        for name in getattr(module, "no_weight_decay", tuple)()
    }
    groups = timm.optim.param_groups_weight_decay(method, settings.weight_decay, no_weight_decay_list=frozenset(spared))
    return _create([group for group in groups if group["params"]], settings)


def _create(groups: list[dict[str, object]], settings: TrainSettings) -> torch.optim.Optimizer:
    # timm's "sgd" is Nesterov's, which is not defined without momentum; its "momentum" is the plain one.
    name = "momentum" if settings.optimizer == "sgd" and settings.momentum == 0 else settings.optimizer
    more = {"betas": settings.betas} if settings.betas and timm.optim.get_optimizer_info(name).has_betas else {}
    optimizer: torch.optim.Optimizer = timm.optim.create_optimizer_v2(
        groups, opt=name, lr=settings.lr, weight_decay=settings.weight_decay, momentum=settings.momentum, **more
    )
    return optimizer
