"""Which mixed precision a device is fast in."""

import torch


def fast_precision(device: torch.device) -> str:
    """What ``precision=auto`` stands for on a device.

    Returns:
        ``bf16`` on GPUs and CPUs that multiply it in hardware (CPUs: AMX), ``fp16`` on other CUDA GPUs, else ``no``.
    """
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    abilities: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()  # torch 2.11 and newer say so
    return "bf16" if device.type == "cpu" and abilities.get("amx_bf16") else "no"
