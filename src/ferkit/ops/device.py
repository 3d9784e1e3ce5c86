"""Where tensors are computed."""

import torch

from ferkit.errors import InputError


def pick_device(name: str | None) -> torch.device:
    """Return the device of this name, or the best one present.

    Args:
        name: ``cpu``, ``cuda``, ``cuda:1``, ``mps``, …; None for the accelerator if there is one, else the CPU.

    Raises:
        InputError: there is no such device here.
    """
    if name is None:
        return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError, NotImplementedError) as error:  # torch raises each of them for some name
        raise InputError(f"the device {name!r} cannot be used here; try cpu, or leave the device out") from error
