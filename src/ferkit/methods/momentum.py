"""Networks that follow others as a moving average of their weights."""

import copy
import math

import torch
from torch import Tensor, nn


class MomentumEncoder(nn.Sequential):
    """A copy of a chain of networks that gets no gradient and follows the originals.

    Its batch norms take their statistics from its own batches, as BYOL and MoCo have it; only weights are averaged.
    """

    def __init__(self, *networks: nn.Module) -> None:
        super().__init__(*(copy.deepcopy(network) for network in networks))
        self.requires_grad_(False)

    @torch.no_grad()
    def forward(self, views: Tensor) -> Tensor:
        """Map (B, 3, S, S) views to (B, D) projections, without gradient."""
        projections: Tensor = super().forward(views)  # type: ignore[no-untyped-call]
        return projections

    @torch.no_grad()
    def follow(self, *networks: nn.Module, momentum: float) -> None:
        """Move to momentum * own weights + (1 - momentum) * theirs.

        Args:
            networks: the originals, in the order of the copy.
            momentum: in [0, 1]; 1 stands still.
        """
        own: list[Tensor] = list(self.parameters())
        theirs: list[Tensor] = [weight for network in networks for weight in network.parameters()]
        torch._foreach_lerp_(own, theirs, 1 - momentum)


def rising_momentum(start: float, done: float) -> float:
    """BYOL's momentum (arXiv:2006.07733, implementation details): 1 - (1 - start) * (cos(pi * done) + 1) / 2.

    Args:
        start: at the first step, in [0, 1].
        done: share of training behind us, in [0, 1]; at 1 the momentum is 1.
    """
    return 1 - (1 - start) * (math.cos(math.pi * done) + 1) / 2
