"""The outlines of red and yellow things in the physics scenes, centred, so that those of several frames compare."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from worldling.scenes.seen import cover

#: Side of an outline in 64ths of the picture; it has as many values a side.
SIDE = 24


def silhouettes(frames: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Cut out how red and how yellow is what lies around places, 0 to 1.

    frames uint8 `[n, H, W, 3]`, place `[n, 2, 2]`: x and y of red and of yellow, in shares of the picture, NaN if not
    seen: float32 `[n, 2, 24, 24]`, 0 where a thing is not seen or the picture ends.
    """
    covers = cover(torch.from_numpy(np.ascontiguousarray(frames))).flatten(0, 1)[:, None]
    centre = torch.from_numpy(np.nan_to_num(place, nan=-9.0)).float().flatten(0, 1) * 2 - 1
    around = (torch.arange(SIDE) + 0.5 - SIDE / 2) * 2 / 64
    y, x = torch.meshgrid(around, around, indexing="ij")
    places = torch.stack([x, y], -1) + centre[:, None, None]
    cut = F.grid_sample(covers, places, align_corners=False)
    return cut.view(len(frames), 2, SIDE, SIDE).numpy()


def best_overlap(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Return the largest overlap of each outline `[m, S]` with one of others `[r, S]`, flat, 0 to 1: `[m]`.

    Overlap: sum of the smaller values over sum of the larger; 0 with no others.
    """
    best = np.zeros(len(ours))
    for row in theirs:
        both, either = np.minimum(ours, row).sum(axis=1), np.maximum(ours, row).sum(axis=1)
        best = np.maximum(best, both / np.maximum(either, 1e-6))
    return best
