"""A small network learns the space of a large one: cosines between faces, from the teacher's vectors and no labels.

As in similarity-preserving distillation (arXiv:1907.09682), what is told is how alike any two faces of a batch are, so
that the vectors may be shorter than the teacher's.
"""

from typing import cast

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from ferkit.encoders import DEFAULT_ENCODER
from ferkit.encoders.encoder import Encoder, load_encoder
from ferkit.errors import TrainingError
from ferkit.methods.base import Batch, Method, MethodSettings
from ferkit.methods.views import Views
from ferkit.ops.distributed import gather_rows
from ferkit.ops.losses import relation_loss

_KEPT = 1 << 18


class DistillSettings(MethodSettings):
    """From whom it learns, and how long its vectors are."""

    teacher: str = Field(DEFAULT_ENCODER, description="encoder to learn from: a name, a run, or hf-hub:user/name")
    vector: int = Field(128, ge=2, description="length of the encoder's vectors")
    direct: float = Field(
        0.0, ge=0, description="weight of each vector's own distance from the teacher's, as long as it is then"
    )


class Distill(Method[DistillSettings]):
    """Place faces so that the cosine of any two is the teacher's; it sees the crops as they are, the network views."""

    settings_type = DistillSettings
    supervision = "supervised"
    batch_fields = frozenset({"row"})

    def __init__(self, backbone: nn.Module, dim: int, settings: DistillSettings) -> None:
        """Take over ``backbone``.

        Raises:
            UnknownEncoderError, MissingPathError, WeightsError, HubError: there is no such teacher.
            TrainingError: ``direct`` with vectors that are not as long as the teacher's.
        """
        super().__init__(backbone, dim, settings)
        self.head = nn.Linear(dim, settings.vector)
        self._teacher: tuple[Encoder] = (load_encoder(settings.teacher, "cpu"),)  # in a tuple: no part of the state
        length = self._teacher[0].entry.dim
        if settings.direct and settings.vector != length:
            raise TrainingError(f"vectors as the teacher's are as long as its: add --set vector={length}")
        self._vectors: dict[int, Tensor] = {}

    @torch.no_grad()
    def views(self, batch: Batch, generator: torch.Generator) -> Views:
        """Draw two views of each face; ``target`` holds the (2B, T) vectors of the teacher."""
        a, b = (self.make_view(batch["crops"], generator) for _ in range(2))
        target = self._targets(batch["row"].tolist(), batch["crops"])
        return Views(a, b, target=target.repeat(2, 1))

    def _targets(self, rows: list[int], crops: Tensor) -> Tensor:
        """Embed the faces that are met for the first time; of up to `_KEPT` faces the vectors are kept."""
        vectors = {row: self._vectors[row] for row in rows if row in self._vectors}
        new_places = [place for place, row in enumerate(rows) if row not in vectors]
        if new_places:
            teacher = self._teacher[0].to(crops.device)
            new = torch.from_numpy(teacher.embed(crops[new_places]))
            vectors |= {rows[place]: vector for place, vector in zip(new_places, new, strict=True)}
            if len(self._vectors) < _KEPT:
                self._vectors |= vectors
        return torch.stack([vectors[row] for row in rows]).to(crops.device, non_blocking=True)

    def loss(self, views: Views) -> dict[str, Tensor]:
        """Return the squared error of the cosines between all views, over all processes' batches together.

        With ``direct``, a mean of one minus the cosine between each view's vector and the teacher's is added to it.
        """
        vectors = gather_rows(self.head(self.backbone(torch.cat([views.a, views.b]))).float())
        target = gather_rows(cast(Tensor, views.target))
        loss = relation_loss(vectors, target)
        if self.settings.direct:
            loss = loss + self.settings.direct * (1 - cosine_similarity(vectors, target)).mean()
        return {"loss": loss}

    @torch.no_grad()
    def projection(self, features: Tensor, batch: Batch) -> Tensor:
        """The head without its bias, which the centre takes the place of."""
        return self.head.weight.detach().float().cpu().T.contiguous()
