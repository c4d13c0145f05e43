"""Benchmark every backend against the eager fp32 reference: speed, memory, error.

One measurement is one `World.step`: raw action in, uint8 frame out (or, in rows of kind "latents", the
latent only). All cases are timed in short turns, round robin, so that other load or a throttling chip affects them
alike. The first tenth of a second of a turn is not counted.
"""

from __future__ import annotations

import copy
import importlib.util
import os
import platform
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch

from worldling.backends.calibrate import rollout_actions
from worldling.backends.choose import BACKENDS, DELTA, bound, choose, use_backend
from worldling.backends.compiled import compiler
from worldling.backends.deviation import Deviation, deviation
from worldling.errors import BackendError
from worldling.frame_error import PSNR_LIMIT_DB
from worldling.machine import cpu_name
from worldling.progress import Progress
from worldling.state import State
from worldling.timing.steps import SpeedRow, time_steps
from worldling.world import World

TURN_S = 0.5  # length of one case's turn
WARM_S = 0.1  # warm-up of a turn: caches are cold, and threads of the case before still spin
ACTIONS = 64  # actions prepared for each case, used cyclically


@dataclass(frozen=True)
class Speed(SpeedRow):
    """How fast a world is at a batch size; memory_mb: resident memory added by weights, graph and state."""

    memory_mb: float


