"""Which sides of pictures go with which grids of tokens, known before anything is recorded."""

from __future__ import annotations

#: Sides in pixels that a cell of the grid can have.
CELL_SIDES = (4, 8, 16, 32, 64)
#: Cells a side of the networks, unless a setting says otherwise.
USUAL_GRID = 8


def grid_for(size_px: int, least: int = USUAL_GRID) -> int | None:
    """Return the number of cells a side that goes with pictures of `size_px`: the smallest of `least` or more.

    The largest below if there is none; None if no grid goes with them.
    """
    grids = sorted(size_px // side for side in CELL_SIDES if size_px % side == 0)
    return next((grid for grid in grids if grid >= least), grids[-1] if grids else None)


def advice(size_px: int) -> str:
    """Return a line on pictures whose side does not go with the usual grid, empty for those whose side does."""
    if size_px % USUAL_GRID == 0 and size_px // USUAL_GRID in CELL_SIDES:
        return ""
    usual = ", ".join(str(USUAL_GRID * side) for side in CELL_SIDES)
    return f"pictures of {size_px} px do not go with the usual grid, as those of {usual} do: {remedy(size_px)}"


def remedy(size_px: int, least: int = USUAL_GRID, merge: int = 1) -> str:
    """Return what to do with pictures of `size_px`, as a clause; merge: cells a side of a token."""
    cells = grid_for(size_px, least)
    if cells is None or cells % merge:
        step = CELL_SIDES[0] * merge
        below = max(step, size_px // step * step)
        return f"record them with --size-px {below} or {below + step}, which go with a grid"
    return f"train with --set grid={cells // merge}"
