"""Reads red and yellow in frames of the physics scenes, by colour alone: any world's frames will do.

Everything is in shares of the picture, so that frames of any size read alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

#: A thing is seen if it covers at least this share of the picture (2 pixels of 64 x 64).
SEEN = 2 / 64**2
HIDDEN = 0.5  # where a thing that is never seen is said to be: the middle
_CHUNK = 128  # frames read at once: few enough that what lies between stays in the cache


@dataclass
class Things:
    """What is seen in frames `[..., H, W, 3]`; each value `[...]`, NaN where a thing is not seen.

    agent, patient `[..., 2]`: centres x, y; agent_area, patient_area: shares of the picture (0 if hidden);
    gap: distance from the nearest red to the nearest yellow; touch: how much red and yellow lie side by side.
    """

    agent: np.ndarray
    patient: np.ndarray
    agent_area: np.ndarray
    patient_area: np.ndarray
    gap: np.ndarray
    touch: np.ndarray

    def __getitem__(self, index: object) -> Things:
        return Things(*(getattr(self, name)[index] for name in self.__dataclass_fields__))


def cover(frames: torch.Tensor) -> torch.Tensor:
    """Say how red and how yellow each pixel is, 0 to 1: uint8 `[n, H, W, 3]` to float `[n, 2, H, W]`."""
    r, g, b = frames.float().unbind(-1)
    red = (r - torch.maximum(g, b)) / r.clamp(min=60.0)
    low = torch.minimum(r, g)
    yellow = (low - b) / low.clamp(min=60.0)
    return ((torch.stack([red, yellow], 1) - 0.35) / 0.35).clamp(0.0, 1.0)


def read(frames: np.ndarray) -> Things:
    """Read uint8 frames `[..., H, W, 3]`. Cost: about 0.2 ms a frame of 64 px on one core."""
    flat = torch.from_numpy(np.ascontiguousarray(frames.reshape(-1, *frames.shape[-3:])))
    parts = [_read(chunk) for chunk in torch.split(flat, _CHUNK)]
    lead = frames.shape[:-3]
    columns = [torch.cat(column).numpy() for column in zip(*parts, strict=True)]
    return Things(*(column.reshape(*lead, *column.shape[1:]) for column in columns))


def last_seen(place: np.ndarray) -> np.ndarray:
    """Fill places `[..., T, 2]` or `[n, 2]`: what is hidden stays where it was last seen, or else in the middle."""
    filled = place.copy()
    for t in range(1, filled.shape[-2] if place.ndim > 2 else 0):
        lost = np.isnan(filled[..., t, :])
        filled[..., t, :][lost] = filled[..., t - 1, :][lost]
    places: np.ndarray = np.nan_to_num(filled, nan=HIDDEN)
    return places


def _read(frames: torch.Tensor) -> tuple[torch.Tensor, ...]:
    covers = cover(frames)
    _, _, height, width = covers.shape
    area = covers.sum((2, 3)) / (height * width)
    x, y = (torch.arange(width) + 0.5) / width, (torch.arange(height) + 0.5) / height
    total = area.clamp(min=1e-9) * height * width
    centre = torch.stack([(covers.sum(2) * x).sum(-1) / total, (covers.sum(3) * y).sum(-1) / total], -1)
    centre[area < SEEN] = torch.nan
    near = F.max_pool2d(covers, 3, 1, 1)
    touch = (near[:, 0] * near[:, 1]).sum((1, 2)) / (height * width)
    gap = torch.from_numpy(_gap((covers > 0.5).numpy()))
    return centre[:, 0], centre[:, 1], area[:, 0], area[:, 1], gap, touch


def _gap(solid: np.ndarray) -> np.ndarray:
    """Distance between the nearest pixels of two masks `[n, 2, H, W]`: `[n]`, in shares of the picture."""
    gap = np.full(len(solid), np.nan, np.float32)
    for number, (red, yellow) in enumerate(solid):
        ours, theirs = np.argwhere(red), np.argwhere(yellow)
        if len(ours) and len(theirs):
            apart = np.square(ours[:, None] - theirs[None]).sum(-1).min()
            gap[number] = max(0.0, np.sqrt(apart) - 1.0) / solid.shape[-1]
    return gap