@dataclass
class Case:
    """One row of the result: a backend at a batch size, with its own state; hold: frames that an action is kept for."""

    world: World
    state: State
    actions: np.ndarray
    decode: bool
    memory_mb: float
    hold: int = 1
    times: list[float] = field(default_factory=list)

    def speed(self, batch: int) -> Speed:
        """Return what was timed, for `batch` rows."""
        p50, p99 = (float(np.percentile(self.times, q)) for q in (50, 99))
        return Speed(batch, batch / p50, p50 * 1e3, p99 * 1e3, len(self.times), None, self.memory_mb)

    def step(self, index: int) -> None:
        """Make one frame for every row."""
        self.world.step(self.state, self.actions[index // self.hold % ACTIONS], self.decode)
        if self.world.device.type == "cuda" and not self.decode:
            torch.cuda.synchronize()

    def turn(self, seconds: float) -> None:
        """Step for about `seconds`, and keep the times of all but the first steps."""
        warm = min(WARM_S, seconds / 5)
        self.times += time_steps(self.step, seconds - warm, warm).seconds


def bench(
    world: World,
    backends: Sequence[str] | None = None,
    batches: Sequence[int] = (1, 8, 64),
    seconds: float = 3.0,
    latents: bool = True,
    steps: int = 256,
    starts: int = 4,
    quiet: bool = True,
    hold: int = 1,
) -> dict[str, Any]:
    """Measure `world`; returns `{machine, versions, commit, world, rows}` as json values.

    backends: names (None: all that this machine can start); the reference is always included. batches: batch sizes;
    latents: also the largest batch without decoding. seconds: of timing per row.
    steps, starts: length and number of the roll-outs that measure `err` and `err_free` (at batch 1, see deviation.py).
    hold: frames that each action is kept for while speed is measured; with many the picture comes to rest in between.
    Row: backend, kind, size_px, batch, fps_p50 (frames of all rows a second, at the median step), p50_ms,
    p99_ms, num_steps, memory_mb (resident memory added: weights, graph, state), start_s, err, bound, err_free,
    ratio_to_reference (of fps_p50 at the same batch and kind). Raises `BackendError`.
    """
    if not world.contexts:
        raise BackendError("`world.contexts` must hold a clip to start from, got none. Train the world again.")
    if min(batches, default=0) < 1 or steps < 1 or seconds <= 0 or hold < 1:
        got = f"{list(batches)}, {steps}, {seconds} and {hold}"
        raise BackendError(
            f"`batches`, `steps`, `seconds` and `hold` must be above 0, got {got}. Use 1,8 and 256 and 6 and 1."
        )
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    asked = [_named(world, name) for name in (backends or available(world))]
    names = list(dict.fromkeys(["reference", *asked]))
    kinds = [("frames", batch) for batch in batches] + ([("latents", max(batches))] if latents else [])
    worlds, cases, start_s = {}, {}, {}
    with Progress("building backends", len(names) * len(kinds), "cases", quiet) as progress:
        for name in names:
            began = time.perf_counter()
            worlds[name], base = _started(partial(use_backend, copy.copy(world), name, quiet=True))
            start_s[name] = time.perf_counter() - began
            for kind, batch in kinds:
                cases[name, kind, batch] = _case(worlds[name], batch, kind == "frames", base, hold)
                progress.update(len(cases), name)
    others = {name: w.backend for name, w in worlds.items() if name != "reference"}
    deviations = {"reference": Deviation(0.0, PSNR_LIMIT_DB), **deviation(world, others, steps, starts, quiet)}
    _take_turns(list(cases.values()), seconds, quiet)
    rows = []
    for (name, kind, batch), case in cases.items():
        speed, against = case.speed(batch), cases["reference", kind, batch].speed(batch)
        rows.append(
            {
                "backend": name,
                "kind": kind,
                "size_px": world.size_px,
                "batch": batch,
                "fps_p50": speed.fps_p50,
                "p50_ms": speed.p50_ms,
                "p99_ms": speed.p99_ms,
                "num_steps": speed.num_steps,
                "memory_mb": speed.memory_mb,
                "start_s": start_s[name],
                "err": deviations[name].err,
                "err_free": deviations[name].err_free,
                "bound": bound(name),
                "ratio_to_reference": against.p50_ms / speed.p50_ms,
            }
        )
    about = {"name": world.config.name, "size": world.config.size, "parameters": num_parameters(world)}
    return {"machine": machine(world, load), "versions": versions(), "commit": commit(), "world": about, "rows": rows}


def measure_speed(
    makers: Mapping[str, Callable[[], World]], batches: Sequence[int], seconds: float = 3.0, quiet: bool = True
) -> dict[str, dict[int, Speed]]:
    """Measure worlds on the backends that they are made with, all in turns: their speeds by name and batch size.

    makers: by name; seconds: of timing per world and batch size. Frames are decoded.
    """
    cases: dict[tuple[str, int], Case] = {}
    for name, make in makers.items():
        world, base = _started(make)
        cases |= {(name, batch): _case(world, batch, True, base) for batch in batches}
    _take_turns(list(cases.values()), seconds, quiet)
    return {name: {batch: cases[name, batch].speed(batch) for batch in batches} for name in makers}


def _started(make: Callable[[], World]) -> tuple[World, float]:
    """Return what `make` returns, and the resident memory that its backend takes, in MB."""
    before = {kind: _resident_mb(kind) for kind in ("cpu", "cuda")}
    world = make()
    kind = world.device.type
    return world, _weights_mb(world) if world.backend.name == "reference" else _resident_mb(kind) - before[kind]


def _take_turns(cases: Sequence[Case], seconds: float, quiet: bool) -> None:
    """Time all cases, `seconds` each, in short turns."""
    with Progress("measuring", seconds * len(cases), "s", quiet) as progress:
        for turn in range(max(1, round(seconds / TURN_S))):
            for place, case in enumerate(cases):
                case.turn(min(TURN_S, seconds))
                progress.update((turn * len(cases) + place + 1) * min(TURN_S, seconds))


def _named(world: World, name: str) -> str:
    """Return a backend's name with "auto" replaced by the one that would be chosen."""
    kind, delta, threshold = name.partition(DELTA)
    return (choose(world)[0] if kind == "auto" else kind) + delta + threshold


def available(world: World) -> list[str]:
    """Return the backends that can be started here."""
    if world.device.type != "cpu":
        return ["reference", "torch"]
    names = ["reference"] + (["torch"] if compiler() is not None else [])
    if importlib.util.find_spec("openvino") is not None:
        names += ["openvino-bf16"] + (["openvino-int8"] if importlib.util.find_spec("nncf") is not None else [])
    return [n for n in BACKENDS if n in names]


def table(result: dict[str, Any]) -> str:
    """Format the rows of a result as a text table."""
    lines = [
        f"{'backend':14} {'kind':8} {'batch':>5} {'frames/s':>9} {'p50 ms':>8} {'p99 ms':>8} {'x ref':>6} "
        f"{'MB':>6} {'err':>8} {'free dB':>7}"
    ]
    for r in result["rows"]:
        memory = f"{r['memory_mb']:6.0f}" if r["memory_mb"] is not None else "     -"
        lines.append(
            f"{r['backend']:14} {r['kind']:8} {r['batch']:5d} {r['fps_p50']:9,.0f} {r['p50_ms']:8.2f} "
            f"{r['p99_ms']:8.2f} {r['ratio_to_reference']:6.2f} {memory} {r['err']:8.1e} {r['err_free']:7.1f}"
        )
    return "\n".join(lines)


def machine(world: World, load: float | None = None) -> dict[str, Any]:
    """Describe the machine; load: load average just before, to judge the figures by."""
    gpu = torch.cuda.get_device_name(world.device) if world.device.type == "cuda" else None
    return {
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": gpu,
        "os": platform.system(),
        "load": load,
    }


def versions() -> dict[str, str]:
    """Return the versions of the packages that decide speed."""
    names = ("worldling", "torch", "numpy", "openvino", "nncf")
    found = {"python": platform.python_version()}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def commit() -> str | None:
    """Return the git commit of this package, with "+" if files were changed; None outside a checkout."""

    def git(*words: str) -> str:
        here = Path(__file__).parent
        return subprocess.run(["git", *words], cwd=here, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return git("rev-parse", "--short=12", "HEAD") + ("+" if git("status", "--porcelain", ".") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _case(world: World, batch: int, decode: bool, base_mb: float, hold: int = 1) -> Case:
    resident, count = _resident_mb(world.device.type), world.config.context
    clips = [world.contexts[i % len(world.contexts)] for i in range(batch)]
    frames, actions = np.stack([c.frames[:count] for c in clips]), np.stack([c.actions[: count - 1] for c in clips])
    if batch == 1:
        frames, actions = frames[0], actions[0]
    state = world.start(frames, actions)
    chosen = rollout_actions(world, batch, ACTIONS, np.random.default_rng(2)).swapaxes(0, 1)
    case = Case(world, state, chosen[:, 0] if batch == 1 else chosen, decode, 0.0, hold)
    for index in range(3):
        case.step(index)
    case.memory_mb = base_mb + _resident_mb(world.device.type) - resident
    return case


def _resident_mb(kind: str) -> float:
    """Return the memory that this process holds on devices of a kind, "cpu" or "cuda"."""
    if kind == "cuda":
        return torch.cuda.memory_allocated() / 1e6 if torch.cuda.is_available() else 0.0
    status = Path("/proc/self/statm")
    return int(status.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6 if status.exists() else 0.0


def _weights_mb(world: World) -> float:
    return 4 * num_parameters(world) / 1e6


def num_parameters(world: World) -> int:
    """Return the number of weights in tokenizer and dynamics."""
    return sum(p.numel() for m in (world.tokenizer, world.dynamics) for p in m.parameters())
