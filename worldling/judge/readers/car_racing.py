"""Reads frames of CarRacing: the car, the road, and what belongs to neither of them.

The camera follows the car and turns with it, so the car is always in the same pixels. All is read at 64 px; frames of
another size are resized. Distances are in metres of the simulator: a pixel is .96 wide and .77 high.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F

from worldling.data.fit import resize
from worldling.judge.measures.pieces import label_pieces

SIDE = 64
#: First row of the bar with the indicators, which is not read.
BAR = 56
#: Metres in a pixel, across and along; the middle of the car in pixels, and rows and columns around it.
METRES = (0.9645, 0.7716)
CAR_X, CAR_Y = 32.0, 48.0
CAR = (slice(43, 52), slice(28, 36))
#: Rows and columns of the four places just outside the car's corners.
CORNERS = ((43, 28), (43, 34), (51, 28), (51, 34))
#: Pixels of 64 x 64 that a piece of road has at least; a smaller one is noise.
LEAST_ROAD = 8
#: A piece of road that meets the picture's edge once ends in the picture if it is this much deeper than that is long.
DEEP = 0.6
#: Pixels by which kerbs and their blur may lie off the grey of the road.
KERB = 3
_GROUND = 102.0  # red and blue of road and of grass
_HULL = 204.0  # red of the car's body


@dataclass(frozen=True)
class Inspection:
    """What is seen in n frames.

    car `[n]`: share of the real car that is there, in its place; spilled `[n]`: what is there beyond it, in shares of
    it; second `[n]`: overlap of the best other place with the real car, 0 to 1; corners bool `[n, 4]`: road or kerb
    at the car's corners; road `[n]`: pixels of it; loose `[n]`: pieces of road that end in the picture; narrow, wide
    `[n]`: metres, from the narrowest to the widest tenth along the road, NaN where no part lies wholly in the picture;
    near `[n]`: metres from the car's middle to the nearest road, infinite without; extra `[n]`: pixels of other
    colours.
    """

    car: np.ndarray
    spilled: np.ndarray
    second: np.ndarray
    corners: np.ndarray
    road: np.ndarray
    loose: np.ndarray
    narrow: np.ndarray
    wide: np.ndarray
    near: np.ndarray
    extra: np.ndarray

    @property
    def on_road(self) -> np.ndarray:
        """Whether at least three of the car's corners are on the road: bool `[n]`."""
        return np.asarray(self.corners.sum(axis=1) >= 3)


