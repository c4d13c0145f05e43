"""Query and tune the hardware: CPU name, bf16 support, device, memory allocator."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import platform
import threading
from dataclasses import dataclass
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


def cpu_has_bf16() -> bool:
    """Return whether this CPU multiplies in bf16 (AVX512-BF16 or AMX); elsewhere bf16 is emulated and slow."""
    import torch

    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def cpu_has_int8() -> bool:
    """Return whether this CPU has instructions for products of int8 (VNNI); without, int8 is slower than fp32.

    True for other kinds of CPU than x86, of which nothing is known.
    """
    import torch

    if platform.machine().lower() not in ("x86_64", "amd64"):
        return True
    flags = Path("/proc/cpuinfo")  # torch asks for the kind of AVX-512 only
    return torch.cpu._is_vnni_supported() or (flags.exists() and " avx_vnni" in flags.read_text())


@dataclass(frozen=True)
class Hardware:
    """What computes. device: its name; cores: of the machine, None if not known; threads: of torch."""

    device: str
    cores: int | None
    threads: int


def hardware(device: torch.device | None = None) -> Hardware:
    """Return what computes on a torch `device` (None is the CPU)."""
    import torch

    gpu = getattr(device, "type", "cpu") == "cuda"
    name = torch.cuda.get_device_name(device) if gpu else cpu_name()
    return Hardware(name, os.cpu_count(), torch.get_num_threads())


def end_with_parent() -> None:
    """Let this worker process end as soon as the process that started it is gone, even if that was killed.

    Whatever the worker was at is lost, as it is for a process that is killed itself.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def follow() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, name="end with parent", daemon=True).start()


def wait_briefly() -> None:
    """Let OpenMP's threads spin only briefly while they wait for each other; without effect once torch is loaded.

    A training has some hundred such waits a step. Where other programs run too, a thread that spins for long keeps the
    core that the one it waits for could have; where none does, a thread that sleeps at once wakes late. A thousand
    turns cost a few percent on a quiet machine (docs/decisions.md). What the user set stays.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")


def keep_memory() -> None:
    """Tell glibc to return memory freed so far to the system, and to keep what is freed from now on.

    A training step allocates the same large arrays again and again. Getting them from the system each time, page by
    page, takes a fifth of the step. Gigabytes left over from reading data cost as much again (docs/lab.md).
    """
    try:
        libc = ctypes.CDLL("libc.so.6")
    except OSError:
        return
    libc.malloc_trim(0)
    libc.mallopt(-4, 0)  # M_MMAP_MAX: no mmap for large arrays
    libc.mallopt(-1, -1)  # M_TRIM_THRESHOLD: nothing is returned


def find_device(name: str) -> torch.device:
    """Return the device of that name; "auto" is cuda if available. Raises `BackendError` if it is not available."""
    import torch

    there = torch.cuda.is_available()
    if name == "auto":
        return torch.device("cuda" if there else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda") or (device.type == "cuda" and not there):
        raise BackendError(f"`device` must be auto, cpu or an available cuda device, got {name!r}. Use auto.")
    return device
