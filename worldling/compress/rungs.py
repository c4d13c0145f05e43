"""The results of `worldling ladder`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from worldling.backends.bench import Speed
from worldling.cost.ledger import Amount
from worldling.report.values import Interval


@dataclass(frozen=True)
class Rung:
    """One row. name, about: what was done.

    file_mb: of the weights; gflop: of a frame; speed: by batch size; cost_per_user_hour: at the world's frame rate with
    the largest batch, of no value if no price is known of this machine; value: each measure ("PSNR" in dB, the
    others shares); lost: against the first row, paired by start, below 0 where it is better; within: whether the upper
    ends of all shares lost are within the bound; backend: that it was measured on; folder: of its weights, seen from
    that of the ladder, None where they are the world's own.
    """

    name: str
    about: str
    parameters: int
    file_mb: float
    gflop: float
    speed: dict[int, Speed]
    cost_per_user_hour: Amount
    value: dict[str, Interval]
    lost: dict[str, Interval]
    within: bool
    backend: str
    folder: str | None


@dataclass(frozen=True)
class Ladder:
    """All rows of a world.

    identity: of its weights; target_drop: points that a row may lose; starts, horizon: of the roll-outs; reader.
    """

    world: str
    identity: str
    target_drop: float
    starts: int
    horizon: int
    reader: str
    machine: dict[str, Any]
    versions: dict[str, str]
    commit: str | None
    rungs: list[Rung]

    @property
    def best(self) -> Rung:
        """The row within the bound that makes most frames for the largest batch; the first always is."""
        within = [self.rungs[0], *(row for row in self.rungs if row.within)]
        return max(within, key=lambda row: row.speed[max(row.speed)].fps_p50)
