"""The speed suite: frames per second of the judged world, alone and in a batch, on the backend that it has.

`worldling bench` compares backends with each other; this times the one that was judged, as it stands.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

from worldling.judge.case import Case
from worldling.judge.results import SuiteResult
from worldling.machine import Hardware, hardware
from worldling.report.values import HIDDEN
from worldling.timing.steps import BATCHES, SpeedRow


@dataclass(frozen=True)
class SpeedTiming(Hardware):
    """The speed on this machine.

    energy: names of the counters that the joules come from, or "not measured"; rows: one for each batch size.
    """

    energy: list[str] | str
    rows: list[SpeedRow]


@dataclass(frozen=True, kw_only=True)
class SpeedResult(SuiteResult):
    """How fast the world is; all figures depend on the machine and the moment, so all are timing.

    batches: rows stepped together; backend: its name; fps: frames per second of real time.
    """

    batches: tuple[int, ...]
    timing: SpeedTiming = field(metadata=HIDDEN)
    backend: str = field(metadata=HIDDEN)
    fps: float = field(metadata=HIDDEN)


def run(case: Case) -> SpeedResult:
    """Time the world. Cost: a few seconds."""
    speed = case.speed
    timing = SpeedTiming(**asdict(hardware(case.world.device)), energy=speed.energy, rows=speed.rows)
    return SpeedResult(batches=BATCHES, timing=timing, backend=case.world.backend.name, fps=case.fps)
