"""Which precision training computes in on a device."""

from __future__ import annotations

import torch

from worldling.machine import cpu_has_bf16


def autocast_for(device: torch.device) -> torch.autocast:
    """Return bf16 autocast where the hardware computes in it, else a disabled one."""
    fast = device.type == "cuda" or (device.type == "cpu" and cpu_has_bf16())
    return torch.autocast(device.type, torch.bfloat16, enabled=fast)
