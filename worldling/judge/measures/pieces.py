"""Pieces of masks: pixels that hang together."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F


def label_pieces(masks: torch.Tensor) -> torch.Tensor:
    """Number the 8-connected pieces of masks, bool `[n, H, W]`: int64 `[n, H, W]`, 0 outside, alike in one piece.

    The numbers of a mask are not consecutive: each is one more than the last of its piece's pixels, row by row.
    """
    _, height, width = masks.shape
    solid = masks.float()[:, None]
    labels = solid * torch.arange(1, height * width + 1).view(height, width)
    while True:  # every pixel takes the largest label around it, until nothing changes
        spread = F.max_pool2d(labels, 3, 1, 1) * solid
        if torch.equal(spread, labels):
            return labels[:, 0].long()
        labels = spread


def largest_piece(masks: torch.Tensor) -> np.ndarray:
    """Return the share of each mask's pixels, bool `[n, H, W]`, that its largest 8-connected piece holds: `[n]`.

    0 if the mask is empty.
    """
    n, height, width = masks.shape
    solid = masks.float().flatten(1)
    labels = label_pieces(masks).flatten(1)
    sizes = torch.zeros(n, height * width + 1).scatter_add_(1, labels, solid)
    return (sizes.max(1).values / solid.sum(1).clamp(min=1)).numpy()
