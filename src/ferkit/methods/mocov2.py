"""MoCo v2: momentum contrast with an MLP head (Chen et al., 2020, arXiv:2003.04297; He et al., arXiv:1911.05722)."""

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from ferkit.methods.base import Method, MethodSettings, mlp
from ferkit.methods.momentum import MomentumEncoder
from ferkit.methods.views import Views
from ferkit.ops.distributed import gather_rows
from ferkit.ops.losses import info_nce_loss


class MocoV2Settings(MethodSettings):
    """The paper's head and temperature; queue and momentum are what its authors take for 50,000 small pictures.

    The queue should be shorter than the face set, or a query meets keys of its own face among the negatives.
    """

    projection: int = Field(128, ge=1, description="width of the projection")
    temperature: float = Field(0.2, gt=0, description="softmax temperature")
    momentum: float = Field(0.99, ge=0, le=1, description="of the key encoder, constant (ferkit default; paper 0.999)")
    queue: int = Field(4096, ge=1, description="earlier keys kept as negatives (ferkit default; paper 65536)")
    symmetric: bool = Field(False, description="let each view be query and key in turn; the paper's loss is one-sided")
    key_groups: int = Field(
        8, ge=1, description="parts of a batch whose keys have batch-norm statistics of their own (the paper's 8 GPUs)"
    )


class KeyQueue(nn.Module):
    """The latest keys, first in, first out; it travels with the checkpoint.

    It begins as random directions, as in the authors' code: easy negatives until it has been filled once.
    """

    keys: Tensor
    next: Tensor

    def __init__(self, size: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("keys", F.normalize(torch.randn(size, dim), dim=1))
        self.register_buffer("next", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def push(self, keys: Tensor) -> None:
        """Replace the oldest keys; of more keys than fit, the last ones stay.

        Args:
            keys: (N, D), any norm; the place goes round, so that N need not divide the queue's size.
        """
        size, count = len(self.keys), len(keys)
        places = (self.next + torch.arange(count, device=self.keys.device)) % size
        latest = slice(max(0, count - size), None)
        self.keys[places[latest]] = F.normalize(keys[latest].float(), dim=1)
        self.next.copy_((self.next + count) % size)


class MocoV2(Method[MocoV2Settings]):
    """Tell the momentum encoder's key of the same face from those of many faces before."""

    settings_type = MocoV2Settings

    def __init__(self, backbone: nn.Module, dim: int, settings: MocoV2Settings) -> None:
        super().__init__(backbone, dim, settings)
        self.projector = mlp(dim, dim, settings.projection, norm=False)
        self.target = MomentumEncoder(backbone, self.projector)
        self.queue = KeyQueue(settings.queue, settings.projection)

    def loss(self, views: Views) -> dict[str, Tensor]:
        """Return InfoNCE against the queue and, in training, put the keys of all processes into it."""
        pairs = [(views.a, views.b), (views.b, views.a)][: 1 + self.settings.symmetric]
        queue = self.queue.keys.clone()  # the backward pass needs it as it was
        losses = []
        for queries, others in pairs:
            keys = self._keys(others)
            projections = self.projector(self.backbone(queries))
            losses.append(info_nce_loss(projections, keys, queue, self.settings.temperature))
            if self.training:
                self.queue.push(gather_rows(keys))
        return {"loss": torch.stack(losses).sum()}

    def after_step(self, done: float) -> None:
        """Update the key encoder, at a constant momentum."""
        self.target.follow(self.backbone, self.projector, momentum=self.settings.momentum)

    def _keys(self, views: Tensor) -> Tensor:
        """Keys of (B, 3, S, S) views, a part of the batch at a time.

        Did a query and its key share their batch norms' statistics, which the queue's keys do not, then these would
        give the key away (arXiv:1911.05722, section 3.3). The authors shuffle the keys' faces between GPUs; here
        the parts do it, for one process or many, with synchronised batch norms or without.
        """
        parts = max(1, min(self.settings.key_groups, len(views) // 2))
        return torch.cat([self.target(part) for part in views.tensor_split(parts)])
