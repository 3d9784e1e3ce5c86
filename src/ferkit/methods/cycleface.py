"""CycleFace (Chang, Chen & Chiu, ICCV 2021, arXiv:2108.03427): faces to neutral faces to mean faces, and back.

The terms and their weights are those of the authors' published training, docs/cycleface.md says where ours differ.
"""

import copy
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, NamedTuple, Self

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from ferkit.encoders.weights import misfits
from ferkit.errors import TrainingError
from ferkit.methods.base import Batch, Method, MethodSettings
from ferkit.methods.cycle_networks import (
    STEM_WIDTH,
    FlowDecoder,
    Generator,
    Renormaliser,
    VggLayers,
    load_imagenet,
)
from ferkit.methods.random_ranges import chance
from ferkit.methods.views import Views
from ferkit.ops.distributed import gather_rows
from ferkit.ops.flows import flow_colours, warp_by_flow
from ferkit.ops.image_losses import asymmetry, beyond_margin, gram_matrices, ssim

# Weights of the pictures that are warped directly, in the sums of a stage (C).
_DIRECT, _DIRECT_IDENTITY, _DIRECT_SYMMETRY = 1.5, 0.8, 0.5

_TERMS = ("pixel", "perceptual", "symmetry", "ssim", "apart")
"""What is summed, each with the weight that the setting of its name gives it."""

_TAPS = (2, 3, 4)
"""Blocks of VGG-19 whose first map the perceptual term compares (C)."""

_CROP, _FIELD = 128, 112
"""Side of a crop, and of its middle that encoders look at: views show the latter."""


class CycleFaceSettings(MethodSettings):
    """Which stage is learnt, with what networks, and the weights of its terms."""

    # Weak ones, as faces are drawn anew.
    view_defaults: ClassVar[Mapping[str, Any]] = {
        **{"size": 64, "scale": (0.975, 1.0), "aspect": (0.95, 1.05), "rotation": 0, "gray": 0, "blur": 0},
        **{"brightness": 0.05, "contrast": 0.05, "saturation": 0.05, "hue": 0.01},
    }
    stage: Literal["expression", "identity"] = Field(
        "expression", description="expression: to the neutral face and back; identity: from there to the mean face"
    )
    expression: str | None = Field(None, description="folder of the run that the identity stage builds upon")
    mirror: float = Field(
        0.5, ge=0, le=1, description="expression stage: chance that a face's partner is its own mirror image"
    )
    stem: Literal["vgg19", "learned"] = Field(
        "vgg19", description="generator's first layers: ImageNet's, frozen; or of the same form, learnt (ferkit's own)"
    )
    channels: int = Field(
        STEM_WIDTH, ge=8, multiple_of=8, description="of the generator; others than 256 need stem=learned"
    )
    blocks: int = Field(8, ge=1, description="residual blocks of the generator")
    identity_blocks: int = Field(7, ge=1, description="residual blocks of the network that changes the identity")
    noise: float = Field(1, ge=0, description="deviation of the noise that fills in what no pixel shows, in training")
    pixel: float = Field(1, ge=0, description="weight of the absolute difference of pixels")
    perceptual: float = Field(0.01, ge=0, description="weight of VGG-19's Gram matrices; 0 does without them")
    symmetry: float = Field(1.5, ge=0, description="weight of the neutral faces' asymmetry")
    ssim: float = Field(5, ge=0, description="weight of 1 - SSIM")
    apart: float = Field(1, ge=0, description="identity stage: weight of the mean face's distance beyond the margin")
    margin: float = Field(0.1, ge=0, description="identity stage: distance between mean and neutral face that is free")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.stem == "vgg19" and self.channels != STEM_WIDTH:
            raise ValueError(f"VGG-19 has channels={STEM_WIDTH}; set stem=learned for {self.channels}")
        if self.stage == "identity" and self.expression is None:
            raise ValueError("stage=identity builds upon the other one; set expression to the folder of its run")
        if self.views.size % 4:
            raise ValueError(f"views.size must be a multiple of 4, and is {self.views.size}")
        return self


_PARTNERS = {"expression": "partner", "identity": "stranger"}

_NAMES = {"backbone": "expression", "flow": "flow", "generator": "generator"}
"""What the identity stage calls the parts of the expression stage."""


class _Cycle(NamedTuple):
    """2 B faces, partners B rows apart, on their way to their neutral faces and back."""

    faces: Tensor
    flow: Tensor
    back: Tensor
    neutral: Tensor


