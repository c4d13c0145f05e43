"""How far two frames are apart, pixel by pixel: mean squared error and PSNR, without any learned weights."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

#: A uint8 frame cannot be known better than its own rounding, whose variance is 1/12 of a grey level squared.
#: Equal frames therefore score 58.9 dB and not infinity, so that one still frame cannot carry a mean.
ROUNDING_MSE = 1.0 / 12.0

#: PSNR of two equal uint8 frames, in dB.
PSNR_LIMIT_DB = float(10.0 * np.log10(255.0**2 / ROUNDING_MSE))

_CHUNK_VALUES = 200_000


def frame_error(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Return the mean squared error of each frame: uint8 `[..., H, W, 3]` twice, float64 `[...]` out.

    Black to white counts as 1, so the result lies between 0 and 1. The shapes may broadcast.
    """
    return by_chunks(_frame_error, ours, theirs)


def psnr(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Return the PSNR in dB of each frame: uint8 `[..., H, W, 3]` twice, float64 `[...]` out.

    The squared error is taken over all pixels and colours of one frame and held above the rounding error of
    uint8, so the result lies between 0 and `PSNR_LIMIT_DB`. The shapes may broadcast.
    """
    return psnr_of(frame_error(ours, theirs))


def psnr_of(error: np.ndarray | float) -> np.ndarray:
    """Return the PSNR in dB, at most `PSNR_LIMIT_DB`, of mean squared errors in which black to white counts as 1."""
    return -10.0 * np.log10(np.maximum(error, ROUNDING_MSE / 255.0**2))


def by_chunks(
    measure: Callable[[np.ndarray, np.ndarray], np.ndarray], ours: np.ndarray, theirs: np.ndarray
) -> np.ndarray:
    """Measure frames uint8 `[..., H, W, 3]` a few at a time, so that the floats stay in the cache.

    measure: takes `[n, H, W, 3]` twice and returns `[n]`. The shapes may broadcast; returns float64 `[...]`.
    """
    ours, theirs = np.broadcast_arrays(ours, theirs)
    left, right = (a.reshape(-1, *a.shape[-3:]) for a in (ours, theirs))
    chunk = max(1, _CHUNK_VALUES // max(1, left[:1].size))
    parts = [measure(left[i : i + chunk], right[i : i + chunk]) for i in range(0, len(left), chunk)]
    return np.concatenate([np.zeros(0), *parts]).reshape(ours.shape[:-3])


def _frame_error(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    difference = left.astype(np.float32) - right.astype(np.float32)
    error: np.ndarray = np.square(difference, out=difference).mean(axis=(1, 2, 3), dtype=np.float64) / 255.0**2
    return error
