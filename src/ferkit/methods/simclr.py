"""SimCLR (Chen et al., 2020, arXiv:2002.05709)."""

import torch
from pydantic import Field
from torch import Tensor, nn

from ferkit.methods.base import Method, MethodSettings, mlp
from ferkit.methods.views import Views
from ferkit.ops.distributed import gather_rows
from ferkit.ops.losses import nt_xent_loss


class SimClrSettings(MethodSettings):
    """The projection head and temperature."""

    projection: int = Field(128, ge=1, description="width of the projection")
    temperature: float = Field(0.2, gt=0, description="softmax temperature (ferkit default)")


class SimClr(Method[SimClrSettings]):
    """Find each view's partner among all the views of the batch."""

    settings_type = SimClrSettings

    def __init__(self, backbone: nn.Module, dim: int, settings: SimClrSettings) -> None:
        super().__init__(backbone, dim, settings)
        self.projector = mlp(dim, dim, settings.projection)

    def loss(self, views: Views) -> dict[str, Tensor]:
        """Return NT-Xent over both views of every face, of all processes' batches together."""
        a, b = self.projector(self.backbone(torch.cat([views.a, views.b]))).chunk(2)
        return {"loss": nt_xent_loss(gather_rows(a), gather_rows(b), self.settings.temperature)}
