"""PCL in part: a code for the face beside a code for its pose (Liu et al., CVPR 2023, arXiv:2211.13490).

A mirrored face shows the same expression in the opposite pose. Two linear codes are read off one feature: views of a
face are alike in the face code, mirrored or not, and in the pose code only if both are mirrored or neither is. What
keeps the codes from telling the same is that they are orthogonal. The paper also draws the face anew from both codes;
that decoder is left out here. In the finished encoder's vectors the face code alone counts.
"""

import torch
from pydantic import Field
from torch import Tensor, nn

from ferkit.methods.base import Batch, Method, MethodSettings, mlp
from ferkit.methods.views import ViewMaker, Views
from ferkit.ops.distributed import gather_rows
from ferkit.ops.losses import nt_xent_loss, orthogonality_loss
from ferkit.ops.warp_losses import own_warps_info_nce_loss


class PclSettings(MethodSettings):
    """The heads, and the weights of the terms (ferkit defaults)."""

    projection: int = Field(128, ge=1, description="width of the projections of both codes")
    temperature: float = Field(0.2, gt=0, description="softmax temperature")
    pose: float = Field(1.0, ge=0, description="weight of the pose code's contrast")
    orthogonal: float = Field(1.0, ge=0, description="weight of the codes' squared cosine")


class Pcl(Method[PclSettings]):
    """Tell faces apart in one code, and a face from its mirror image in the other."""

    settings_type = PclSettings

    def __init__(self, backbone: nn.Module, dim: int, settings: PclSettings) -> None:
        super().__init__(backbone, dim, settings)
        self.make_upright = ViewMaker(settings.views.model_copy(update={"flip": 0.0}))
        self.face, self.pose = (nn.Linear(dim, dim, bias=False) for _ in range(2))
        self.face_projector, self.pose_projector = (mlp(dim, dim, settings.projection) for _ in range(2))

    @torch.no_grad()
    def views(self, batch: Batch, generator: torch.Generator) -> Views:
        """Draw two views as the face is, and, in the place of a warp, one of its mirror image."""
        faces = batch["crops"]
        a, b, mirrored = (self.make_upright(crops, generator) for crops in (faces, faces, faces.flip(2)))
        return Views(a, b, mirrored[None])

    def loss(self, views: Views) -> dict[str, Tensor]:
        """Return the weighted sum and its terms "face", "pose" and "orthogonal", over all processes' batches."""
        s = self.settings
        features = self.backbone(torch.cat([views.a, views.b, *views.warped]))
        face, pose = self.face(features), self.pose(features)
        a, b, mirrored = (gather_rows(rows) for rows in self.face_projector(face).chunk(3))
        pairs = ((a, b), (a, mirrored), (b, mirrored))
        alike = torch.stack([nt_xent_loss(one, other, s.temperature) for one, other in pairs]).mean()
        a, b, mirrored = (gather_rows(rows) for rows in self.pose_projector(pose).chunk(3))
        turned = [own_warps_info_nce_loss(one, other, mirrored[None], s.temperature) for one, other in ((a, b), (b, a))]
        apart = orthogonality_loss(gather_rows(face), gather_rows(pose))
        terms = {"face": alike, "pose": torch.stack(turned).mean(), "orthogonal": apart}
        return {"loss": alike + s.pose * terms["pose"] + s.orthogonal * apart, **terms}

    @torch.no_grad()
    def projection(self, features: Tensor, batch: Batch) -> Tensor:
        """(D, D) the face code's weights."""
        return self.face.weight.detach().cpu().T.contiguous()
