"""How well a network tells expressions once all of its weights have learnt from the labels."""

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import timm.optim
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from ferkit.data.face_set import FaceSet
from ferkit.encoders.encoder import Encoder
from ferkit.errors import InputError
from ferkit.evaluation.rows import Answers, row_blocks
from ferkit.ops.grids import affine_matrices, sample, sampling_grid
from ferkit.ops.losses import class_loss, concordance_loss
from ferkit.ops.schedules import warmup_cosine
from ferkit.progress import Progress, Silent

Crops = FaceSet | NDArray[np.uint8]
"""Faces to learn from or to judge: a face set, read batch by batch, or (N, H, W, 3) uint8 RGB, memory-mapped or not."""

Share = Annotated[float, Field(ge=0, le=1)]


class FineTuneSettings(BaseModel):
    """How all weights learn (ferkit defaults); the views are mild, since they must leave the expression as it is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    epochs: int = Field(20, ge=1, description="passes over the training faces; the last one is judged, not the best")
    batch_size: int = Field(64, ge=2, description="faces a step")
    optimizer: Literal["adamw", "adam"] = Field("adamw", description="adam adds its decay to the gradient")
    lr: float = Field(5e-4, gt=0, description="highest rate, of the classifier")
    layer_decay: float = Field(0.75, gt=0, le=1, description="rate of a layer as a share of the next one's")
    weight_decay: float = Field(0.05, ge=0, description="spares biases and norms")
    head: Literal["linear", "mlp"] = Field("linear", description="classifier; mlp: D -> D, ReLU, dropout .5, D -> C")
    warmup: Share = Field(0.1, description="share of the steps in which the rate rises, before half a cosine to zero")
    smoothing: float = Field(0.0, ge=0, lt=1, description="share of the target spread evenly over all classes")
    balance: Literal["none", "softmax"] = Field(
        "none", description="softmax: balanced softmax (arXiv:2007.10740), for classes of very different frequency"
    )
    precision: Literal["float32", "bf16"] = Field("float32", description="of the products; weights stay float32")
    flip: Share = Field(0.5, description="chance of mirroring")
    least_scale: float = Field(0.85, gt=0, le=1, description="side of the smallest view as a share of the face's")
    rotation: float = Field(10.0, ge=0, le=180, description="largest turn either way, degrees")
    brightness: float = Field(0.2, ge=0, description="largest change either way, deviations of the encoder's input")
    contrast: float = Field(0.2, ge=0, lt=1, description="largest relative change either way")


FINETUNES: Mapping[str, FineTuneSettings] = {
    "ferkit": FineTuneSettings(),
    # The authors' code for AffectNet (arXiv:2210.03853), which takes the best epoch on validation; here it is the last.
    "ssl-fer": FineTuneSettings(
        optimizer="adam", lr=1e-4, layer_decay=1, weight_decay=5e-4, head="mlp", balance="softmax"
    ),
}
"""Ways to train, by name."""


@dataclass(frozen=True, slots=True, eq=False)
class FineTuneResult:
    """What the network says of the test part after its last epoch."""

    # (M, K) float32: values, or the logits of ``classes``; balanced softmax makes them those of equal frequencies
    outputs: NDArray[np.float32]
    losses: tuple[float, ...]  # mean training loss of each epoch
    classes: tuple[str, ...] = ()  # labels of train, sorted; none where the network learnt values

    @property
    def predicted(self) -> Answers:
        """(M,) labels of the largest logits."""
        return np.asarray(np.array(self.classes, object)[self.outputs.argmax(axis=1)])


def finetune_answers(
    encoder: Encoder,
    train: Crops,
    train_labels: Sequence[str],
    test: Crops,
    *,
    settings: FineTuneSettings | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> FineTuneResult:
    """Put a linear layer on the encoder's backbone, train all weights on the labels, and let it judge the test part.

    AdamW with layer-wise decay (arXiv:2106.08254, appendix): the classifier learns at the full rate, every layer below
    at ``layer_decay`` times the rate of the one above. Nothing is chosen by the test part. The encoder is left as it
    was; the work is done on its device.

    Args:
        encoder: a loaded encoder.
        train: N faces, aligned to the encoder's template.
        train_labels: N labels, of at least two classes.
        test: M faces.
        settings: how to train; the defaults when None.
        seed: of the classifier, the order of the faces and their views.
        progress: told of every step.

    Raises:
        InputError: lengths differ, a label is missing, there is one label alone or nothing to judge, or the loss
            leaves the finite numbers.
    """
    settings = settings or FineTuneSettings()
    _check(train, train_labels, test)
    if len(set(train_labels)) < 2:
        raise InputError("fine-tuning needs training faces of at least two labels")
    classes = tuple(sorted(set(train_labels)))
    number = {name: place for place, name in enumerate(classes)}
    labels = torch.tensor([number[name] for name in train_labels], device=encoder.center.device)
    counts = torch.bincount(labels) if settings.balance == "softmax" else None

    def loss(logits: Tensor, rows: Tensor) -> Tensor:
        return class_loss(logits, labels[rows], settings.smoothing, counts)

    return FineTuneResult(*_finetune(encoder, train, test, len(classes), loss, settings, seed, progress), classes)


def finetune_values(
    encoder: Encoder,
    train: Crops,
    train_values: NDArray[np.floating[Any]],
    test: Crops,
    *,
    settings: FineTuneSettings | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> FineTuneResult:
    """Train all weights on values such as valence and arousal by the CCC loss, and let the network judge the test part.

    Arguments as of `finetune_answers`, with (N, K) finite values for the labels; the loss is
    `ferkit.ops.losses.concordance_loss` over each batch, so that smoothing and balance do not concern it.

    Raises:
        InputError: lengths differ, a value is missing, there is nothing to judge, or the loss leaves the finite
            numbers.
    """
    settings = settings or FineTuneSettings()
    _check(train, [None if math.isnan(total) else total for total in train_values.sum(axis=1).tolist()], test)
    values = torch.tensor(train_values, dtype=torch.float32, device=encoder.center.device)

    def loss(predicted: Tensor, rows: Tensor) -> Tensor:
        return concordance_loss(predicted, values[rows])

    return FineTuneResult(*_finetune(encoder, train, test, values.shape[1], loss, settings, seed, progress))


def layered_optimizer(network: nn.Module, settings: FineTuneSettings) -> torch.optim.Optimizer:
    """Make the optimiser of a timm network with its classifier; each group's ``lr`` is the highest of its layer.

    Biases, norms and what the network itself names in ``no_weight_decay()`` do not decay.
    """
    spared: set[str] = getattr(network, "no_weight_decay", set)()
    groups = timm.optim.param_groups_layer_decay(
        network, settings.weight_decay, no_weight_decay_list=spared, layer_decay=settings.layer_decay
    )
    layers = [{**group, "lr": settings.lr * group["lr_scale"]} for group in groups]
    kind = torch.optim.AdamW if settings.optimizer == "adamw" else torch.optim.Adam
    return kind(layers, lr=settings.lr)


_Loss = Callable[[Tensor, Tensor], Tensor]
"""Of (B, K) outputs, for these (B,) rows of the training faces."""


def _check(train: Crops, labels: Sequence[object], test: Crops) -> None:
    if len(train) != len(labels):
        raise InputError(f"{len(train)} training faces do not match {len(labels)} labels; give one for each")
    missing = sum(label is None for label in labels)
    if missing:
        raise InputError(f"{missing} of {len(labels)} training faces have no label; leave them out")
    if not len(test):
        raise InputError("there is no test face to classify")


def _finetune(
    encoder: Encoder,
    train: Crops,
    test: Crops,
    width: int,
    loss_of: _Loss,
    settings: FineTuneSettings,
    seed: int,
    progress: Progress | None,
) -> tuple[NDArray[np.float32], tuple[float, ...]]:
    """Train, and return the (M, width) outputs of the test part and the mean loss of each epoch."""
    device = encoder.center.device
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)  # the head's weights, and what layers draw themselves, such as dropout
        network = _with_head(encoder, width, settings)
        losses = _train(network, encoder, train, loss_of, settings, seed, progress or Silent())
    network.eval()
    with torch.inference_mode():
        blocks = row_blocks(np.arange(len(test)), settings.batch_size)
        outputs = [_outputs(network, encoder.prepare(_read(test, rows)), settings).cpu() for rows in blocks]
    return np.asarray(torch.cat(outputs).numpy()), losses


def _with_head(encoder: Encoder, outputs: int, settings: FineTuneSettings) -> nn.Module:
    network: Any = copy.deepcopy(encoder.backbone)
    width = encoder.width
    head: nn.Module = nn.Linear(width, outputs)
    if settings.head == "mlp":
        head = nn.Sequential(nn.Linear(width, width), nn.ReLU(inplace=True), nn.Dropout(0.5), head)
    if hasattr(network, "reset_classifier"):
        network.reset_classifier(outputs)
        if settings.head == "mlp":
            network.set_submodule(network.pretrained_cfg["classifier"], head)
    else:  # no network of timm's
        network = nn.Sequential(network, head)
    tuned: nn.Module = network.requires_grad_(True).to(encoder.center.device)
    return tuned


def _train(
    network: nn.Module,
    encoder: Encoder,
    faces: Crops,
    loss_of: _Loss,
    settings: FineTuneSettings,
    seed: int,
    progress: Progress,
) -> tuple[float, ...]:
    """Train in place, and return the mean loss of each epoch."""
    device, batch = encoder.center.device, min(settings.batch_size, len(faces))
    per_epoch = len(faces) // batch
    optimizer = layered_optimizer(network, settings)
    steps = per_epoch * settings.epochs
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: warmup_cosine(step, steps, settings.warmup))
    generator = torch.Generator().manual_seed(seed)
    progress.start("fine-tuning", steps, unit="steps")
    losses = []
    network.train()
    for epoch in range(settings.epochs):
        total = torch.zeros((), device=device)
        order = torch.randperm(len(faces), generator=generator)[: per_epoch * batch]
        for batch_rows in order.view(per_epoch, batch):
            # In the order of the files, which reads faster; a batch has no order of its own.
            rows = batch_rows.sort().values
            views = _views(encoder.prepare(_read(faces, rows.numpy())), settings, generator)
            loss = loss_of(_outputs(network, views, settings), rows.to(device))
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            optimizer.step()
            schedule.step()
            total += loss.detach()
            progress.advance(note=f"epoch {epoch + 1}")
        losses.append(total.item() / per_epoch)
        if not math.isfinite(losses[-1]):
            raise InputError(f"the loss is no number any more in epoch {epoch + 1}; choose a smaller lr")
    return tuple(losses)


def _outputs(network: nn.Module, images: Tensor, settings: FineTuneSettings) -> Tensor:
    with torch.autocast(images.device.type, torch.bfloat16, enabled=settings.precision == "bf16"):
        outputs: Tensor = network(images)
    return outputs.float()


def _read(faces: Crops, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
    return faces.crops(rows) if isinstance(faces, FaceSet) else faces[rows]


def _views(images: Tensor, settings: FineTuneSettings, generator: torch.Generator) -> Tensor:
    """Draw a view of each of (B, 3, S, S) prepared images: cut, turn and mirror in one resampling, then the light."""
    count, size = len(images), images.shape[-1]

    def draw(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(count, *shape, generator=generator)

    scale = draw(settings.least_scale, 1)
    turn = math.radians(settings.rotation)
    affine = affine_matrices(
        scale=scale,
        aspect=torch.ones(count),
        angle=draw(-turn, turn),
        shift=(1 - scale)[:, None] * draw(-1, 1, 2),
        flip=draw(0, 1) < settings.flip,
    )
    contrast = draw(1 - settings.contrast, 1 + settings.contrast, 1, 1, 1).to(images.device)
    light = draw(-settings.brightness, settings.brightness, 1, 1, 1).to(images.device)
    views = sample(images, sampling_grid(affine.to(images.device), size))
    middle = views.mean((1, 2, 3), keepdim=True)
    return torch.lerp(middle, views, contrast).add_(light).contiguous(memory_format=torch.channels_last)
