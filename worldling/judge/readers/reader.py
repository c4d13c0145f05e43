"""Readers turn frames into named quantities, so that a prediction can be judged by what is in it.

A reader is fitted on real frames whose engine state is known, and its own error against that state is
printed beside every figure: no prediction can be judged more finely than the reader sees. The truth of a
score is always the same reader on the real frame, so a bias of the reader falls on both sides.
"""

from __future__ import annotations

from collections.abc import Callable
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
    """How far a reader is from the engine's recorded state on real frames.

    median, p90: in `unit`. n: frames compared. missed: share of frames where the engine says the thing
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
        """Keys of the scores that say most."""

    def read(self, frames: np.ndarray) -> Reading:
        """Read uint8 frames `[n, H, W, 3]`."""

    def own_error(self, frames: np.ndarray, state: State) -> list[OwnError]:
        """Compare readings of real frames `[n, H, W, 3]` with the engine's state, each `[n, ...]`."""

    def score(self, start: Reading, truth: Reading, other: Reading, unbroken: np.ndarray) -> list[Score]:
        """Compare what is seen in other frames with the truth, start by start.

        start, truth, other: readings of the last given frames, the true and the other frames at one
        horizon. unbroken bool `[n]`: the engine had everything in play all the way (see `in_play`).
        """

    def in_play(self, state: State) -> np.ndarray | None:
        """Say for each row of `state` (each `[T, ...]`) whether all is in play: bool `[T]`, None = always."""


def reader_for(env_id: str, frames: np.ndarray, state: State) -> Reader:
    """Fit the reader made for `env_id` on real frames `[n, H, W, 3]` and their state, each `[n, ...]`.

    An environment without one, or data without the state it needs, gets the generic reader, which
    follows the centre of what differs from the mean frame; its `about` says why it was taken.
    """
    for name, keys, fit in _READERS:
        if name in env_id.lower():
            missing = [key for key in keys if key not in state]
            if not missing:
                return fit(frames, state)
            return _fit_motion(frames, f"the data hold no {' and no '.join(missing)}")
    return _fit_motion(frames, f"no reader is made for {env_id}")


def _fit_pong(frames: np.ndarray, state: State) -> Reader:
    from worldling.judge.readers.pong import PongReader

    return PongReader.fit(frames, state)


def _fit_pusht(frames: np.ndarray, state: State) -> Reader:
    from worldling.judge.readers.pusht import PushTReader

    return PushTReader.fit(frames)


def _fit_motion(frames: np.ndarray, why: str) -> Reader:
    from worldling.judge.readers.motion import MotionReader

    return MotionReader.fit(frames, why)


#: Part of the environment's id in lower case, the state it needs, and the fit.
_READERS: list[tuple[str, tuple[str, ...], Callable[[np.ndarray, State], Reader]]] = [
    ("ale/pong", ("ram",), _fit_pong),
    ("pusht", ("agent_pos", "block_pose"), _fit_pusht),
]
