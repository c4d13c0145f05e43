"""Where motion happens in a film, and how well two films agree on it: the weight-free half of Physics-IQ.

As in Physics-IQ (arXiv 2501.09038): grey, 5x5 Gaussian, difference to a running mean (alpha 0.3) above 10 grey
levels, morphological opening. Ours differs in the opening, 3x3, because our pictures are 64 px and not hundreds.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

ALPHA, THRESHOLD = 0.3, 10.0
_GREY = (0.299, 0.587, 0.114)
_SIGMA = 1.1  # of a 5-tap Gaussian


def motion_masks(films: np.ndarray) -> np.ndarray:
    """Say which pixels move in films uint8 `[n, T, H, W, 3]`: bool `[n, T - 1, H, W]`, a mask for each later frame."""
    grey = (torch.from_numpy(np.ascontiguousarray(films)).float() * torch.tensor(_GREY)).sum(-1)
    taps = torch.exp(-torch.arange(-2, 3).float().square() / (2 * _SIGMA**2))
    taps = taps / taps.sum()
    smooth = F.pad(grey, (2, 2, 2, 2), mode="reflect").unsqueeze(2)
    smooth = F.conv2d(smooth.flatten(0, 1), torch.outer(taps, taps)[None, None]).view_as(grey)
    mean, masks = smooth[:, 0].clone(), []
    for frame in smooth[:, 1:].unbind(1):
        mean = (1 - ALPHA) * mean + ALPHA * frame
        moving = ((frame - mean).abs() > THRESHOLD).float()
        eroded = -F.max_pool2d(-moving, 3, 1, 1)
        masks.append(F.max_pool2d(eroded, 3, 1, 1) > 0.5)
    return torch.stack(masks, 1).numpy()


def spatial_iou(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Say how far two films `[n, T, H, W]` of masks agree on where anything moved at any time.

    Returns `[n]`, NaN where nothing moved in either.
    """
    return _iou(np.asarray(ours.any(1)), np.asarray(theirs.any(1)))


def spatiotemporal_iou(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Say how far they agree on where and when: `[n]`, NaN where nothing moved in either."""
    return _iou(ours, theirs)


def _iou(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    axes = tuple(range(1, ours.ndim))
    both, either = (ours & theirs).sum(axes), (ours | theirs).sum(axes)
    return np.where(either > 0, both / np.maximum(either, 1), np.nan)
