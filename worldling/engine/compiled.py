"""Compiled torch. On a CPU: bf16 (where the CPU has it), weights folded in. On a GPU: bf16 with CUDA graphs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from worldling.errors import BackendError
from worldling.world import World


def compiler() -> str | None:
    """Return the C++ compiler that torch would use on the CPU, if there is one."""
    return next((c for c in (os.environ.get("CXX"), "g++", "clang++") if c and shutil.which(c)), None)


def cpu_has_bf16() -> bool:
    """Return whether this CPU multiplies in bf16 (AVX512-BF16 or AMX); elsewhere bf16 is emulated and slow."""
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def start(world: World, quiet: bool = True) -> tuple["CompiledRunner", str]:
    """Return the runner, compiled for one row that is watched, and one phrase on what it is."""
    cuda = world.device.type == "cuda"
    if not cuda and compiler() is None:
        raise BackendError("`backend` torch must find a C++ compiler, got none. Install g++, or use reference.")
    half = cuda or cpu_has_bf16()
    runner = CompiledRunner(world, half)
    return runner, f"compiled, {'bf16' if half else 'fp32'}" + (", CUDA graphs" if cuda else "")


class Autocast(nn.Module):
    """A Tick in bf16 where that is safe: products in half, norms and softmax in full."""

    def __init__(self, tick: nn.Module, device: str) -> None:
        super().__init__()
        self.tick, self.device = tick, device

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        with torch.autocast(self.device, torch.bfloat16):
            return self.tick(*inputs)
