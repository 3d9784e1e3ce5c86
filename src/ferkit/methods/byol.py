"""BYOL: Bootstrap Your Own Latent (Grill et al., 2020, arXiv:2006.07733)."""

import torch
from pydantic import Field
from torch import Tensor, nn

from ferkit.methods.base import Batch, Method, MethodSettings, mlp
from ferkit.methods.momentum import MomentumEncoder, rising_momentum
from ferkit.methods.views import ViewMaker, Views
from ferkit.ops.losses import regression_loss


class ByolSettings(MethodSettings):
    """The paper's heads, and its momentum for runs of some hundred epochs (0.996 is that of its 1000).

    Its two views differ in blur (1 and 0.1) and solarisation (0 and 0.2): the preset byol-paper has that.
    """

    hidden: int = Field(4096, ge=1, description="width of the hidden layer of both heads")
    projection: int = Field(256, ge=1, description="width of the projection")
    momentum: float = Field(0.99, ge=0, le=1, description="target's momentum at the start; rises to 1 by a cosine")
    second_blur: float | None = Field(None, ge=0, le=1, description="blur of second views; None: as views.blur")
    second_solarise: float | None = Field(None, ge=0, le=1, description="solarise of second views; None: as of views")


class SelfTarget(nn.Module):
    """The online network's heads, and the moving average of backbone and projector as target.

    The backbone itself stays with the method, so that its weights stand once in a checkpoint.
    """

    def __init__(self, backbone: nn.Module, dim: int, settings: ByolSettings) -> None:
        super().__init__()
        self.momentum = settings.momentum
        self.projector = mlp(dim, settings.hidden, settings.projection)
        self.predictor = mlp(settings.projection, settings.hidden, settings.projection)
        self.target = MomentumEncoder(backbone, self.projector)

    def predict(self, features: Tensor) -> Tensor:
        """Map (B, D) features of the backbone to (B, P) predictions of the target's projections."""
        prediction: Tensor = self.predictor(self.projector(features))
        return prediction

    def project(self, views: Tensor) -> Tensor:
        """Map (B, 3, S, S) to (B, P) target projections, without gradient."""
        projection: Tensor = self.target(views)
        return projection

    def update(self, backbone: nn.Module, done: float) -> None:
        """Move the target towards the online network, by less and less."""
        self.target.follow(backbone, self.projector, momentum=rising_momentum(self.momentum, done))


class Byol(Method[ByolSettings]):
    """Predict the target network's projection of the other view."""

    settings_type = ByolSettings

    def __init__(self, backbone: nn.Module, dim: int, settings: ByolSettings) -> None:
        super().__init__(backbone, dim, settings)
        second = {"blur": settings.second_blur, "solarise": settings.second_solarise}
        others = {name: chance for name, chance in second.items() if chance is not None}
        self.make_second = ViewMaker(settings.views.model_copy(update=others))
        self.networks = SelfTarget(backbone, dim, settings)

    @torch.no_grad()
    def views(self, batch: Batch, generator: torch.Generator) -> Views:
        """Draw two views of each face, the second from a distribution of its own."""
        return Views(self.make_view(batch["crops"], generator), self.make_second(batch["crops"], generator))

    def loss(self, views: Views) -> dict[str, Tensor]:
        """Return the regression loss of both views, added up (eq. 2 symmetrised)."""
        target_a, target_b = (self.networks.project(v) for v in (views.a, views.b))
        online_a, online_b = (self.networks.predict(self.backbone(v)) for v in (views.a, views.b))
        return {"loss": regression_loss(online_a, target_b) + regression_loss(online_b, target_a)}

    def after_step(self, done: float) -> None:
        """Update the target network."""
        self.networks.update(self.backbone, done)
