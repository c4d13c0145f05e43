"""Take some cells out of a grid, and put them back: by rows of a table, which engines do faster than by elements."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor


def at(
    whole: Float[Tensor, "G *r N D"], cells: Int[Tensor, "B M"], rows: Int[Tensor, " B"] | None = None
) -> Float[Tensor, "B *r M D"]:
    """Return what `[G, ..., N, D]` has at cells int64 `[B, M]`, of its rows int64 `[B]`, of each if None (G = B)."""
    rows = torch.arange(whole.shape[0], device=cells.device) if rows is None else rows
    num_cells, past = whole.shape[-2], whole.shape[1:-2]
    if not past:
        places = rows[:, None] * num_cells + cells
    else:
        slots = rows[:, None] * past[0] + torch.arange(past[0], device=cells.device)
        places = slots[:, :, None] * num_cells + cells[:, None]
    return whole.reshape(-1, whole.shape[-1])[places]


def put(part: Float[Tensor, "B M D"], cells: Int[Tensor, "B M"], num_cells: int) -> Float[Tensor, "B N D"]:
    """Return a grid of N = num_cells cells with `part` at `cells`, and zeros elsewhere."""
    rows, size = part.shape[0], part.shape[-1]
    table = part.new_zeros(rows * num_cells, size)
    places = torch.arange(rows, device=cells.device)[:, None] * num_cells + cells
    return table.index_put_((places.reshape(-1),), part.reshape(-1, size)).reshape(rows, num_cells, size)
