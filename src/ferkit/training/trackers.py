"""Where a run's figures go beside its CSV files: the experiment trackers that accelerate knows."""

from collections.abc import Callable
from pathlib import Path

from accelerate import Accelerator
from accelerate.utils import is_tensorboard_available, is_wandb_available

from ferkit.errors import TrainingError
from ferkit.training.settings import TrainSettings

_INSTALLED: dict[str, Callable[[], bool]] = {"tensorboard": is_tensorboard_available, "wandb": is_wandb_available}


def check_trackers(settings: TrainSettings) -> None:
    """Tell whether the trackers that were asked for are installed.

    Raises:
        TrainingError: one is not.
    """
    for name in settings.trackers:
        if not _INSTALLED[name]():
            raise TrainingError(
                f"the tracker {name!r} is not installed; `pip install {name}`, or leave it out of trackers"
            )


def start_trackers(accelerator: Accelerator, settings: TrainSettings, run: Path) -> None:
    """Begin the project "ferkit" in each tracker, named after the run where it takes a name, with all settings."""
    config = {name: str(value) for name, value in settings.model_dump().items()}
    named = {"wandb": {"name": run.name, "dir": str(run)}}
    accelerator.init_trackers("ferkit", config, {name: named[name] for name in settings.trackers if name in named})
