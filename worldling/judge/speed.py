"""The speed suite: frames per second of the judged world, alone and in a batch, by a short loop around `step`.

`worldling bench` compares backends with each other; this times the one that was judged, as it stands.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from worldling.judge.case import Case
from worldling.judge.energy import open_meter
from worldling.judge.report import Section, Table, Text, show
from worldling.machine import cpu_name
from worldling.progress import Progress
from worldling.protocol import WorldModel

BATCHES = (1, 16)
SECONDS = 2.0  # of counted steps, for each batch
WARM_SHARE = 0.2  # of the seconds before, not counted: caches are cold and graphs are built
WARM_STEPS, LEAST_STEPS = 3, 5
ACTIONS = 64  # prepared for each row, used in a circle


def run(case: Case) -> Section:
    """Time the world; all figures depend on the machine and the moment, so all lie in the section's timing.

    Cost: a few seconds.
    """
    timing = time_world(case.world, *case.beginnings(max(BATCHES)), quiet=case.quiet)
    rows = timing["rows"]
    cells = [
        [
            f"batch of {r['batch']}",
            show(r["fps_p50"]),
            show(r["p50_ms"]),
            show(r["p99_ms"]),
            str(r["num_steps"]),
            _joules(r),
        ]
        for r in rows
    ]
    blocks = [
        Text(
            f"Action in, picture out, on {timing['device']}, {timing['cores']} cores, by the backend "
            f"{case.world.backend.name}. Other work on the machine shows here."
        ),
        Table(
            "Speed",
            ["", "frames/s, at the median step", "p50, ms", "p99, ms", "steps", "joules per 1,000 frames"],
            cells,
        ),
    ]
    headlines = [("Frames a second, one session", show(rows[0]["fps_p50"]), f"{case.fps:g} are needed for real time")]
    return Section("Speed: how soon is the next frame there?", {"batches": BATCHES}, timing, headlines, blocks)


def time_world(
    world: WorldModel,
    frames: np.ndarray,
    actions: np.ndarray,
    batches: Sequence[int] = BATCHES,
    seconds: float | None = None,
    quiet: bool = True,
) -> dict[str, Any]:
    """Time `world.step` with pictures; returns `{device, cores, threads, energy, rows}`, ready for json.

    frames: uint8 clips to start from `[n, T, H, W, 3]`, actions between them `[n, T - 1, ...]`, taken in turn
    to fill each batch; seconds: of counted steps for each batch (None: `SECONDS`). energy: what counted the joules.
    Row: batch, fps_p50 (frames of all rows a second, at the median step), p50_ms, p99_ms, num_steps,
    joules_per_1000_frames (None where nothing counts them). Cost: `seconds` x 1.2 x batches.
    """
    seconds = SECONDS if seconds is None else seconds
    rows, device = [], world.device
    meter = open_meter(device)
    with Progress("timing", len(batches), "batches", quiet) as progress:
        for done, batch in enumerate(batches):
            turn = np.arange(batch) % len(frames)
            state = world.start(frames[turn], actions[turn], seed=list(range(batch)))
            rng = np.random.default_rng(0)
            chosen = [np.stack([world.action_space.sample(rng) for _ in turn]) for _ in range(ACTIONS)]
            times, joules = _steps(world, state, chosen, seconds, meter)
            p50, p99 = (float(np.percentile(times, q)) for q in (50, 99))
            rows.append(
                {
                    "batch": batch,
                    "fps_p50": batch / p50,
                    "p50_ms": p50 * 1e3,
                    "p99_ms": p99 * 1e3,
                    "num_steps": len(times),
                    "joules_per_1000_frames": None if joules is None else joules / (len(times) * batch) * 1000,
                }
            )
            progress.update(done + 1)
    return {**hardware(device), "energy": meter.sources if meter else "not measured", "rows": rows}


def hardware(device: Any = None) -> dict[str, Any]:
    """Return what computes on a torch `device` (None is the CPU): its name, the machine's cores, and torch's threads."""
    import torch

    gpu = getattr(device, "type", "cpu") == "cuda"
    name = torch.cuda.get_device_name(device) if gpu else cpu_name()
    return {"device": name, "cores": os.cpu_count(), "threads": torch.get_num_threads()}


def _steps(
    world: WorldModel, state: Any, actions: list[np.ndarray], seconds: float, meter: Any
) -> tuple[list[float], float | None]:
    """Step until `seconds` are counted; returns the seconds of each counted step, and the joules of all of them."""
    index, times, began = 0, [], time.perf_counter()
    while index < WARM_STEPS or time.perf_counter() < began + WARM_SHARE * seconds:
        world.step(state, actions[index % ACTIONS])
        index += 1
    before = meter.joules() if meter else 0.0
    began = now = time.perf_counter()
    while len(times) < LEAST_STEPS or now < began + seconds:
        world.step(state, actions[index % ACTIONS])
        index, earlier, now = index + 1, now, time.perf_counter()
        times.append(now - earlier)
    return times, meter.joules() - before if meter else None


def _joules(row: dict[str, Any]) -> str:
    joules = row["joules_per_1000_frames"]
    return "not measured" if joules is None else show(joules)
