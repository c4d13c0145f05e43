"""What the play suite returns."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from worldling.judge.measures.bootstrap import BootstrapMethod
from worldling.judge.results import SuiteResult
from worldling.report.values import HIDDEN, Interval


@dataclass(frozen=True)
class CheckResult:
    """One check: the share of players for whom it holds, by seconds.

    label: a phrase for people; definition: what counts. dream: of the world's frames; real: of the real environment's
    frames at the same moments, the ceiling, None where there are none; by_hand: of the dreams under each kind of hand.
    """

    label: str
    definition: str
    dream: dict[float, Interval]
    real: dict[float, Interval] | None
    by_hand: dict[str, dict[float, Interval]]


@dataclass(frozen=True)
class FilmOfPlay:
    """A moving picture of one player.

    label: its kind of hand; frames uint8 `[T, H, W, 3]`: real (if there is one) left of the dream; fps: of the film.
    """

    label: str
    frames: np.ndarray
    fps: float


@dataclass(frozen=True, kw_only=True)
class PlayResult(SuiteResult):
    """What becomes of dreams that are played.

    n: players; hands: how many of each kind; fps: frames per second; starts, beside: where the starts are from, and
    what the dream was compared with or why with nothing; checks: by name. films: one of each kind of hand.
    """

    n: int
    seed: int
    fps: float
    hands: dict[str, int]
    starts: str
    beside: str
    intervals: BootstrapMethod
    checks: dict[str, CheckResult]
    films: list[FilmOfPlay] = field(metadata=HIDDEN)
