"""Sparse attention over a frame: each cell looks at its own window, and at a few summaries of the whole frame.

A pattern is written as "window:4+global:8": windows of 4 x 4 cells, 8 summaries a layer. With "+full:2" every second
layer stays dense. A window as wide as the grid, without summaries, is dense attention: the same numbers come out.

"linear", or "linear+full:2", is attention without a softmax (Katharopoulos et al., arXiv 2006.16236): all cells are
looked at, by the products of keys and values summed once a frame, so that its cost grows with the cells, not with their
pairs. It has no bias by relative position: the filter before it is what is near.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import torch
from torch import Tensor

from worldling.errors import ConfigError

#: Most summaries of a layer.
MOST_GLOBAL = 64


@dataclass(frozen=True)
class SparsePattern:
    """Which cells look at which.

    window: side of a window in cells, 0 for linear attention; num_global: summaries; full_every: 0 for none.
    """

    window: int
    num_global: int = 0
    full_every: int = 0

    @property
    def is_linear(self) -> bool:
        """Whether cells look at all others through sums."""
        return not self.window

    def is_full(self, layer: int) -> bool:
        """Whether space layer number `layer`, from 0, stays dense."""
        return bool(self.full_every) and layer % self.full_every == self.full_every - 1


def parse_pattern(text: str, grid: int) -> SparsePattern | None:
    """Return the pattern that `text` says for a grid of that side; None for no text. Raises `ConfigError`."""
    if not text:
        return None
    if linear := re.fullmatch(r"linear(?:\+full:(\d+))?", text):
        return SparsePattern(0, full_every=int(linear[1] or 0))
    parts = dict(re.findall(r"(window|global|full):(\d+)(?:\+|$)", text))
    if "+".join(f"{name}:{number}" for name, number in parts.items()) != text or "window" not in parts:
        raise ConfigError(
            f'`sparse` must be like "window:4+global:8", or "linear", with "+full:2" for a dense layer in two, got '
            f"{text!r}. Use that."
        )
    pattern = SparsePattern(*(int(parts.get(name, 0)) for name in ("window", "global", "full")))
    if not pattern.window or grid % pattern.window:
        raise ConfigError(f"`sparse` must have windows that divide the grid of {grid}, got {text!r}. Use window:4.")
    if pattern.num_global > MOST_GLOBAL:
        raise ConfigError(f"`sparse` must have at most {MOST_GLOBAL} summaries, got {text!r}. Use global:8.")
    return pattern


def same_window(cells: Tensor, grid: int, window: int) -> Tensor:
    """Return which of cells int64 `[..., M]` lie in one window, bool `[..., M, M]`."""
    number = (cells // grid // window) * (grid // window) + cells % grid // window
    return number[..., :, None] == number[..., None, :]


def to_windows(x: Tensor, grid: int, window: int) -> Tensor:
    """Fold windows into the batch: `[B, N, ...]` to `[B * W, window**2, ...]`, row by row."""
    count = grid // window
    parts = x.unflatten(1, (count, window, count, window)).transpose(2, 3)
    return parts.flatten(3, 4).flatten(0, 2)


def from_windows(x: Tensor, grid: int, window: int) -> Tensor:
    """Undo `to_windows`."""
    count = grid // window
    parts = x.unflatten(0, (-1, count, count)).unflatten(3, (window, window)).transpose(2, 3)
    return parts.flatten(1, 4)


def window_pairs(pair: Tensor, window: int, grid: int) -> Tensor:
    """Return the relative positions of pairs in a window `[window**2, window**2]`, of those of the grid `[N, N]`."""
    first = (torch.arange(window)[:, None] * grid + torch.arange(window)).flatten()
    return pair[first[:, None], first[None]]
