"""Structural similarity of frames (SSIM, Wang et al., 2004)."""

from __future__ import annotations

import numpy as np

from worldling.frame_error import by_chunks

SSIM_WINDOW = 7


def ssim(truth: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the SSIM of each frame: uint8 `[..., H, W, 3]` twice, float64 `[...]` out, 1 is equal.

    The index of Wang et al. (2004) with a uniform 7 x 7 window, unbiased variances, K1 = 0.01 and
    K2 = 0.03, per colour, averaged over all whole windows: what scikit-image computes by default.
    The shapes may broadcast.
    """
    return by_chunks(_ssim_chunk, truth, other)


def _ssim_chunk(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """SSIM of frames `[n, H, W, 3]`, `[n]` out."""
    # Centred near zero: float32 then keeps enough digits of the small local variances.
    x, y = (a.astype(np.float32) - np.float32(128) for a in (left, right))
    mean_x, mean_y = _local_mean(x), _local_mean(y)
    unbiased = np.float32(SSIM_WINDOW**2 / (SSIM_WINDOW**2 - 1))
    var_x = unbiased * (_local_mean(x * x) - mean_x * mean_x)
    var_y = unbiased * (_local_mean(y * y) - mean_y * mean_y)
    covariance = unbiased * (_local_mean(x * y) - mean_x * mean_y)
    mean_x, mean_y = mean_x + np.float32(128), mean_y + np.float32(128)
    c1, c2 = np.float32((0.01 * 255) ** 2), np.float32((0.03 * 255) ** 2)
    luminance = (2 * mean_x * mean_y + c1) / (mean_x * mean_x + mean_y * mean_y + c1)
    structure = (2 * covariance + c2) / (var_x + var_y + c2)
    index: np.ndarray = (luminance * structure).mean(axis=(1, 2, 3), dtype=np.float64)
    return index


def _local_mean(image: np.ndarray) -> np.ndarray:
    """Mean over each whole window of `[n, H, W, 3]`: `[n, H - 6, W - 6, 3]`."""
    for axis in (1, 2):
        image = np.moveaxis(image, axis, 0)
        count = len(image) - SSIM_WINDOW + 1
        total = image[:count].copy()
        for shift in range(1, SSIM_WINDOW):
            total += image[shift : shift + count]
        image = np.moveaxis(total, 0, axis)
    return image / np.float32(SSIM_WINDOW**2)
