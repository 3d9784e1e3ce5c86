"""How long, how fast and with what a run trains."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]


class MonitorSettings(BaseModel):
    """What is looked at while a run trains; none of it changes the weights."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    every: float = Field(5, ge=0, description="epochs between looks, the last step always being one; 0 never looks")
    data: str | None = Field(None, description="face set with labels, for kNN accuracy and the best checkpoint")
    faces: int = Field(2048, ge=2, description="most faces of that set that a look reads")
    neighbours: int = Field(20, ge=1, description="of the kNN classifier")
    pairs: int = Field(512, ge=2, description="training faces whose views give alignment, uniformity and spread")
    sheet: int = Field(8, ge=0, description="faces on the picture of views; 0 draws none")
    collapse: float = Field(0.05, ge=0, le=1, description="spread of the features below which a run is warned of")


class TrainSettings(BaseModel):
    """Settings of the loop; the defaults are ferkit's."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    epochs: float = Field(50, gt=0, description="passes over the faces; a fraction stops within an epoch")
    batch_size: int = Field(256, ge=2, description="faces a step, over all processes and passes")
    accumulate: int = Field(1, ge=1, description="passes that a step's faces are split into, to save memory")
    optimizer: str = Field("adamw", description="any name of timm.optim.list_optimizers()")
    lr: float = Field(1e-3, gt=0, description="learning rate at its peak")
    betas: tuple[float, float] | None = Field(None, description="of Adam and its kin; None: what timm gives them")
    weight_decay: float = Field(1e-4, ge=0, description="on weights only, not on biases and norms")
    momentum: float = Field(0.9, ge=0, lt=1, description="of optimisers that have one")
    warmup: float = Field(0.1, ge=0, lt=1, description="share of the steps in which the rate rises linearly")
    milestones: tuple[tuple[Share, Positive], ...] | None = Field(
        None,
        description="in place of the cosine: [share of the steps, factor of lr] from there on, such as [[0.5, 0.1]]",
    )
    clip: float | None = Field(None, gt=0, description="largest norm of the gradient, to which a longer one shrinks")
    ema: float = Field(0, ge=0, lt=1, description="decay of the average of weights that becomes the encoder; 0: none")
    precision: Literal["no", "auto", "bf16", "fp16"] = Field(
        "no", description="mixed precision of the forward pass; auto takes what the device is fast in"
    )
    sync_bn: bool = Field(True, description="batch norm takes its statistics over all processes")
    channels_last: bool = Field(True, description="memory layout of kernels, which the activations follow")
    compile: bool = Field(False, description="torch.compile the method's forward pass")
    seed: int = Field(0, ge=0, description="source of all randomness")
    checkpoint_steps: int = Field(200, ge=1, description="steps between checkpoints")
    checkpoint_minutes: float = Field(5, gt=0, description="minutes after which a checkpoint is made before that")
    checkpoints: int = Field(2, ge=1, description="newest checkpoints that stay")
    log_steps: int = Field(10, ge=1, description="steps between rows of metrics.csv")
    trackers: tuple[Literal["tensorboard", "wandb"], ...] = Field((), description="where figures go beside metrics.csv")
    monitor: MonitorSettings = Field(default_factory=MonitorSettings, description="looks at the run")
