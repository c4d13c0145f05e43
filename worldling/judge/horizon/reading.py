"""What is read in films of the horizon suite: which things are there, where they are, how they move.

Shapes: n episodes, L frames looked at, 2 things (red, yellow). Results at the horizons are float `[n, horizons, ...]`,
NaN where nothing is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from worldling.judge.measures.motion_mask import motion_masks
from worldling.judge.measures.permanence import VISIBLE, Found, find, is_there, kept, sensible_area

#: Motion is looked at over this many frames up to the horizon, or over all there are.
WINDOW = 10


@dataclass(frozen=True)
class Grid:
    """The frames that are looked at. horizons: frames ahead, ascending."""

    horizons: tuple[int, ...]

    @cached_property
    def ahead(self) -> tuple[int, ...]:
        """The frames looked at, counted from the last one shown (0): each horizon and the window before it."""
        return tuple(sorted({t for h in self.horizons for t in self.window(h)}))

    def window(self, horizon: int) -> range:
        """The frames of the window that ends at a horizon, one more than the moves in it."""
        return range(max(0, horizon - WINDOW), horizon + 1)

    def columns(self, looked: int) -> dict[int, list[int]]:
        """Columns of each horizon's window in films of the first `looked` of the frames; no horizon beyond them."""
        place = {t: column for column, t in enumerate(self.ahead[:looked])}
        return {h: [place[t] for t in self.window(h)] for h in self.horizons if h in place}

    def at_horizons(self, values: np.ndarray) -> np.ndarray:
        """Pick the horizons' columns of `[n, L, ...]`, of which the first L frames were looked at, NaN beyond."""
        windows = self.columns(values.shape[1])
        picked = np.full((len(values), len(self.horizons), *values.shape[2:]), np.nan)
        for j, horizon in enumerate(self.horizons):
            if horizon in windows:
                picked[:, j] = values[:, windows[horizon][-1]]
        return picked


@dataclass(frozen=True)
class Looked:
    """What was read in films `[n, L, H, W, 3]`: things, and motion masks `[n, W, H, W]` by horizon."""

    found: Found
    masks: dict[int, np.ndarray]


def look(frames: np.ndarray, grid: Grid) -> Looked:
    """Read things in films `[n, L, H, W, 3]` of the first L frames of the grid, and motion in every window."""
    windows = grid.columns(frames.shape[1])
    return Looked(find(frames), {h: motion_masks(frames[:, columns]) for h, columns in windows.items()})


def permanence(found: Mapping[str, Found], seen: np.ndarray, grid: Grid) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Say which things that should be there at each horizon are: by condition, `[n, horizons, 2]`; see `kept`.

    seen `[n, horizons, 2, 3]`: what the simulator says.
    """
    sensible = sensible_area(found["truth"])
    there = {name: grid.at_horizons(is_there(item, sensible)) for name, item in found.items()}
    return kept(there, seen[..., 2] >= VISIBLE)


def place_errors(found: Mapping[str, Found], seen: np.ndarray, grid: Grid) -> dict[str, np.ndarray]:
    """Return how far each thing is read from where the simulator has it, in % of the picture, by condition.

    `[n, horizons, 2]`, NaN where it is hidden in either.
    """
    where = np.where(seen[..., 2:] >= VISIBLE, seen[..., :2], np.nan)
    return {name: 100.0 * np.linalg.norm(grid.at_horizons(item.place) - where, axis=-1) for name, item in found.items()}


def kinetic(found: Found, grid: Grid) -> np.ndarray:
    """Return the mean squared speed of each thing over the window before each horizon: `[n, horizons, 2]`.

    In (% of the picture a frame) squared; NaN where it was hidden in all of it. What of energy can be read from
    pictures alone.
    """
    windows = grid.columns(found.area.shape[1])
    speeds = np.full((len(found.area), len(grid.horizons), 2), np.nan)
    for j, horizon in enumerate(grid.horizons):
        if horizon in windows:
            places = 100.0 * found.place[:, windows[horizon]]
            squared = np.square(np.diff(places, axis=1)).sum(-1)
            counted = np.isfinite(squared).sum(1)
            speeds[:, j] = np.where(counted > 0, np.nansum(squared, axis=1) / np.maximum(counted, 1), np.nan)
    return speeds


def overlaps(
    looked: Mapping[str, Looked], measure: Callable[[np.ndarray, np.ndarray], np.ndarray], grid: Grid
) -> dict[str, np.ndarray]:
    """Compare every condition's motion masks with the truth's by `measure`: `[n, horizons]` by condition."""
    truth = looked["truth"].masks
    nothing = {h: np.full(len(masks), np.nan) for h, masks in truth.items()}
    return {
        name: np.stack([measure(item.masks[h], truth[h]) if h in item.masks else nothing[h] for h in grid.horizons], 1)
        for name, item in looked.items()
        if name != "truth"
    }
