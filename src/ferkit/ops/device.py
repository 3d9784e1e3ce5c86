"""Where tensors are computed."""

import torch

from ferkit.errors import InputError


def pick_device(wanted: str | None) -> torch.device:
    """Return the device of this name, or the best one present.

    Args:
        wanted: ``cpu``, ``cuda``, ``cuda:1``, ``mps``, …; None for the accelerator if there is one, else the CPU.

    Raises:
        InputError: there is no such device here.
    """
    if wanted is None:
        return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    try:
        return torch.empty(0, device=wanted).device
    except (RuntimeError, AssertionError, NotImplementedError) as error:  # torch raises each of them for some name
        raise InputError(f"the device {wanted!r} cannot be used here; try cpu, or leave the device out") from error
