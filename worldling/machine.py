"""Which hardware there is, and what it calls itself."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import TYPE_CHECKING

from worldling.errors import BackendError

if TYPE_CHECKING:
    import torch


def cpu_name() -> str:
    """Return the model of the CPU, such as "AMD EPYC 9R14"."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    named = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


def find_device(name: str) -> "torch.device":
    """Return the device of that name; "auto" is cuda if there is one. Raises `BackendError` if it is not there."""
    import torch

    there = torch.cuda.is_available()
    if name == "auto":
        return torch.device("cuda" if there else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda") or (device.type == "cuda" and not there):
        raise BackendError(f"`device` must be auto, cpu or a cuda device that is there, got {name!r}. Use auto.")
    return device
