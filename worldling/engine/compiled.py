"""Compiled torch.

On a CPU one frame becomes a package of native code, ahead of time (AOTInductor): weights are folded in, in
bf16 where the CPU has it, and the package is kept on disk, so that the next start needs no compiler. It
also spends half the overhead per frame of `torch.compile`. On a GPU: `torch.compile` in bf16 with CUDA graphs.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from worldling.engine import cache
from worldling.errors import BackendError
from worldling.machine import cpu_has_bf16
from worldling.progress import Progress
from worldling.world import Runner, World


def compiler() -> str | None:
    """Return the C++ compiler that torch would use on the CPU, if there is one."""
    return next((c for c in (os.environ.get("CXX"), "g++", "clang++") if c and shutil.which(c)), None)


def start(world: World, quiet: bool = True) -> tuple[Runner, str]:
    """Return a runner that is ready for one watched row, and one phrase on how it came about.

    Cost: a second from disk, else about half a minute of compiling. Raises `BackendError`.
    """
    if world.device.type != "cpu":
        return CudaRunner(world), "compiled, bf16, CUDA graphs"
    runner = PackageRunner(world, half=cpu_has_bf16(), quiet=quiet)
    runner.prepare(1, watch=True)
    return runner, f"{'bf16' if runner.half else 'fp32, since this CPU has no bf16'}, {runner.how}"


class Mixed(nn.Module):
    """A Tick whose products run in bf16; norms, softmax and scores stay in fp32."""

    def __init__(self, tick: nn.Module, device: str) -> None:
        super().__init__()
        self.tick, self.device = tick, device

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        with torch.autocast(self.device, torch.bfloat16):
            return self.tick(*inputs)


class PackageRunner:
    """A `Runner` over packages of native code, one for each batch size, built when first asked for."""

    def __init__(self, world: World, half: bool, quiet: bool = True) -> None:
        self.world, self.half, self.quiet, self.how = world, half, quiet, ""
        self.memory_dtype = torch.bfloat16 if half else torch.float32
        self._calls: dict[tuple[int, bool], Callable[..., Sequence[Tensor]]] = {}

    def __call__(self, inputs: Sequence[Tensor], watch: bool) -> Sequence[Tensor]:
        small = self.world.small_inputs
        memory = [
            t.to(self.memory_dtype).contiguous() for t in inputs[small:]
        ]  # no copy for states made for this runner
        return self.prepare(len(inputs[0]), watch)(*(t.contiguous() for t in inputs[:small]), *memory)

    def prepare(self, batch: int, watch: bool) -> Callable[..., Sequence[Tensor]]:
        """Return the code for `batch` rows, compiling it if it is on no disk."""
        if (batch, watch) not in self._calls:
            self._calls[batch, watch] = self._load(batch, watch)
        return self._calls[batch, watch]

    def _load(self, batch: int, watch: bool) -> Callable[..., Sequence[Tensor]]:
        from torch._inductor import aoti_load_package

        key = cache.fingerprint(self.world, torch.__version__, _cpu())
        file = f"torch-{key}-{torch.get_num_threads()}-{batch}-{'frames' if watch else 'latents'}.pt2"
        path = cache.find(self.world, file)
        if path is not None:
            self.how = self.how or "built before"
            return aoti_load_package(str(path))
        folder = cache.place(self.world)
        with tempfile.TemporaryDirectory(dir=folder) as temporary:
            built = self._build(batch, watch, Path(temporary) / file)
            if folder is None:
                self.how = self.how or "built now, not kept"
                return aoti_load_package(str(built))
            os.replace(built, folder / file)
            cache.forget_older(folder, file)
        self.how = self.how or f"built now, kept in {folder}"
        return aoti_load_package(str(folder / file))

    def _build(self, batch: int, watch: bool, path: Path) -> Path:
        from torch._inductor import aoti_compile_and_package

        if compiler() is None:
            raise BackendError("`backend` torch must find a C++ compiler, got none. Install g++, or use reference.")
        tick = self.world.tick(watch)
        state = self.world.blank(batch, self.memory_dtype)
        example = self.world.inputs(state, torch.zeros(batch, self.world.action_space.size))
        with torch.no_grad(), Progress(f"compiling for {batch} rows", 2, "steps", self.quiet) as progress:
            program = torch.export.export(Mixed(tick, "cpu") if self.half else tick, example)
            progress.update(1)
            aoti_compile_and_package(program, package_path=str(path), inductor_configs={"freezing": True})
            progress.update(2)
        return path


class CudaRunner:
    """A `Runner` that replays CUDA graphs, one for each batch size, captured when first asked for."""

    def __init__(self, world: World) -> None:
        self.memory_dtype = torch.bfloat16
        self._ticks = {
            watch: torch.compile(
                Mixed(world.tick(watch), world.device.type), mode="reduce-overhead", fullgraph=True, dynamic=False
            )
            for watch in (True, False)
        }

    def __call__(self, inputs: Sequence[Tensor], watch: bool) -> Sequence[Tensor]:
        torch.compiler.cudagraph_mark_step_begin()
        with torch._dynamo.config.patch(recompile_limit=256):  # a graph for each batch size is what we want
            made = self._ticks[watch](*inputs)
        given = 1 + watch  # latent and frame are kept by our caller: off the graph's own buffers
        return [t.clone() if i < given else t for i, t in enumerate(made)]


def _cpu() -> str:
    """Return what native code depends on: the instructions this CPU has."""
    info = Path("/proc/cpuinfo")
    flags = next((s for s in info.read_text().splitlines() if s.startswith("flags")), "") if info.exists() else ""
    return hashlib.blake2b(f"{platform.machine()} {flags}".encode(), digest_size=4).hexdigest()
