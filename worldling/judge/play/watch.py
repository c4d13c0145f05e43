"""What is kept of all frames in the seconds looked at: features and changes, without the frames themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from worldling.alarm import brightness, change_of, clip_features, frame_features, reconstruct
from worldling.judge.truth.driven import Driven
from worldling.protocol import WorldModel


@dataclass(frozen=True)
class Watched:
    """What was watched of n players in T frames, from the last one given on.

    steps `[T]`: their numbers; moments `[k]`: those at which is looked; length: steps that lead to each; features
    `[n, T, F]`: see `worldling.alarm`; changes `[n, T - 1]`: logarithms of the change from the frame before, NaN where
    that was not watched.
    """

    steps: np.ndarray
    moments: np.ndarray
    length: int
    features: np.ndarray
    changes: np.ndarray

    @property
    def at(self) -> np.ndarray:
        """Columns of `changes` that end at the moments: `[k]`."""
        return np.searchsorted(self.steps, self.moments) - 1

    @property
    def moved(self) -> np.ndarray:
        """Mean change from frame to frame in the steps that lead to each moment, 0 to 1: `[n, k]`."""
        levels = np.exp(self.changes)
        return np.stack([np.nanmean(levels[:, at - self.length + 1 : at + 1], axis=1) for at in self.at], axis=1)


class Watching:
    """Watches n dreams frame by frame."""

    def __init__(self, steps: Sequence[int], moments: Sequence[int], length: int) -> None:
        self.steps, self.moments, self.length = list(steps), list(moments), length
        self._features: list[np.ndarray] = []
        self._changes: list[np.ndarray] = []
        self._before: tuple[int, np.ndarray] | None = None

    def see(self, step: int, frames: np.ndarray) -> None:
        """Take in frames uint8 `[n, H, W, 3]`, those of `steps` in their order."""
        now = brightness(frames)
        if self._before is not None:
            follows = self._before[0] == step - 1
            self._changes.append(change_of(self._before[1], now) if follows else np.full(len(frames), np.nan))
        self._before = step, now
        self._features.append(frame_features(frames))

    def done(self) -> Watched:
        """Return what was seen."""
        features, changes = np.stack(self._features, axis=1), np.stack(self._changes, axis=1)
        return Watched(np.array(self.steps), np.array(self.moments), self.length, features, changes)


def watch_real(
    world: WorldModel, driven: Driven, steps: Sequence[int], features: list[np.ndarray], changes: list[np.ndarray]
) -> None:
    """Append features and changes of a real player's frames, encoded and decoded: all of `steps` were looked at.

    What is behind the end of an episode changes by NaN.
    """
    rows = driven.rows(steps)
    seen, change = clip_features(reconstruct(world, driven.frames[rows])[None], np.array(steps))
    features.append(seen[0])
    changes.append(np.where(driven.reached[rows][1:], change[0], np.nan))
