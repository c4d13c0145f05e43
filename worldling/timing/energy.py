"""Joules that the hardware itself counts: CPU packages (RAPL) and NVIDIA GPUs (NVML). No counter, no number.

A CPU counter counts the whole package, with whatever else runs on it, and nothing of memory, disks and fans.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

POWERCAP = Path("/sys/class/powercap")
# The driver's own library; its counter is there since Volta.
NVML = "libnvidia-ml.so.1"


class EnergyMeter:
    """Counts joules since it was made. counters: name -> (joules so far, and the joules at which it starts again)."""

    def __init__(self, counters: dict[str, tuple[Callable[[], float], float]]) -> None:
        self.sources = sorted(counters)
        self._counters = counters
        self._last = {name: read() for name, (read, _) in counters.items()}
        self._joules = 0.0

    def joules(self) -> float:
        """Return joules since this meter was made. Call it at least once in a few minutes: counters start again."""
        for name, (read, wraps_at) in self._counters.items():
            now = read()
            passed = now - self._last[name]
            self._joules += passed if passed >= 0 else passed + wraps_at
            self._last[name] = now
        return self._joules


def open_meter(device: Any = None, powercap: Path = POWERCAP) -> EnergyMeter | None:
    """Return a meter of what computes on `device` (a torch device; None is the CPU), or None if it cannot be read.

    On a GPU: the GPU, and the CPU packages too where they can be read. powercap: where Linux shows RAPL; most
    distributions let only root read it, and most rented machines show none.
    """
    counters = _packages(powercap)
    if getattr(device, "type", "cpu") == "cuda":
        gpu = _gpu(device)
        if gpu is None:
            return None
        counters |= {"gpu": gpu}
    return EnergyMeter(counters) if counters else None


def _packages(powercap: Path) -> dict[str, tuple[Callable[[], float], float]]:
    """Find the counters of whole packages (their parts lie inside them), those that can be read."""
    found: dict[str, tuple[Callable[[], float], float]] = {}
    for zone in sorted(powercap.glob("intel-rapl:*")):  # AMD's bear the same name
        try:
            name = (zone / "name").read_text().strip()
            wraps_at = int((zone / "max_energy_range_uj").read_text()) / 1e6
            (zone / "energy_uj").read_text()
        except OSError:  # not for us to read: no counter
            continue
        if name.startswith("package"):
            found[name] = (partial(_joules_in, zone / "energy_uj"), wraps_at)
    return found


def _joules_in(file: Path) -> float:
    return int(file.read_text()) / 1e6


def _gpu(device: Any) -> tuple[Callable[[], float], float] | None:
    import torch

    try:
        library = ctypes.CDLL(NVML)
    except OSError:  # no driver's library: no counter
        return None
    uuid = f"GPU-{torch.cuda.get_device_properties(device).uuid}"
    return nvml_counter(library, uuid)


def nvml_counter(library: Any, uuid: str) -> tuple[Callable[[], float], float] | None:
    """Return the joule counter of the GPU `uuid` in NVML's `library`, or None if it has none. Never starts again."""
    handle, millijoules = ctypes.c_void_p(), ctypes.c_ulonglong()

    def read() -> float:
        library.nvmlDeviceGetTotalEnergyConsumption(handle, ctypes.byref(millijoules))
        return millijoules.value / 1000

    there = (
        library.nvmlInit_v2() == 0
        and library.nvmlDeviceGetHandleByUUID(uuid.encode(), ctypes.byref(handle)) == 0
        and library.nvmlDeviceGetTotalEnergyConsumption(handle, ctypes.byref(millijoules)) == 0
    )
    return (read, float("inf")) if there else None
