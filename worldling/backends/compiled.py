"""The backend "torch": compiled torch.

On a CPU a frame's computation is compiled ahead of time to native code (AOTInductor), with the weights folded in, in
bf16 if the CPU has it. The code is kept on disk, so that the next start needs no compiler. It has half the overhead
per frame of `torch.compile`. On a GPU: `torch.compile` in bf16 with CUDA graphs.
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

from worldling.backend import Backend, Reference
from worldling.backends import cache
from worldling.errors import BackendError
from worldling.machine import cpu_has_bf16
from worldling.progress import Progress
from worldling.tick import FlatTick, TickInputs, TickOutputs
from worldling.world import World


def compiler() -> str | None:
    """Return the C++ compiler that torch would use on the CPU, if there is one."""
    return next((c for c in (os.environ.get("CXX"), "g++", "clang++") if c and shutil.which(c)), None)


def start(world: World, why: str = "as asked", quiet: bool = True) -> Backend:
    """Return the compiled backend for `world`, which must run on the reference; why: the reason for the choice.

    Cost: a second from disk, else about half a minute of compiling. Raises `BackendError`.
    """
    if world.device.type != "cpu":
        return CompiledOnGpu(world, why)
    return CompiledOnCpu(world, cpu_has_bf16(), why, quiet)


class MixedPrecision(nn.Module):
    """A module under autocast: matrix products in bf16; norms, softmax and scores in fp32."""

    def __init__(self, module: nn.Module, device: str) -> None:
        super().__init__()
        self.module, self.device = module, device

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        with torch.autocast(self.device, torch.bfloat16):
            return self.module(*inputs)


class CompiledOnCpu(Reference):
    """A `Backend` of native code, compiled for batch size 1 at once and for other sizes when first needed.

    Encoding, decoding and remembering real frames stay eager: compiling them would take half a minute per batch size.
    `like` returns the reference.
    """

    name = "torch"

    def __init__(self, world: World, half: bool, why: str = "as asked", quiet: bool = True) -> None:
        super().__init__(world, why)
        self.world, self.half, self.quiet, self.origin = world, half, quiet, ""
        self.memory_dtype = torch.bfloat16 if half else torch.float32
        self._calls: dict[tuple[int, bool], Callable[..., Sequence[Tensor]]] = {}
        self.prepare(1, decode=True)
        self.reason = f"{why}; {'bf16' if half else 'fp32, since this CPU has no bf16'}, {self.origin}"

    def tick(self, inputs: TickInputs, decode: bool) -> TickOutputs:
        """Make the next frame, as in `Backend.tick`."""
        memory = [
            t.to(self.memory_dtype).contiguous() for t in inputs.memory
        ]  # no copy for states started on this backend
        call = self.prepare(inputs.batch, decode)
        return TickOutputs.from_flat(call(*(t.contiguous() for t in inputs.small), *memory), decode)

    def prepare(self, batch: int, decode: bool) -> Callable[..., Sequence[Tensor]]:
        """Return the code for `batch` rows, from the cache or compiled now."""
        if (batch, decode) not in self._calls:
            self._calls[batch, decode] = self._load(batch, decode)
        return self._calls[batch, decode]

    def _load(self, batch: int, decode: bool) -> Callable[..., Sequence[Tensor]]:
        from torch._inductor import aoti_load_package

        key = cache.fingerprint(self.world, torch.__version__, _cpu())
        file = f"torch-{key}-{torch.get_num_threads()}-{batch}-{'frames' if decode else 'latents'}.pt2"
        found = cache.find(self.world, file)
        if found.path is None:
            found = cache.keep(self.world, file, lambda path: self._build(batch, decode, path), found.origin)
        self.origin = self.origin or found.origin
        if found.path is not None:
            return aoti_load_package(str(found.path))
        with tempfile.TemporaryDirectory() as temporary:  # of mode 0700
            path = Path(temporary) / file
            self._build(batch, decode, path)
            return aoti_load_package(str(path))

    def _build(self, batch: int, decode: bool, path: Path) -> None:
        from torch._inductor import aoti_compile_and_package

        if compiler() is None:
            raise BackendError(
                "`backend` torch must find a C++ compiler, got none. Install g++, or use --backend reference."
            )
        tick = FlatTick(self.ticks[decode])
        state = self.world.empty_state(batch, self.memory_dtype)
        example = self.world.inputs(state, torch.zeros(batch, self.world.action_space.size)).flat()
        with torch.no_grad(), Progress(f"compiling for {batch} rows", 2, "steps", self.quiet) as progress:
            program = torch.export.export(MixedPrecision(tick, "cpu") if self.half else tick, example)
            progress.update(1)
            aoti_compile_and_package(program, package_path=str(path), inductor_configs={"freezing": True})
            progress.update(2)


class CompiledOnGpu(Reference):
    """A `Backend` that replays CUDA graphs, captured for each batch size when first used.

    Encoding, decoding and remembering real frames stay eager. `like` returns the reference.
    """

    name, memory_dtype = "torch", torch.bfloat16

    def __init__(self, world: World, why: str = "as asked") -> None:
        super().__init__(world, f"{why}; compiled, bf16, CUDA graphs")
        self._compiled = {
            decode: torch.compile(
                MixedPrecision(FlatTick(tick), world.device.type), mode="reduce-overhead", fullgraph=True, dynamic=False
            )
            for decode, tick in self.ticks.items()
        }

    def tick(self, inputs: TickInputs, decode: bool) -> TickOutputs:
        """Make the next frame, as in `Backend.tick`."""
        torch.compiler.cudagraph_mark_step_begin()
        with torch._dynamo.config.patch(recompile_limit=256):  # a graph for each batch size is intended
            made = TickOutputs.from_flat(self._compiled[decode](*inputs.flat()), decode)
        # the caller keeps latent and frame: copy them out of the graph's buffers
        return made._replace(latent=made.latent.clone(), frame=None if made.frame is None else made.frame.clone())


def _cpu() -> str:
    """Return a hash of this CPU's instruction set, on which native code depends."""
    info = Path("/proc/cpuinfo")
    flags = next((s for s in info.read_text().splitlines() if s.startswith("flags")), "") if info.exists() else ""
    return hashlib.blake2b(f"{platform.machine()} {flags}".encode(), digest_size=4).hexdigest()
