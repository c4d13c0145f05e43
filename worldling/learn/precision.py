"""Which precision training computes in on a device."""

from __future__ import annotations

import torch


def autocast_for(device: torch.device) -> torch.autocast:
    """Return bf16 autocast where the hardware computes in it, else a disabled one."""
    fast = device.type == "cuda" or (device.type == "cpu" and torch.cpu._is_avx512_bf16_supported())
    return torch.autocast(device.type, torch.bfloat16, enabled=fast)
