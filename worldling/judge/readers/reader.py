"""Readers turn frames into named quantities, so that a prediction can be judged by what is in it.

A reader is fitted on real frames whose simulator state is known, and its own error against that state is
printed beside every figure: no prediction can be judged more finely than the reader sees. The truth of a
score is always the same reader on the real frame, so a bias of the reader falls on both sides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

State = dict[str, np.ndarray]
#: What a reader saw: each quantity `[n]` or `[n, k]`, NaN where it was not seen.
Reading = dict[str, np.ndarray]


@dataclass(frozen=True)
class Score:
    """One figure about a set of starts at one horizon.

    key: its name in report.json. label: a phrase for people. unit: "share", "px", "%" or "degrees".
    statistic: "share" (of ones), "median" or "p90" of `values`. values `[n]`: one per start,
        NaN = not counted.
    eligible: how many starts could have been counted had the truth stayed visible.
    """

    key: str
    label: str
    unit: str
    statistic: str
    values: np.ndarray
    eligible: int


@dataclass(frozen=True)
class OwnError:
    """How far a reader is from the simulator's recorded state on real frames.

    median, p90: in `unit`. n: frames compared. missed: share of frames where the simulator says the thing
    is there and the reader sees nothing.
    """

    quantity: str
    unit: str
    median: float
    p90: float
    n: int
    missed: float


class Reader(Protocol):
    """What every reader offers."""

    name: str
    about: str

    @property
    def headlines(self) -> tuple[str, ...]:
        """Keys of the most informative scores."""

    def read(self, frames: np.ndarray) -> Reading:
        """Read uint8 frames `[n, H, W, 3]`."""

    def own_error(self, frames: np.ndarray, state: State) -> list[OwnError]:
        """Compare readings of real frames `[n, H, W, 3]` with the simulator's state, each `[n, ...]`."""

    def score(self, start: Reading, truth: Reading, other: Reading, unbroken: np.ndarray) -> list[Score]:
        """Compare what is seen in other frames with the truth, start by start.

        start, truth, other: readings of the last given frames, the true and the other frames at one
        horizon. unbroken bool `[n]`: the simulator had everything in play all the way (see `in_play`).
        """

    def in_play(self, state: State) -> np.ndarray | None:
        """Say for each row of `state` (each `[T, ...]`) whether all is in play: bool `[T]`, None = always."""
