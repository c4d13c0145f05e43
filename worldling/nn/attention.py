"""Two attentions: over the cells of one frame (space), and over past frames at one cell (time).

Both are written out as matrix products with an fp32 softmax: at 64 tokens that trains 1.6x faster on a
CPU than the fused kernel, whose bf16 backward is slow there, and it exports to any engine. Attention over
space may be sparse (sparse.py).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from worldling.nn.sparse import SparsePattern, from_windows, same_window, to_windows, window_pairs

MASKED = -1e4  # added to a score that must not count; finite, so that bf16 and int8 engines keep it


class Norm(nn.RMSNorm):
    """RMSNorm whose gain follows its input's precision, so that it stays one fused kernel under autocast."""

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.normalized_shape, self.weight.to(x.dtype), 1e-6)


class SpaceAttention(nn.Module):
    """Attention among the N = grid*grid cells of a frame, with a learned bias per relative position.

    The bias starts as one bump per head around a nearby cell, so that heads begin as a local filter
    and learn to look further (after ConViT, arXiv 2103.10697). pattern: cells look at their window only, and at
    summaries of the frame, which learned queries gather in each layer; or at all of them by linear attention.
    """

    pair: Tensor
    pair_in_window: Tensor

    def __init__(self, width: int, heads: int, grid: int, pattern: SparsePattern | None = None) -> None:
        super().__init__()
        self.heads, self.grid, self.pattern = heads, grid, pattern
        self.is_linear = pattern is not None and pattern.is_linear
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.q_norm, self.k_norm = Norm(width // heads), Norm(width // heads)
        if self.is_linear:
            return
        cells = torch.stack(torch.meshgrid(torch.arange(grid), torch.arange(grid), indexing="ij"), -1).view(-1, 2)
        offset = cells[:, None] - cells[None] + grid - 1
        self.register_buffer("pair", offset[..., 0] * (2 * grid - 1) + offset[..., 1], persistent=False)
        self.position = nn.Parameter(self._bumps(heads, grid))
        if pattern is not None:
            self.register_buffer("pair_in_window", window_pairs(self.pair, pattern.window, grid), persistent=False)
        if pattern is not None and pattern.num_global:
            self.ask = nn.Parameter(torch.randn(heads, pattern.num_global, width // heads))
            self.global_bias = nn.Parameter(torch.zeros(heads, pattern.num_global))

    @staticmethod
    def _bumps(heads: int, grid: int) -> Tensor:
        side = torch.arange(2 * grid - 1) - (grid - 1)
        dy, dx = torch.meshgrid(side, side, indexing="ij")
        centres = [(0, 0), (-1, 0), (1, 0), (0, -1), (0, 1), (0, 0), (-1, -1), (1, 1)]
        rows = []
        for head in range(heads):
            cy, cx = centres[head % len(centres)]
            rows.append(-0.5 * ((dy - cy) ** 2 + (dx - cx) ** 2).float().clamp(max=8) * (1 if head % 2 == 0 else 0.25))
        return torch.stack([r.flatten() for r in rows])

    def forward(self, x: Tensor, cells: Tensor | None = None) -> Tensor:
        """Mix `[B, N, D]` over N; cells int64 `[G, M]`: the only cells there, for each of G equal groups of rows."""
        b, n, d = x.shape
        q, k, v = self.qkv(x).view(b, n, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        q, k = self.q_norm(q), self.k_norm(k)
        if self.pattern is not None:
            mixed = linear_attention(q, k, v) if self.is_linear else self._sparse(q, k, v, cells)
            return self.out(mixed.transpose(1, 2).reshape(b, n, d))
        scores = (q @ k.transpose(-1, -2)).float() * (d // self.heads) ** -0.5 + self.bias(b, cells)
        mixed = scores.softmax(-1).to(v.dtype) @ v
        return self.out(mixed.transpose(1, 2).reshape(b, n, d))

    def _sparse(self, q: Tensor, k: Tensor, v: Tensor, cells: Tensor | None) -> Tensor:
        """Mix values `[B, heads, N, D / heads]` within windows and with summaries of the frame.

        Where all cells are there, windows are folded into the batch; else pairs of different windows are masked.
        """
        assert self.pattern is not None, "dense attention has its own way"
        scale, window, side = q.shape[-1] ** -0.5, self.pattern.window, self.grid
        if cells is None:
            near = [self._fold(t) for t in (q, k, v)]
            bias = self.position[:, self.pair_in_window].float()
        else:
            near, bias = [q, k, v], self.bias(len(q), cells)
            apart = ~same_window(cells, side, window).repeat_interleave(len(q) // len(cells), 0)
            bias = bias + MASKED * apart[:, None]
        scores = (near[0] @ near[1].transpose(-1, -2)).float() * scale + bias
        if not self.pattern.num_global:
            mixed = scores.softmax(-1).to(v.dtype) @ near[2]
            return mixed if cells is not None else self._unfold(mixed)
        keys, values = self._summaries(k, v)
        far = (q @ keys.transpose(-1, -2)).float() * scale + self.global_bias.float()[:, None]
        weight = torch.cat([scores, far if cells is not None else self._fold(far)], -1).softmax(-1).to(v.dtype)
        inside, outside = weight.split([scores.shape[-1], self.pattern.num_global], -1)
        if cells is not None:
            return inside @ v + outside @ values
        return self._unfold(inside @ near[2]) + self._unfold(outside) @ values

    def _fold(self, x: Tensor) -> Tensor:
        """Fold windows into the batch: `[B, heads, N, n]` to `[B * W, heads, window**2, n]`."""
        assert self.pattern is not None, "dense attention has no windows"
        return to_windows(x.transpose(1, 2), self.grid, self.pattern.window).transpose(1, 2)

    def _unfold(self, x: Tensor) -> Tensor:
        """Undo `_fold`."""
        assert self.pattern is not None, "dense attention has no windows"
        return from_windows(x.transpose(1, 2), self.grid, self.pattern.window).transpose(1, 2)

    def _summaries(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Return keys and values `[B, heads, G, D / heads]` of what the learned queries gather from all cells."""
        asked = self.q_norm(self.ask).to(k.dtype) * k.shape[-1] ** -0.5
        weight = (asked @ k.transpose(-1, -2)).float().softmax(-1).to(v.dtype)
        return self.k_norm(weight @ k), weight @ v

    def bias(self, rows: int, cells: Tensor | None) -> Tensor:
        """Return the bias of every pair of cells, `[heads, N, N]` or `[rows, heads, M, M]`."""
        if cells is None:
            return self.position[:, self.pair].float()
        pair = self.pair[cells[:, :, None], cells[:, None, :]]
        bias = self.position[:, pair].float().transpose(0, 1)
        return bias if rows == len(cells) else bias.repeat_interleave(rows // len(cells), 0)


def linear_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Mix values `[B, heads, N, d]` by positive features of queries and keys, ELU + 1, instead of a softmax."""
    asked, keys = F.elu(q.float()) + 1, F.elu(k.float()) + 1
    gathered = keys.transpose(-1, -2) @ v.float() / k.shape[-2]
    total = asked @ keys.mean(-2, keepdim=True).transpose(-1, -2)
    return (asked @ gathered / total).to(v.dtype)


class TimeAttention(nn.Module):
    """Attention of each cell to itself in past frames, with a learned bias per age.

    age: 0 is the frame itself, 1 the one before, up to `window`; everything older (a sink) has the age
    `window + 1`; `window + 2` means "not there". Ages are relative, so positions never leave the range
    seen in training, however long a roll-out runs.
    """

    def __init__(self, width: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads, self.window = heads, window
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.q_norm, self.k_norm = Norm(width // heads), Norm(width // heads)
        start = -0.3 * torch.arange(window + 2).float()
        self.age_bias = nn.Parameter(start[:, None].repeat(1, heads) * torch.linspace(0.25, 2.0, heads))

    def bias(self, age: Tensor) -> Tensor:
        """Return the bias `[..., heads]` of each age; "not there" is masked."""
        table = torch.cat([self.age_bias.float(), self.age_bias.new_full((1, self.heads), MASKED).float()])
        return table[age]

    def _project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).unbind(-3)
        return self.q_norm(q) * q.shape[-1] ** -0.5, self.k_norm(k), v

    def forward(self, x: Tensor, age: Tensor) -> Tensor:
        """Mix `[B, T, N, D]` over T; age `[B, T, T]` of key frame (last axis) seen from query frame."""
        q, k, v = (t.permute(0, 2, 3, 1, 4) for t in self._project(x))  # [B, N, heads, T, D / heads]
        scores = (q @ k.transpose(-1, -2)).float() + self.bias(age).permute(0, 3, 1, 2)[:, None]
        mixed = scores.softmax(-1).to(v.dtype) @ v
        return self.out(mixed.permute(0, 3, 1, 2, 4).flatten(-2))

    def step(self, x: Tensor, keys: Tensor, values: Tensor, age: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Mix one frame `[B, N, D]` with the memory `[B, R, N, D]`; age `[B, R]` of each slot.

        Returns the mixed frame and its own key and value `[B, N, D]`, for the caller to remember.
        Single-query attention is memory bound: multiply and add beat a matrix product here.
        """
        q, k, v = self._project(x)
        past_k, past_v = keys.unflatten(-1, (self.heads, -1)), values.unflatten(-1, (self.heads, -1))
        past = (q[:, None] * past_k).sum(-1).float() + self.bias(age)[:, :, None]
        own = (q * k).sum(-1, keepdim=False).float()[:, None] + self.bias(torch.zeros_like(age[:, :1]))[:, :, None]
        weight = torch.cat([past, own], 1).softmax(1).to(v.dtype)[..., None]
        mixed = (weight[:, :-1] * past_v).sum(1) + weight[:, -1] * v
        return self.out(mixed.flatten(-2)), k.flatten(-2), v.flatten(-2)
