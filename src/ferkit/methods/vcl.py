"""VCL: variational contrast with β-divergence (Yavuz and Yanikoglu, 2023, arXiv:2312.00824).

A face's projection is no point but a Gaussian: NT-Xent compares samples of it, and a Kullback-Leibler term keeps it
near the standard normal distribution. With β > 0 the cross entropy of NT-Xent is the density power divergence (Basu et
al., Biometrika 85, 1998), in which a face whose positive looks like no positive at all, such as a wrong box of a
detector, counts for less. Its weights and β are ferkit defaults.
"""

import torch
from pydantic import Field
from torch import Tensor, nn

from ferkit.methods.base import Method, MethodSettings, mlp
from ferkit.methods.views import Views
from ferkit.ops.distributed import gather_rows
from ferkit.ops.losses import contrast_logits, normal_divergence, power_divergence


class VclSettings(MethodSettings):
    """The Gaussian head, and the weights of the terms (ferkit defaults)."""

    projection: int = Field(128, ge=1, description="width of the Gaussian")
    temperature: float = Field(0.2, gt=0, description="softmax temperature")
    beta: float = Field(0.005, ge=0, description="of the divergence that stands for the cross entropy; 0: that itself")
    divergence: float = Field(0.01, ge=0, description="weight of the divergence from the standard normal")
    noise: float = Field(1.0, ge=0, description="deviation of the samples, in deviations; 0 takes the mean")


class Vcl(Method[VclSettings]):
    """Find each view's partner among samples of all the views of the batch."""

    settings_type = VclSettings

    def __init__(self, backbone: nn.Module, dim: int, settings: VclSettings) -> None:
        super().__init__(backbone, dim, settings)
        self.head = mlp(dim, dim, 2 * settings.projection)

    def loss(self, views: Views) -> dict[str, Tensor]:
        """Return the sum, "contrast", and "divergence" before its weight, over all processes' batches together."""
        s = self.settings
        mean, log_variance = self.head(self.backbone(torch.cat([views.a, views.b]))).float().chunk(2, dim=1)
        noise = s.noise * torch.randn_like(mean) if self.training else torch.zeros_like(mean)
        a, b = (gather_rows(rows) for rows in (mean + noise * (log_variance / 2).exp()).chunk(2))
        samples = torch.cat([a, b])
        partner = torch.arange(len(samples), device=samples.device).roll(len(a))
        contrast = power_divergence(contrast_logits(samples, s.temperature), partner, s.beta)
        divergence = normal_divergence(gather_rows(mean), gather_rows(log_variance))
        return {"loss": contrast + s.divergence * divergence, "contrast": contrast, "divergence": divergence}