@dataclass(frozen=True)
class CarRacingReader:
    """Looks for the car and the road. template float32 `[9, 8, 2]`: the real car's share of pixels, and its red."""

    template: np.ndarray = field(repr=False)

    @classmethod
    def fit(cls, frames: np.ndarray) -> CarRacingReader:
        """Learn what the car looks like from real frames uint8 `[n, H, W, 3]`: the median of what is in its place."""
        return cls(np.median(_car_cover(_sized(frames))[:, *CAR], axis=0))

    def inspect(self, frames: np.ndarray) -> Inspection:
        """Look at frames uint8 `[n, H, W, 3]`. Cost: about 3 ms a frame."""
        frames = _sized(frames)
        paved = paved_mask(frames)
        labels = label_pieces(torch.from_numpy(paved)).numpy()
        car, spilled, second = self._overlaps(_car_cover(frames))
        rows = [_road(mask, label) for mask, label in zip(paved, labels, strict=True)]
        loose, narrow, wide, near = np.array(rows).reshape(-1, 4).T
        corners = np.stack([paved[:, y, x] for y, x in CORNERS], axis=1)
        return Inspection(
            car,
            spilled,
            second,
            corners,
            paved.sum(axis=(1, 2)),
            loose,
            narrow,
            wide,
            near,
            _extra(frames, self.template),
        )

    def _overlaps(self, cover: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return how much of the template is in its place, what is beyond it, and the best overlap elsewhere: `[n]`."""
        height, width = self.template.shape[:2]
        windows = np.lib.stride_tricks.sliding_window_view(cover[:, :BAR], (height, width), axis=(1, 2))
        car, spilled, second = np.zeros((3, len(cover)))
        template = self.template.transpose(2, 0, 1)
        top, left, whole = CAR[0].start, CAR[1].start, template.sum()
        for i, window in enumerate(windows):  # [h, w, 2, height, width]
            both, either = (f(window, template).sum(axis=(2, 3, 4)) for f in (np.minimum, np.maximum))
            overlap = both / np.maximum(either, 1e-6)
            car[i], spilled[i] = both[top, left] / whole, either[top, left] / whole - 1
            overlap[top - 5 : top + 6, left - 3 : left + 4] = 0.0
            second[i] = overlap.max()
        return car, spilled, second


def paved_mask(frames: np.ndarray) -> np.ndarray:
    """Say which pixels above the bar are road or kerb, under the car too: bool `[n, 56, 64]`; frames of 64 px."""
    levels = frames[:, :BAR].astype(np.int16)
    red, green, blue = np.moveaxis(levels, -1, 0)
    paved = (green - red < _GROUND / 2) & (levels.max(axis=-1) > 50) & (blue - np.minimum(red, green) < _GROUND / 2)
    rows, left, right = CAR[0], CAR[1].start, CAR[1].stop - 2
    middle = (left + right) // 2
    paved[:, rows, left + 1 : middle + 1] = paved[:, rows, left, None]
    paved[:, rows, middle + 1 : right] = paved[:, rows, right, None]
    return paved


def ground(frames: np.ndarray) -> np.ndarray:
    """Return the green of frames uint8 `[n, H, W, 3]` above the bar, without the car: float32 `[n, 28, 32]`.

    Each value is the mean of 2 x 2 pixels at 64 px, from 0 to 255; NaN where the car is.
    """
    green = _sized(frames)[:, :BAR, :, 1].astype(np.float32)
    green[:, *CAR] = np.nan
    return np.asarray(green.reshape(-1, BAR // 2, 2, SIDE // 2, 2).mean(axis=(2, 4)))


def _sized(frames: np.ndarray) -> np.ndarray:
    if frames.shape[1:3] == (SIDE, SIDE):
        return frames
    return np.stack([resize(frame, SIDE, SIDE) for frame in frames])


def _car_cover(frames: np.ndarray) -> np.ndarray:
    """Say how much of each pixel the car takes, and its red body: float32 `[n, H, W, 2]`, 0 to 1.

    Road and grass have the same red and blue, and the car has no blue.
    """
    red, blue = frames[..., 0].astype(np.float32), frames[..., 2].astype(np.float32)
    cover = np.clip(1 - blue / _GROUND, 0, 1)
    body = np.clip((red - _GROUND) / (_HULL - _GROUND), 0, 1) * np.clip(2 - blue / (_GROUND / 2), 0, 1)
    return np.stack([cover, body], axis=-1)


def _road(mask: np.ndarray, labels: np.ndarray) -> tuple[float, float, float, float]:
    """Return the loose ends, the narrowest and widest tenth and the distance from the car of a road bool `[h, w]`."""
    y, x = np.nonzero(mask)
    if len(x) < LEAST_ROAD:
        return 0.0, np.nan, np.nan, np.inf
    height, width = mask.shape
    near = np.hypot((x + 0.5 - CAR_X) * METRES[0], (y + 0.5 - CAR_Y) * METRES[1]).min()
    border = np.minimum(
        np.minimum(x + 0.5, width - x - 0.5) * METRES[0], np.minimum(y + 0.5, height - y - 0.5) * METRES[1]
    )
    ring = np.concatenate([labels[0], labels[1:-1, -1], labels[-1, ::-1], labels[-2:0:-1, 0]])
    across = np.concatenate([np.full(width, METRES[0]), np.full(height - 2, METRES[1])] * 2)
    loose, mine = 0, labels[y, x]
    for piece in np.unique(mine):
        own = mine == piece
        if own.sum() < LEAST_ROAD:
            continue
        on = ring == piece
        runs = int((on & ~np.roll(on, 1)).sum())
        loose += runs == 0 or (runs == 1 and border[own].max() > DEEP * across[on].sum())
    return float(loose), *_widths(mask, border, x, y), float(near)


def _widths(mask: np.ndarray, border: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Return the narrowest and widest tenth of the widths along a road, in metres; NaN where it is nowhere wholly seen.

    border: metres from each of its pixels x, y to the picture's edge.
    """
    padded = F.max_pool2d(torch.from_numpy(mask).float()[None, None], 3, 1, 1)[0, 0].numpy() > 0
    side_y, side_x = np.nonzero(padded & ~mask)
    if not len(side_x):
        return np.nan, np.nan
    apart = np.hypot((x[:, None] - side_x) * METRES[0], (y[:, None] - side_y) * METRES[1]).min(axis=1)
    distance = np.zeros(mask.shape)
    distance[y, x] = apart
    around = F.max_pool2d(torch.from_numpy(distance)[None, None], 3, 1, 1)[0, 0].numpy()
    ridge = (apart >= around[y, x]) & (apart + 1.0 < border)
    if not ridge.any():
        return np.nan, np.nan
    low, high = np.quantile(2 * apart[ridge], (0.1, 0.9))
    return float(low), float(high)


def _extra(frames: np.ndarray, template: np.ndarray) -> np.ndarray:
    """Count the pixels `[n]` that are no mixture of road, grass, white and red, or are dark, or kerb without road."""
    red, green, blue = np.moveaxis(frames[:, :BAR].astype(np.float32), -1, 0)
    top = np.maximum(np.maximum(red, green), blue)
    other = np.clip((np.maximum(blue - np.minimum(red, green), 0.44 * green - blue) - 15) / 45, 0, 1)
    dark = np.clip((60 - top) / 60, 0, 1)
    kerb = ((blue > 170) | (red - green > 100)).astype(np.float32)
    grey = torch.from_numpy((np.abs(green - _GROUND) < 30) & (np.abs(red - green) < 30)).float()[:, None]
    kerb[F.max_pool2d(grey, 2 * KERB + 1, 1, KERB)[:, 0].numpy() > 0] = 0.0
    found = np.maximum(np.maximum(other, dark), kerb)
    found[:, *CAR] = np.where(template[..., 0] > 0.05, 0.0, found[:, *CAR])
    return np.asarray(found.sum(axis=(1, 2)))
