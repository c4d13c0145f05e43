"""What a moving view leaves unexplained: the difference between a picture and the one before, moved as a view moves."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np

#: Moves ahead, aside and turns that are tried; of these first every second one.
GRID = (7, 5, 33)
#: Least share of the picture that two pictures must have in common, for a move to be looked at.
IN_COMMON = 0.3
_CHUNK = 256


@dataclass(frozen=True)
class Moves:
    """From where to where a view may move from one picture to the next.

    metres: of a pixel, across and along; pivot: the pixel that the view turns about, x and y; ahead, aside: lowest and
    highest way in metres; turn: lowest and highest, radians, to the left.
    """

    metres: tuple[float, float]
    pivot: tuple[float, float]
    ahead: tuple[float, float]
    aside: tuple[float, float]
    turn: tuple[float, float]


def unexplained(pictures: np.ndarray, moves: Moves) -> np.ndarray:
    """Return the mean absolute difference that the best move leaves of each picture from the one before.

    pictures float `[n, T, H, W]`, NaN where nothing is to be compared: `[n, T - 1]`, in their levels; NaN where no move
    leaves the two enough in common. Moves are tried on a grid over `moves`. Cost: about 10 ms a step of 28 x 32 pixels.
    """
    n, length, height, width = pictures.shape
    flat = pictures.reshape(n, length, -1)
    before, after = (part.reshape(-1, height * width).T for part in (flat[:, :-1], flat[:, 1:]))
    parts = [
        _least(before[:, i : i + _CHUNK], after[:, i : i + _CHUNK], moves, (height, width))
        for i in range(0, before.shape[1], _CHUNK)
    ]
    return np.concatenate([*parts, np.zeros(0, np.float32)]).reshape(n, length - 1)


def _least(before: np.ndarray, after: np.ndarray, moves: Moves, shape: tuple[int, int]) -> np.ndarray:
    """Search the grid for m pictures `[H * W, m]`: `[m]`. First every second move, then the neighbours of the best."""
    before, there = np.nan_to_num(before), np.isfinite(before).astype(np.float32)
    after, now = np.nan_to_num(after), np.isfinite(after)
    m = before.shape[1]
    least, best = np.full(m, np.inf, np.float32), np.zeros((m, 3), int)
    for cell in product(*(range(0, count, 2) for count in GRID)):
        left = _left(before, there, after, now, *_mapping(moves, shape, cell))
        better = left < least
        least[better], best[better] = left[better], cell
    for step in product((-1, 0, 1), repeat=3):
        cells = np.clip(best + step, 0, np.array(GRID) - 1)
        for cell in np.unique(cells, axis=0):
            mine = (cells == cell).all(axis=1)
            near = _left(
                before[:, mine], there[:, mine], after[:, mine], now[:, mine], *_mapping(moves, shape, tuple(cell))
            )
            least[mine] = np.minimum(least[mine], near)
    return np.where(np.isfinite(least), least, np.nan)


def _left(
    before: np.ndarray, there: np.ndarray, after: np.ndarray, now: np.ndarray, corners: np.ndarray, shares: np.ndarray
) -> np.ndarray:
    """Return the mean difference `[m]` after a move: see `_mapping`; infinite with little in common."""
    moved, known = np.zeros_like(after), np.zeros_like(after)
    for rows, share in zip(corners, shares, strict=True):
        moved += before[rows] * share[:, None]
        known += there[rows] * share[:, None]
    both = (known > 0.99) & now
    count = both.sum(axis=0)
    apart = (np.abs(moved - after) * both).sum(axis=0) / np.maximum(count, 1)
    return np.where(count >= IN_COMMON * len(after), apart, np.inf)


@lru_cache(maxsize=20_000)
def _mapping(moves: Moves, shape: tuple[int, int], cell: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return from which pixels a move takes each: four of the picture before `[4, H * W]`, and their shares."""
    height, width = shape
    ahead, aside, turn = (
        low + (high - low) * i / (count - 1)
        for (low, high), i, count in zip((moves.ahead, moves.aside, moves.turn), cell, GRID, strict=True)
    )
    y, x = np.mgrid[:height, :width] + 0.5
    right, forward = (x - moves.pivot[0]) * moves.metres[0], (moves.pivot[1] - y) * moves.metres[1]
    cos, sin = np.cos(turn), np.sin(turn)
    column = (cos * right - sin * forward + aside) / moves.metres[0] + moves.pivot[0] - 0.5
    row = moves.pivot[1] - (sin * right + cos * forward + ahead) / moves.metres[1] - 0.5
    left, top = np.floor(column), np.floor(row)
    corners, shares = [], []
    for down, over in product((0, 1), repeat=2):
        share = (1 - np.abs(row - top - down)) * (1 - np.abs(column - left - over))
        inside = (top + down >= 0) & (top + down < height) & (left + over >= 0) & (left + over < width)
        index = np.clip(top + down, 0, height - 1) * width + np.clip(left + over, 0, width - 1)
        corners.append(index.astype(np.int32).ravel())
        shares.append((share * inside).astype(np.float32).ravel())
    return np.stack(corners), np.stack(shares)
