"""Bootstrap confidence intervals: how far a figure would move if other starts had been drawn."""

from __future__ import annotations

from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np

from worldling.report.values import NOTHING, Interval

#: With at least this many episodes whole episodes are resampled, because starts from one episode resemble
#: each other; with fewer the episodes are too few to stand for others and stretches of them are resampled.
ENOUGH_EPISODES = 20
STRETCH_FRAMES = 100


@dataclass(frozen=True)
class BootstrapMethod:
    """How intervals were made.

    level: share of the resamples inside; over: what was resampled; resamples, seed: how often, and by which.
    """

    method: str
    level: float
    resamples: int
    over: str
    seed: int


class Bootstrap:
    """Resamples the same n items many times and says between which values a statistic then lies.

    episodes, frames `[n]`: where each item lies. resamples: how often. level: share of the resamples
    inside the interval. One object keeps its resamples, so all its intervals belong together and
    the same seed gives the same intervals.
    """

    def __init__(
        self, episodes: np.ndarray, frames: np.ndarray, seed: int = 0, resamples: int = 1000, level: float = 0.95
    ) -> None:
        self.seed, self.resamples, self.level = seed, resamples, level
        self.over = "episodes"
        _, self.unit = np.unique(np.asarray(episodes), return_inverse=True)
        if self.unit.max() + 1 < ENOUGH_EPISODES:
            self.over = f"stretches of {STRETCH_FRAMES} frames"
            where = np.stack([self.unit, np.asarray(frames) // STRETCH_FRAMES])
            _, self.unit = np.unique(where, axis=1, return_inverse=True)
        units = int(self.unit.max()) + 1
        draws = np.random.default_rng(seed).multinomial(units, np.full(units, 1.0 / units), size=resamples)
        self.weights = draws[:, self.unit]  # [resamples, n]

    def about(self, over: str = "") -> BootstrapMethod:
        """Describe how the intervals were made; over: what was resampled, if the items are not of episodes."""
        method = "percentile bootstrap; Wilson score for shares of exactly 0 or 1"
        return BootstrapMethod(method, self.level, self.resamples, over or self.over, self.seed)

    def mean(self, values: np.ndarray) -> Interval:
        """Return the interval of the mean of `values` `[n]`; NaN items are not counted."""
        values = self._checked(values)
        counted = np.isfinite(values)
        if not counted.any():
            return NOTHING
        weights = self.weights[:, counted]
        total = weights.sum(axis=1)
        redrawn = (weights @ values[counted])[total > 0] / total[total > 0]
        return self._interval(values[counted].mean(), redrawn, int(counted.sum()))

    def ratio(self, above: np.ndarray, below: np.ndarray) -> Interval:
        """Return the interval of mean(above) / mean(below), both `[n]` and resampled together.

        Items with a NaN are not counted.
        """
        above, below = self._checked(above), self._checked(below)
        counted = np.isfinite(above) & np.isfinite(below)
        if not below[counted].any():
            return NOTHING
        weights = self.weights[:, counted]
        bottom = weights @ below[counted]
        redrawn = (weights @ above[counted])[bottom != 0] / bottom[bottom != 0]
        return self._interval(above[counted].sum() / below[counted].sum(), redrawn, int(counted.sum()))

    def share(self, values: np.ndarray) -> Interval:
        """Like `mean`, for values of 0 and 1.

        Where all are equal no resample could differ, so Wilson's score interval is given, of as many units as are
        resampled.
        """
        found = self.mean(values)
        if found.value not in (0.0, 1.0):
            return found
        z = NormalDist().inv_cdf((1.0 + self.level) / 2.0)
        doubt = z * z / (len(np.unique(self.unit[np.isfinite(values)])) + z * z)
        return replace(found, high=doubt) if found.value == 0.0 else replace(found, low=1.0 - doubt)

    def quantile(self, values: np.ndarray, q: float) -> Interval:
        """Return the interval of the `q` quantile of `values` `[n]`; NaN items are not counted."""
        values = self._checked(values)
        counted = np.isfinite(values)
        if not counted.any():
            return NOTHING
        order = np.argsort(values[counted], kind="stable")
        ordered = values[counted][order]
        reached = np.cumsum(self.weights[:, counted][:, order], axis=1)
        total = reached[:, -1]
        # The smallest value that at least a share q of the redrawn items does not exceed.
        index = np.argmax(reached >= np.maximum(q * total, 1e-9)[:, None], axis=1)
        return self._interval(_lower_quantile(ordered, q), ordered[index[total > 0]], len(ordered))

    def _checked(self, values: np.ndarray) -> np.ndarray:
        values = np.asarray(values, dtype=np.float64)
        if values.shape != self.unit.shape:
            raise ValueError(f"`values` must have shape {list(self.unit.shape)}, got {list(values.shape)}.")
        return values

    def _interval(self, value: float, redrawn: np.ndarray, n: int) -> Interval:
        tail = (1.0 - self.level) / 2.0
        low, high = np.quantile(redrawn, [tail, 1.0 - tail])
        return Interval(float(value), float(low), float(high), n)


def _lower_quantile(ordered: np.ndarray, q: float) -> float:
    return float(ordered[max(0, int(np.ceil(q * len(ordered) - 1e-9)) - 1)])
