"""Draw a frame anew only where its latents changed since the last one: exact, as the decoder sees no further."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from worldling.tokenizer.model import Tokenizer

#: Sides of the squares of cells that are drawn, as shares of the picture's.
SIDES = (0.375, 0.5, 0.625, 0.75)
#: A square of fewer cells saves nothing.
LEAST_SIDE = 5


class Repaint:
    """The last frame drawn for each row, and the cells it was drawn from.

    decode: latents `[B, N, C]` to frames uint8 `[B, H, W, 3]`; decode_box: squares of cells `[B, n, s, s]` to their
    pixels. Nothing but speed depends on what was drawn before: rows may be given in any order.
    """

    def __init__(
        self, tokenizer: Tokenizer, decode: Callable[[Tensor], Tensor], decode_box: Callable[[Tensor], Tensor]
    ) -> None:
        self.tokenizer, self.decode, self.decode_box = tokenizer, decode, decode_box
        side = tokenizer.config.cells
        self.sides = [s for share in SIDES if LEAST_SIDE <= (s := int(share * side)) < side]
        self.cells, self.frames = np.zeros((0,)), np.zeros((0,), np.uint8)

    def keep(self, latent: Tensor, frame: Tensor) -> None:
        """Take over frames uint8 `[B, H, W, 3]` that were drawn elsewhere from latents `[B, N, C]`."""
        self.cells = self.tokenizer.cells(latent.cpu()).numpy()
        self.frames = frame.cpu().numpy().copy()

    def draw(self, latent: Tensor) -> Tensor:
        """Return the frames uint8 `[B, H, W, 3]` of latents `[B, N, C]`, which the caller may keep."""
        cells = self.tokenizer.cells(latent.cpu()).contiguous().numpy()
        if cells.shape != self.cells.shape:
            frame = self.decode(latent)
            self.keep(latent, frame)
            return frame
        changed = (cells != self.cells).any(1)
        groups: dict[int, list[tuple[int, int, int]]] = {}
        for row in range(len(cells)):
            place = self._square(changed[row])
            if place is not None:
                groups.setdefault(place[0], []).append((row, *place[1:]))
        for side, members in groups.items():
            self._paint(side, members, cells, latent)
        self.cells = cells
        return torch.from_numpy(self.frames.copy())

    def _square(self, changed: np.ndarray) -> tuple[int, int, int] | None:
        """Return side, top and left of the square of cells to be drawn, at most the whole plane; None for nothing."""
        ys, xs = (np.flatnonzero(changed.any(axis)) for axis in (1, 0))
        if not len(ys):
            return None
        whole, halo = len(changed), 2 * self.tokenizer.config.reach
        low = [max(0, int(at[0]) - halo) for at in (ys, xs)]
        high = [min(whole, int(at[-1]) + 1 + halo) for at in (ys, xs)]
        needed = max(b - a for a, b in zip(low, high, strict=True))
        side = next((s for s in self.sides if s >= needed), whole)
        top, left = (min(a, whole - side) for a in low)
        return side, top, left

    def _paint(self, side: int, members: list[tuple[int, int, int]], cells: np.ndarray, latent: Tensor) -> None:
        """Draw squares of one size into `frames`; members: row, top and left of each."""
        whole, px = cells.shape[-1], self.tokenizer.config.cell_px
        rows = [row for row, _, _ in members]
        if side == whole:
            self.frames[rows] = self.decode(latent[rows]).cpu().numpy()
            return
        squares = np.stack([cells[row, :, top : top + side, left : left + side] for row, top, left in members])
        drawn = self.decode_box(torch.from_numpy(squares).to(latent.device)).cpu().numpy()
        for (row, top, left), square in zip(members, drawn, strict=True):
            (y0, y1), (x0, x1) = (self._sure(start, side, whole) for start in (top, left))
            self.frames[row, px * (top + y0) : px * (top + y1), px * (left + x0) : px * (left + x1)] = square[
                px * y0 : px * y1, px * x0 : px * x1
            ]

    def _sure(self, start: int, side: int, whole: int) -> tuple[int, int]:
        """Return from where to where a square is right: not near its edges, unless they are the picture's."""
        reach = self.tokenizer.config.reach
        return (reach if start > 0 else 0), (side - reach if start + side < whole else side)
