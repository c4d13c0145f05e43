"""Reads frames of the chaotic environments, by colour alone: where Lorenz's ball is, and the outline of the cloth."""

from __future__ import annotations

import numpy as np

_DARK = 50.0  # levels of red or blue that do not belong to the ball
_SEEN = 300.0  # sum of levels above that, on a picture of 64 x 64, for a thing to be seen
_CHUNK = 1024


def read_lorenz(frames: np.ndarray) -> np.ndarray:
    """Read x, y, z of Lorenz's ball in uint8 frames `[..., H, W, 3]`: `[..., 3]`.

    NaN where one of its two views is not seen. Centroids of red (the view from the front) and of blue (from
    above), turned back into space. On real frames of 64 px they are off by less than 0.01 in the
    mean, of spreads of 8 to 9.
    """
    from worldling.scenes.lorenz import unproject

    flat = frames.reshape(-1, *frames.shape[-3:])
    parts = [unproject(_centroid(chunk[..., 0]), _centroid(chunk[..., 2])) for chunk in _chunks(flat)]
    return np.concatenate(parts).reshape(*frames.shape[:-3], 3)


def outline(frames: np.ndarray) -> np.ndarray:
    """Say where the red and white cloth is in uint8 frames `[..., H, W, 3]`: bool `[..., H, W]`; all else is bluish."""
    return frames[..., 0] > frames[..., 2]


def overlap(truth: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Intersection over union of masks `[..., H, W]`: `[...]`, 1 where both are empty."""
    both, any_ = (truth & other).sum((-2, -1)), (truth | other).sum((-2, -1))
    return np.where(any_ > 0, both / np.maximum(any_, 1), 1.0)


def _chunks(frames: np.ndarray) -> list[np.ndarray]:
    return [frames[first : first + _CHUNK] for first in range(0, max(len(frames), 1), _CHUNK)]


def _centroid(levels: np.ndarray) -> np.ndarray:
    """Centre of what is bright in uint8 `[n, H, W]`: (right, down) in shares of the side, `[n, 2]`."""
    size = levels.shape[-1]
    bright = np.maximum(levels.astype(np.float32) - _DARK, 0.0)
    at = (np.arange(size, dtype=np.float32) + 0.5) / size
    total = bright.sum((1, 2))
    seen = np.where(total > _SEEN * (size / 64) ** 2, total, np.nan)
    return np.stack([bright.sum(1) @ at / seen, bright.sum(2) @ at / seen], -1)
