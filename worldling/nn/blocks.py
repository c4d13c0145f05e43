"""Transformer layers over latent grids: S looks inside a frame, T looks back in time."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from worldling.nn.attention import Norm, SpaceAttention, TimeAttention
from worldling.nn.cells import at, put
from worldling.nn.sparse import SparsePattern


class Mlp(nn.Module):
    """Linear, tanh-GELU, linear: D to `hidden` channels and back; 0 is 4 D."""

    def __init__(self, width: int, hidden: int = 0) -> None:
        super().__init__()
        self.rise = nn.Linear(width, hidden or 4 * width)
        self.fall = nn.Linear(hidden or 4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fall(F.gelu(self.rise(x), approximate="tanh"))


class SpaceLayer(nn.Module):
    """Depthwise 3x3 over the grid, attention over the grid, MLP; each added to its input.

    pattern: of the attention, if it is sparse; hidden: of the MLP.
    """

    def __init__(
        self, width: int, heads: int, grid: int, pattern: SparsePattern | None = None, hidden: int = 0
    ) -> None:
        super().__init__()
        self.grid = grid
        self.near = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.norm, self.attention = Norm(width), SpaceAttention(width, heads, grid, pattern)
        self.mlp_norm, self.mlp = Norm(width), Mlp(width, hidden)

    def forward(self, x: Tensor, cells: Tensor | None = None) -> Tensor:
        """Map `[B, N, D]` to `[B, N, D]`.

        cells int64 `[G, M]`: the only cells there, for each of G equal groups of rows.
        """
        x = x + self.beside(x, cells)
        x = x + self.attention(self.norm(x), cells)
        return x + self.mlp(self.mlp_norm(x))

    def beside(self, x: Tensor, cells: Tensor | None) -> Tensor:
        """Return what the 3x3 filter makes of `[B, N, D]`; cells that are not there count as zeros."""
        if cells is None:
            plane = x.transpose(1, 2).unflatten(2, (self.grid, self.grid))
            return self.near(plane).flatten(2).transpose(1, 2)
        if len(cells) == len(x):
            return at(self.beside(put(x, cells, self.grid**2), None), cells)
        spot = cells.repeat_interleave(len(x) // len(cells), 0)[..., None].expand_as(x)
        whole = x.new_zeros(len(x), self.grid**2, x.shape[2]).scatter(1, spot, x)
        return self.beside(whole, None).gather(1, spot)


class TimeLayer(nn.Module):
    """Attention of each cell to its own past, MLP; each added to its input."""

    def __init__(self, width: int, heads: int, window: int, hidden: int = 0) -> None:
        super().__init__()
        self.norm, self.attention = Norm(width), TimeAttention(width, heads, window)
        self.mlp_norm, self.mlp = Norm(width), Mlp(width, hidden)

    def forward(self, x: Tensor, age: Tensor) -> Tensor:
        """Map a clip `[B, T, N, D]` to `[B, T, N, D]`."""
        x = x + self.attention(self.norm(x), age)
        return x + self.mlp(self.mlp_norm(x))

    def step(self, x: Tensor, keys: Tensor, values: Tensor, age: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Map one frame `[B, N, D]`, given the memory; also returns its key and value to remember."""
        mixed, key, value = self.attention.step(self.norm(x), keys, values, age)
        x = x + mixed
        return x + self.mlp(self.mlp_norm(x)), key, value
