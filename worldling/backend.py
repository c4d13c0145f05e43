"""The seam to every way of running a world: the protocol `Backend`, and the reference that all are compared with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from worldling.dynamics.keypoints import Guess
from worldling.dynamics.model import Dynamics
from worldling.dynamics.outcome import Outcome
from worldling.tick import CellTick, Tick, TickInputs, TickOutputs
from worldling.tokenizer.model import Tokenizer
from worldling.types import float_to_frames, frames_to_float


class Networks(Protocol):
    """What a backend runs: the networks of a `World`. outcome: None if it predicts no reward and no end."""

    tokenizer: Tokenizer
    dynamics: Dynamics
    outcome: Outcome | None
    device: torch.device


class Backend(Protocol):
    """One way of running a world's networks: `Reference` here, the fast ones in `worldling/backends/`.

    name: as in `use_backend`; reason: why it was chosen, and how it was built; memory_dtype: of the memory of states
    that start on it. Tensors are on the world's device.
    """

    name: str
    reason: str
    memory_dtype: torch.dtype

    def tick(self, inputs: TickInputs, decode: bool) -> TickOutputs:
        """Make the next frame. The caller may keep latent and frame; the next call may overwrite the memory."""
        ...

    def encode(self, frames: Tensor) -> Tensor:
        """Turn frames uint8 `[B, H, W, 3]` into latents `[B, N, C]`."""
        ...

    def decode(self, latents: Tensor) -> Tensor:
        """Turn latents `[B, N, C]` into frames uint8 `[B, H, W, 3]`."""
        ...

    def remember(self, inputs: TickInputs) -> Sequence[Tensor]:
        """Return `TickOutputs.memory` alone: the keys and values of a real frame."""
        ...

    def guess(self, points: Tensor, action: Tensor) -> Guess:
        """Guess the keypoints of the next frame, in fp32, from points `[B, 2, K, 2]` and encoded actions `[B, A]`."""
        ...

    def outcome(self, latent: Tensor, following: Tensor, action: Tensor) -> Tensor:
        """Return the scores of `Outcome` of a step between latents `[B, N, C]`, in fp32; action `[B, A]`: encoded."""
        ...

    def like(self, world: Any) -> Backend:
        """Return the same kind of backend for `world`, a `World`: the same networks with other weights.

        Cost: some seconds at most; a backend that takes longer to build returns a similar one that does not.
        """
        ...


class Reference:
    """The `Backend` in eager fp32 torch: the other backends are compared with it."""

    name, memory_dtype = "reference", torch.float32

    def __init__(self, world: Networks, reason: str = "eager fp32 torch") -> None:
        self.tokenizer, self.scorer, self.reason = world.tokenizer, world.outcome, reason
        self.ticks = {decode: Tick(world.tokenizer, world.dynamics, decode) for decode in (True, False)}
        self.device = world.device

    def tick(self, inputs: TickInputs, decode: bool) -> TickOutputs:
        """Make the next frame, as in `Backend.tick`."""
        return self.ticks[decode](inputs)

    def warm_up(self, counts: Sequence[int], sides: Sequence[int]) -> None:
        """Do nothing: eager code needs no preparation."""

    def tick_cells(self, inputs: TickInputs, cells: Tensor, rows: Tensor) -> TickOutputs:
        """Make cells int64 `[B, M]` of the next frame alone, as `CellTick` does; rows int64 `[B]`: of the memory."""
        made: TickOutputs = CellTick(self.ticks[False])(inputs, cells, rows)
        return made

    def decode_box(self, cells: Tensor) -> Tensor:
        """Turn a square of cells `[B, n, s, s]`, with n codes each, into its pixels uint8 `[B, H, W, 3]`."""
        return float_to_frames(self.tokenizer.decode_cells(cells))

    def encode(self, frames: Tensor) -> Tensor:
        """Turn frames uint8 `[B, H, W, 3]` into latents `[B, N, C]`."""
        return self.tokenizer.encode(frames_to_float(frames.to(self.device)))

    def decode(self, latents: Tensor) -> Tensor:
        """Turn latents `[B, N, C]` into frames uint8 `[B, H, W, 3]`."""
        return float_to_frames(self.tokenizer.decode(latents.to(self.device)))

    def remember(self, inputs: TickInputs) -> Sequence[Tensor]:
        """Return the keys and values of a real frame, as in `Backend.remember`."""
        return self.ticks[False].run_backbone(inputs)[1]

    def guess(self, points: Tensor, action: Tensor) -> Guess:
        """Guess the keypoints of the next frame, as in `Backend.guess`."""
        keypoints = self.ticks[False].dynamics.keypoints
        assert keypoints is not None, "only a world with keypoints has points"
        guess: Guess = keypoints(points, action)
        return guess

    def move(self, points: Tensor, action: Tensor) -> Tensor:
        """Guess the keypoints alone, `Guess.points`, as `guess` does."""
        keypoints = self.ticks[False].dynamics.keypoints
        assert keypoints is not None, "only a world with keypoints has points"
        return keypoints.move(points, action)

    def paint(self, points: Tensor, cells: Tensor | None) -> Tensor:
        """Return the hint `[B, M, E]` of cells int64 `[B, M]`, or of all, for keypoints `[B, K, 2]` to come."""
        keypoints = self.ticks[False].dynamics.keypoints
        assert keypoints is not None, "only a world with keypoints has points"
        hint: Tensor = keypoints.painter(points, cells)
        return hint

    def outcome(self, latent: Tensor, following: Tensor, action: Tensor) -> Tensor:
        """Return the scores of a step, as in `Backend.outcome`."""
        assert self.scorer is not None, "only a world that predicts outcomes has scores of them"
        scores: Tensor = self.scorer(latent, following, action)
        return scores

    def like(self, world: Networks) -> Reference:
        """Return the reference backend of another world."""
        return Reference(world)
