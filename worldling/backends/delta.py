"""Temporal reuse: make only the cells of a frame that may change, and draw only what they change.

    active   cells that changed by the threshold or more in the last frame, or to which a keypoint goes
    made     the active ones, then their neighbours, those unlike the mean picture, and some of the others in turn
    kept     all other cells: their latent stays, and they remember what they remembered last

Training shows the dynamics the cells that change most, alone, in most of its steps; so they can be made alone here.
Which cells are made follows from the state of their row alone, so that a fork steps as its original, and a row of a
batch as by itself. With a threshold of 0 all are active: the same computation as without. Every cell is looked at once
in `window` frames. A picture is drawn anew only around cells that changed since the last picture of its row; the rest
is exact, as the decoder sees no further (repaint.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from worldling.backend import Backend
from worldling.backends.repaint import Repaint
from worldling.dynamics.keypoints import Guess, centres
from worldling.errors import ConfigError
from worldling.nn.cells import put
from worldling.tick import TickInputs, TickOutputs
from worldling.world import World

#: Shares of the cells for which there is a smaller computation.
SHARES = (8, 4, 2)
#: A point that moves further than this between frames moves, of a picture 2 wide; how near a cell's centre must be to
#: it, in cells.
POINT_MOVES, BESIDE = 0.004, 1.0
#: Fewer cells save nothing.
LEAST_CELLS = 4


class CellBackend(Backend, Protocol):
    """A backend that can also make some cells of a frame, and draw a part of it."""

    def warm_up(self, counts: Sequence[int], sides: Sequence[int]) -> None:
        """Get ready to make so many cells of one row, and to draw squares of so many cells a side."""
        ...

    def like(self, world: World) -> CellBackend:
        """Return the same kind of backend for `world`, as `Backend.like`."""
        ...

    def tick_cells(self, inputs: TickInputs, cells: Tensor, rows: Tensor) -> TickOutputs:
        """Make the cells int64 `[B, M]` of the next frame alone, as `CellTick` does.

        The memory of `inputs` may have more rows: rows int64 `[B]` says which are theirs.
        """
        ...

    def move(self, points: Tensor, action: Tensor) -> Tensor:
        """Guess the keypoints of the next frame, `Guess.points`, from points `[B, 2, K, 2]` and actions `[B, A]`."""
        ...

    def paint(self, points: Tensor, cells: Tensor | None) -> Tensor:
        """Return the hint `[B, M, E]` of cells int64 `[B, M]`, or of all, for keypoints `[B, K, 2]` to come."""
        ...

    def decode_box(self, cells: Tensor) -> Tensor:
        """Turn a square of cells `[B, n, s, s]`, with n codes each, into its pixels uint8 `[B, H, W, 3]`."""
        ...


def delta_threshold(text: str) -> float:
    """Return the threshold that `text` says. Raises `ConfigError` unless it is 0 to 2: a latent is -1 to 1."""
    try:
        threshold = float(text)
    except ValueError:
        threshold = -1.0
    if not 0 <= threshold <= 2:  # false for nan, too
        raise ConfigError(f"`delta` must be a number from 0 to 2, got {text!r}. Use 0.02; 0 keeps nothing.")
    return threshold


class Delta:
    """A `Backend` that reuses what does not change; inner: makes what does; threshold: 0 to 2, of a latent's change."""

    def __init__(self, world: World, inner: CellBackend, threshold: float) -> None:
        self.inner, self.threshold, self.config = inner, threshold, world.dynamics.config
        self.name, self.memory_dtype = f"{inner.name}+delta={threshold:g}", inner.memory_dtype
        self.reason = f"{inner.reason}; cells that change by less than {threshold:g} are kept"
        num = self.config.tokens
        self.sizes = [num // share for share in SHARES if num // share >= LEAST_CELLS]
        if world.mean_frame is None:
            self.usual = torch.zeros(1, num, self.config.channels)
        else:
            self.usual = inner.encode(torch.from_numpy(world.mean_frame.copy())[None])
        self.centres = centres(self.config.grid)
        self.turns = (torch.arange(num) % self.config.window == torch.arange(self.config.window)[:, None]).float()
        self.repaint = Repaint(world.tokenizer, inner.decode, inner.decode_box)
        inner.warm_up(self.sizes, self.repaint.sides)

    def tick(self, inputs: TickInputs, decode: bool) -> TickOutputs:
        """Make the next frame, as in `Backend.tick`."""
        sizes = self.sizes_of(inputs)
        if min(sizes) == self.config.tokens:
            made = self.inner.tick(self.hinted(inputs), decode)
            if made.frame is not None:
                self.repaint.keep(made.latent, made.frame)
            return made
        newest = torch.arange(inputs.batch), inputs.age.argmin(1)
        latent, memory = inputs.latent.clone(), [past[newest] for past in inputs.memory]
        for size in sorted(set(sizes)):
            rows = torch.tensor([row for row, own in enumerate(sizes) if own == size])
            if size == self.config.tokens:
                part = self.hinted(inputs.of(rows))
                made = self.inner.tick(part._replace(memory=tuple(past[rows] for past in inputs.memory)), False)
                spot: tuple[Tensor, ...] = (rows,)
            else:
                part = inputs.of(rows) if len(rows) < inputs.batch else inputs
                cells = self.choose(part, size)
                made = self.inner.tick_cells(self.hinted(part, cells), cells, rows)
                spot = rows[:, None], cells
            for whole, fresh in zip((latent, *memory), (made.latent, *made.memory), strict=True):
                whole[spot] = fresh
        return TickOutputs(latent, self.repaint.draw(latent) if decode else None, tuple(memory))

    def hinted(self, inputs: TickInputs, cells: Tensor | None = None) -> TickInputs:
        """Return `inputs` with the hint that `guess` left out: of cells int64 `[B, M]`, zeros elsewhere, or of all."""
        if inputs.points is None:
            return inputs
        hint = self.inner.paint(inputs.points[:, 0], cells)
        return inputs._replace(hint=hint if cells is None else put(hint, cells, self.config.tokens))

    def active(self, inputs: TickInputs) -> Tensor:
        """Return which cells may well change: bool `[B, N]`.

        Those that changed by the threshold or more in the last frame; in worlds with keypoints also those beside which
        a point is, or will be, that moves.
        """
        active = (inputs.latent - inputs.previous).abs().amax(-1) >= self.threshold
        if inputs.points is None:
            return active
        moves = (inputs.points[:, 0] - inputs.points[:, 1]).norm(dim=-1) > POINT_MOVES  # [B, K]
        away = (inputs.points[:, :, :, None] - self.centres).abs().amax(-1)  # [B, 2, K, N]
        near = (away < BESIDE * 2 / self.config.grid).any(1) & moves[..., None]
        return active | near.any(1)

    def sizes_of(self, inputs: TickInputs) -> list[int]:
        """Return how many cells of each row are made: the least of `sizes` with room, or all N.

        There must be room for the active ones and those whose turn it is.
        """
        num = self.active(inputs).sum(1) + -(-self.config.tokens // self.config.window)
        num[inputs.age.amin(1) > self.config.window] = self.config.tokens  # nothing is remembered yet
        return [next((size for size in self.sizes if size >= n), self.config.tokens) for n in num.tolist()]

    def choose(self, inputs: TickInputs, size: int) -> Tensor:
        """Return the cells to make of each row, int64 `[B, size]`, those that may change most first."""
        active = self.active(inputs).float()
        plane = active.unflatten(1, (1, self.config.grid, self.config.grid))
        beside = F.max_pool2d(plane, 3, stride=1, padding=1).flatten(1)
        unlike = (inputs.latent - self.usual).abs().amax(-1) / 4  # below a half
        turn = self.turns[inputs.age.argmin(1) % self.config.window]
        return (8 * active + 4 * turn + 2 * beside + unlike).topk(size, dim=1).indices

    def encode(self, frames: Tensor) -> Tensor:
        """Turn frames uint8 `[B, H, W, 3]` into latents `[B, N, C]`."""
        return self.inner.encode(frames)

    def decode(self, latents: Tensor) -> Tensor:
        """Turn latents `[B, N, C]` into frames uint8 `[B, H, W, 3]`."""
        return self.inner.decode(latents)

    def remember(self, inputs: TickInputs) -> Sequence[Tensor]:
        """Return the keys and values of a real frame, as in `Backend.remember`."""
        return self.inner.remember(inputs)

    def guess(self, points: Tensor, action: Tensor) -> Guess:
        """Guess the keypoints of the next frame, as in `Backend.guess`, without the hint: it is of few cells."""
        return Guess(self.inner.move(points, action), None)

    def outcome(self, latent: Tensor, following: Tensor, action: Tensor) -> Tensor:
        """Return the scores of a step, as in `Backend.outcome`."""
        return self.inner.outcome(latent, following, action)

    def like(self, world: World) -> Delta:
        """Return the same kind of backend for `world`."""
        return Delta(world, self.inner.like(world), self.threshold)