class CycleFace(Method[CycleFaceSettings]):
    """Tell the expression by the motion that takes it away.

    A code becomes a flow, which moves a face's features to those of its neutral face. Two faces of a clip have the same
    neutral face, so that each must be drawn again from the *other's*: only what the motion says tells them apart. The
    backbone is the encoder of the stage that is learnt, of expressions or of identities.
    """

    settings_type = CycleFaceSettings
    batch_fields = frozenset({"partner", "stranger"})
    network: ClassVar[str | None] = "cycleface"
    train_defaults: ClassVar[Mapping[str, Any]] = {
        **{"epochs": 40, "batch_size": 16, "optimizer": "adam", "betas": (0.5, 0.999), "weight_decay": 0},
        **{"lr": 5e-5, "warmup": 0, "milestones": ((0.0, 0.2), (0.025, 1.0), (0.5, 0.2))},
    }
    mean: Tensor
    std: Tensor

    def __init__(self, backbone: nn.Module, dim: int, settings: CycleFaceSettings) -> None:
        """Take over ``backbone``; `load_parent` completes the identity stage.

        Raises:
            TrainingError: the weights of VGG-19 cannot be had.
        """
        super().__init__(backbone, dim, settings)
        # VGG-19 up to the first layer of its third block, the last map having as many channels as the generator.
        stem = VggLayers(3, taps=(2, 3), width=settings.channels // 4)
        self.flow = FlowDecoder(dim)
        self.generator = Generator(settings.channels, settings.blocks, stem)
        if settings.stage == "identity":
            self.expression = copy.deepcopy(backbone)
            self.renormalise = Renormaliser(settings.channels, dim, settings.identity_blocks)
            _parts_of_expression(self).requires_grad_(False)
        elif settings.stem == "vgg19":
            load_imagenet(stem)
        if settings.perceptual:
            self.perceptual = load_imagenet(VggLayers(max(_TAPS), _TAPS))
        self.register_buffer("mean", torch.tensor(settings.views.mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(settings.views.std).view(3, 1, 1), persistent=False)

    @classmethod
    def batch_fields_with(cls, settings: CycleFaceSettings) -> frozenset[str]:
        """Another face of the clip, which has the same neutral face; for identities, a face of another person."""
        return frozenset({_PARTNERS[settings.stage]})

    @property
    def parent_run(self) -> str | None:
        """The run of the expression stage, for the identity stage."""
        return self.settings.expression if self.settings.stage == "identity" else None

    def load_parent(self, weights: Mapping[str, Tensor]) -> None:
        """Take over the expression stage.

        Args:
            weights: of the method of `parent_run`.

        Raises:
            TrainingError: they are of another method, or of networks of another form.
        """
        parts = _parts_of_expression(self)
        theirs = {f"{_NAMES.get(name.split('.')[0])}.{name.partition('.')[2]}": weights[name] for name in weights}
        own = {name: tensor for name, tensor in theirs.items() if name.split(".")[0] in parts}
        if any(name.startswith("renormalise.") for name in weights) or misfits(parts, own):
            raise TrainingError(
                f"{self.parent_run!r} is no run of the expression stage with channels, blocks and views.size as set "
                "here; set expression to one, and these settings as in its recipe.yaml"
            )
        parts.load_state_dict(own)

    @torch.no_grad()
    def views(self, batch: Batch, generator: torch.Generator) -> Views:
        """Draw a view of each face, and one of its partner.

        That is another face of its clip or its own mirror image; in the identity stage, somebody else's face.
        """
        names = ("crops", _PARTNERS[self.settings.stage])
        face, partner = (self.make_view(_field(batch[name]), generator) for name in names)
        if self.settings.stage == "expression":
            mirrored = chance((len(face),), self.settings.mirror, generator).to(face.device)
            partner = torch.where(mirrored[:, None, None, None], face.flip(3), partner)
        return Views(face, partner)

    def loss(self, views: Views) -> dict[str, Tensor]:
        """Return the weighted sum, its terms, "rebuilt", the mean difference of pixels that is left, and "motion".

        Both are watched only; motion is the mean length of the flows, in half sides.
        """
        s = self.settings
        noise = s.noise if self.training else 0
        terms = self._expression_terms(views, noise) if s.stage == "expression" else self._identity_terms(views, noise)
        weighted = [getattr(s, name) * terms[name] for name in _TERMS if name in terms]
        loss = torch.stack(weighted).sum()
        return {"loss": loss, **terms}

    def _expression_terms(self, views: Views, noise: float) -> dict[str, Tensor]:
        cycle = self._to_neutral(views, noise, self.backbone)
        faces, swapped = cycle.faces, _swap_partners(cycle.neutral)
        rebuilt, same = self.generator(swapped, cycle.back, noise), self.generator(faces)
        direct_neutral = warp_by_flow(faces, cycle.flow)
        direct = warp_by_flow(_swap_partners(direct_neutral), cycle.back)
        bent = warp_by_flow(swapped, cycle.back)
        pixel = F.l1_loss(rebuilt, faces) + F.l1_loss(same, faces) + F.l1_loss(bent, faces)
        return {
            "pixel": pixel + _DIRECT * F.l1_loss(direct, faces),
            "symmetry": asymmetry(cycle.neutral) + _DIRECT_SYMMETRY * asymmetry(direct_neutral),
            "ssim": self._unlike(rebuilt, faces) + self._unlike(same, faces) + _DIRECT * self._unlike(direct, faces),
            **self._style((cycle.neutral, bent, direct, rebuilt), faces),
            **_figures(rebuilt, cycle),
        }

    def _identity_terms(self, views: Views, noise: float) -> dict[str, Tensor]:
        with torch.no_grad():
            cycle = self._to_neutral(views, noise, self.expression)
        faces = cycle.faces
        mean, neutral = self._through_mean_face(cycle)
        direct, rebuilt = warp_by_flow(neutral, cycle.back), self.generator(neutral, cycle.back, noise)
        pixel = F.l1_loss(rebuilt, faces) + _DIRECT_IDENTITY * F.l1_loss(direct, faces)
        return {
            "pixel": pixel + F.l1_loss(neutral, cycle.neutral),
            "symmetry": asymmetry(neutral),
            "ssim": self._unlike(rebuilt, faces) + _DIRECT_IDENTITY * self._unlike(direct, faces),
            "apart": beyond_margin(mean, cycle.neutral, self.settings.margin),
            **self._style((direct, rebuilt), faces),
            **_figures(rebuilt, cycle),
        }

    def _to_neutral(self, views: Views, noise: float, encoder: nn.Module) -> _Cycle:
        faces = torch.cat([views.a, views.b])
        flow, back = self.flow(encoder(faces))
        return _Cycle(faces, flow, back, self.generator(faces, flow, noise))

    def _through_mean_face(self, cycle: _Cycle, together: bool = True) -> tuple[Tensor, Tensor]:
        """The (1, 3, S, S) mean face, and the 2 B neutral faces drawn from it; ``together`` over all processes."""
        code = self.backbone(cycle.faces)
        nobody = self.renormalise(self.generator.stem(cycle.neutral)[-1], code, put_in=False)
        mean = (gather_rows(nobody) if together else nobody).mean(0, keepdim=True)
        features = self.generator.stem(mean)[-1].expand(len(code), -1, -1, -1)
        return mean, self.renormalise(features, code, put_in=True)

    def _unlike(self, images: Tensor, faces: Tensor) -> Tensor:
        return 1 - ssim(*(part * self.std + self.mean for part in (images, faces)))

    def _style(self, images: tuple[Tensor, ...], faces: Tensor) -> dict[str, Tensor]:
        if not self.settings.perceptual:
            return {}
        with torch.no_grad():
            target = [gram_matrices(found) for found in self.perceptual(faces)]
        found = [map(gram_matrices, self.perceptual(image)) for image in images]
        distances = [F.mse_loss(*pair) for grams in found for pair in zip(grams, target, strict=True)]
        return {"perceptual": torch.stack(distances).sum() / len(images)}

    @torch.no_grad()
    def pictures(self, views: Views) -> list[Tensor]:
        """Each face and its partner, the face's neutral and mean face, its flow, and the face drawn anew.

        One process may call this alone: nothing of the others is waited for.
        """
        pictures = [views.a, views.b]
        identity = self.settings.stage == "identity"
        cycle = self._to_neutral(views, 0, self.expression if identity else self.backbone)
        count = len(views.a)
        if identity:
            mean, neutral = self._through_mean_face(cycle, together=False)
            pictures += [cycle.neutral[:count], mean.expand_as(views.a), neutral[:count]]
        else:
            neutral = _swap_partners(cycle.neutral)
            pictures += [cycle.neutral[:count], neutral[:count], self._flow_picture(cycle.flow[:count])]
        return [*pictures, self.generator(neutral, cycle.back)[:count]]

    def _flow_picture(self, flow: Tensor) -> Tensor:
        """A flow as a normalised view, the longest displacement in full colour."""
        colours = flow_colours(flow, max(float(flow.norm(dim=1).max()), 1e-6))
        return (F.interpolate(colours, size=(self.settings.views.size,) * 2, mode="nearest") - self.mean) / self.std


def _parts_of_expression(method: CycleFace) -> nn.ModuleDict:
    return nn.ModuleDict({name: getattr(method, name) for name in _NAMES.values()})


def _field(crops: Tensor) -> Tensor:
    """The middle of (B, H, W, 3) crops that encoders look at."""
    height, width = crops.shape[1:3]
    top, left = (round(side * (1 - _FIELD / _CROP) / 2) for side in (height, width))
    return crops[:, top : height - top, left : width - left].contiguous()


def _swap_partners(pairs: Tensor) -> Tensor:
    """(2 B, …) rows, each in the place of the one of its clip."""
    first, second = pairs.chunk(2)
    return torch.cat([second, first])


def _figures(rebuilt: Tensor, cycle: _Cycle) -> dict[str, Tensor]:
    difference = F.l1_loss(rebuilt.detach(), cycle.faces)
    return {"rebuilt": difference, "motion": cycle.flow.detach().norm(dim=1).mean()}
