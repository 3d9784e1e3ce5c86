"""How long, how fast and with what a run trains."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["TrainSettings"]


class TrainSettings(BaseModel):
    """Settings of the loop; the defaults are ferkit's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    epochs: float = Field(50, gt=0, description="passes over the faces; a fraction stops within an epoch")
    batch_size: int = Field(256, ge=2, description="faces a step, over all processes")
    optimizer: str = Field("adamw", description="any name of timm.optim.list_optimizers()")
    lr: float = Field(1e-3, gt=0, description="learning rate at its peak")
    weight_decay: float = Field(1e-4, ge=0, description="on weights only, not on biases and norms")
    momentum: float = Field(0.9, ge=0, lt=1, description="of optimisers that have one")
    warmup: float = Field(0.1, ge=0, lt=1, description="share of the steps in which the rate rises linearly")
    precision: Literal["no", "bf16", "fp16"] = Field("no", description="mixed precision of the forward pass")
    seed: int = Field(0, ge=0, description="source of all randomness")
    checkpoint_steps: int = Field(200, ge=1, description="steps between checkpoints")
    log_steps: int = Field(10, ge=1, description="steps between rows of metrics.csv")
