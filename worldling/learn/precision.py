"""Which precision training computes in on a device."""

from __future__ import annotations

import torch

from worldling.machine import cpu_has_bf16


def autocast_dtype(device: torch.device) -> torch.dtype:
    """Return bf16 where the hardware multiplies in it, else fp32: on a CPU without it, it is emulated and slow."""
    fast = device.type == "cuda" or (device.type == "cpu" and cpu_has_bf16())
    return torch.bfloat16 if fast else torch.float32


def autocast_for(device: torch.device) -> torch.autocast:
    """Return bf16 autocast where the hardware computes in it, else a disabled one."""
    return torch.autocast(device.type, torch.bfloat16, enabled=autocast_dtype(device) is torch.bfloat16)
