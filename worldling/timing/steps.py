"""Times the steps of a world: a loop that counts single steps, and the frames per second and joules that follow."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from worldling.progress import Progress
from worldling.protocol import WorldModel, WorldState
from worldling.timing.energy import EnergyMeter, open_meter

BATCHES = (1, 16)
SECONDS = 2.0  # of counted steps, for each batch
WARM_SHARE = 0.2  # of the seconds before, not counted: caches are cold and graphs are built
WARM_STEPS, LEAST_STEPS = 3, 5
ACTIONS = 64  # prepared for each row, used cyclically


@dataclass(frozen=True)
class StepTimes:
    """The counted steps of one loop.

    seconds `[n]`: of each step; joules: of all of them together, None without an energy counter.
    """

    seconds: list[float]
    joules: float | None

    def percentile_ms(self, q: float) -> float:
        """Return the `q`-th percentile of the time of a step, in milliseconds."""
        return float(np.percentile(self.seconds, q)) * 1e3


@dataclass(frozen=True)
class SpeedRow:
    """Speed at one batch size.

    batch: rows stepped together; fps_p50: frames of all rows per second, at the median step; p50_ms, p99_ms: median
    and 99th percentile of the time of a step, in milliseconds; num_steps: steps counted; joules_per_1000_frames: None
    without an energy counter.
    """

    batch: int
    fps_p50: float
    p50_ms: float
    p99_ms: float
    num_steps: int
    joules_per_1000_frames: float | None


@dataclass(frozen=True)
class WorldSpeed:
    """The speed of a world on this machine.

    energy: names of the counters that the joules come from, or "not measured"; rows: one for each batch size.
    """

    energy: list[str] | str
    rows: list[SpeedRow]


def time_steps(
    step: Callable[[int], object],
    seconds: float,
    warm_seconds: float,
    warm_steps: int = 1,
    least_steps: int = 1,
    meter: EnergyMeter | None = None,
) -> StepTimes:
    """Call `step(index)` with 0, 1, 2, ... for about `seconds`, and return the time of each counted call.

    The first calls are warm-up, not counted: at least `warm_steps`, and at least `warm_seconds` of them. At least
    `least_steps` are counted. A step on a GPU must wait for the GPU itself.
    """
    index, began = 0, time.perf_counter()
    while index < warm_steps or time.perf_counter() < began + warm_seconds:
        step(index)
        index += 1
    times: list[float] = []
    joules = meter.joules() if meter else 0.0
    began = now = time.perf_counter()
    while len(times) < least_steps or now < began + seconds:
        step(index)
        index, earlier, now = index + 1, now, time.perf_counter()
        times.append(now - earlier)
    return StepTimes(times, meter.joules() - joules if meter else None)


def time_world(
    world: WorldModel,
    frames: np.ndarray,
    actions: np.ndarray,
    batches: Sequence[int] = BATCHES,
    seconds: float | None = None,
    quiet: bool = True,
) -> WorldSpeed:
    """Time `world.step` with frames decoded, on the backend that it has.

    frames: uint8 clips to start from `[n, T, H, W, 3]`, actions between them `[n, T - 1, ...]`, taken in turn
    to fill each batch; seconds: of counted steps for each batch (None: `SECONDS`). Cost: `seconds` x 1.2 x batches.
    """
    seconds = SECONDS if seconds is None else seconds
    rows, meter = [], open_meter(world.device)
    with Progress("timing", len(batches), "batches", quiet) as progress:
        for done, batch in enumerate(batches):
            turn = np.arange(batch) % len(frames)
            state = world.start(frames[turn], actions[turn], seed=list(range(batch)))
            rng = np.random.default_rng(0)
            chosen = [np.stack([world.action_space.sample(rng) for _ in turn]) for _ in range(ACTIONS)]
            step = partial(_step, world, state, chosen)
            times = time_steps(step, seconds, WARM_SHARE * seconds, WARM_STEPS, LEAST_STEPS, meter)
            rows.append(speed_row(batch, times))
            progress.update(done + 1)
    return WorldSpeed(meter.sources if meter else "not measured", rows)


def _step(world: WorldModel, state: WorldState, actions: Sequence[np.ndarray], index: int) -> None:
    world.step(state, actions[index % len(actions)])


def speed_row(batch: int, times: StepTimes) -> SpeedRow:
    """Return the speed from the counted steps of `batch` rows."""
    p50, count = times.percentile_ms(50), len(times.seconds)
    joules = None if times.joules is None else times.joules / (count * batch) * 1000
    return SpeedRow(batch, batch / p50 * 1e3, p50, times.percentile_ms(99), count, joules)
