"""One frame as a pure function of tensors: `Tick`, which every backend runs, its inputs and its outputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from jaxtyping import Int
from torch import Tensor, nn

from worldling.dynamics.model import Dynamics
from worldling.dynamics.sampler import denoise
from worldling.dynamics.warp import Rendered
from worldling.nn.cells import at
from worldling.tokenizer.model import Tokenizer
from worldling.types import float_to_frames, frames_to_float


class TickInputs(NamedTuple):
    """Inputs of `Tick`: what the next frame of B rows is made from.

    latent, previous `[B, N, C]`: the current frame and the one before; action `[B, A]`: encoded; age int64 `[B, R]`:
    of every memory slot, in frames; noise `[B, N, C]`: standard normal, zeros in deterministic worlds; shown uint8
    `[B, H, W, 3]`: the current frame as it was decoded, if the head warps (dynamics/warp.py), else None; hint
    `[B, N, E]`: of the keypoints of the next frame, in worlds that have them (dynamics/keypoints.py), else None;
    memory: key, value, key, value ... of each T layer, each `[B, R, N, D]`; points `[B, 2, K, 2]`: keypoints of the
    next frame and of the current one, in worlds that have them: no input of the computation, but they say where things
    go.
    """

    latent: Tensor
    previous: Tensor
    action: Tensor
    age: Tensor
    noise: Tensor
    shown: Tensor | None
    hint: Tensor | None
    memory: tuple[Tensor, ...]
    points: Tensor | None = None

    @property
    def batch(self) -> int:
        """B, the number of rows."""
        return len(self.latent)

    @property
    def small(self) -> tuple[Tensor, ...]:
        """All tensors but memory and points, in the order of the fields."""
        extra = (tensor for tensor in (self.shown, self.hint) if tensor is not None)
        return (self.latent, self.previous, self.action, self.age, self.noise, *extra)

    def flat(self) -> tuple[Tensor, ...]:
        """Return all tensors but the points, in the order of the fields, as graphs take them."""
        return (*self.small, *self.memory)

    @classmethod
    def from_flat(cls, tensors: Sequence[Tensor], warps: bool, hinted: bool) -> TickInputs:
        """Undo `flat`; warps, hinted: whether there is a `shown`, and a `hint`, among them."""
        latent, previous, action, age, noise, *rest = tensors
        shown = rest.pop(0) if warps else None
        hint = rest.pop(0) if hinted else None
        return cls(latent, previous, action, age, noise, shown, hint, tuple(rest))

    def of(self, rows: Tensor) -> TickInputs:
        """Return copies of rows int64, of all but the memory, which stays whole."""
        few = [tensor[rows] for tensor in self.small]
        part = self.from_flat((*few, *self.memory), self.shown is not None, self.hint is not None)
        return part if self.points is None else part._replace(points=self.points[rows])

    def split(self, count: int) -> list[TickInputs]:
        """Return views of `count` parts of the rows, of equal size as far as possible."""
        parts = zip(*(tensor.tensor_split(count) for tensor in self.flat()), strict=True)
        return [self.from_flat(part, self.shown is not None, self.hint is not None) for part in parts]


class TickOutputs(NamedTuple):
    """Outputs of `Tick`: the next frame of B rows.

    latent `[B, N, C]`; frame uint8 `[B, H, W, 3]`, or None if not decoded; memory: keys and values of the current frame
    (that of `TickInputs.latent`), each `[B, N, D]`, in the order of `TickInputs.memory`.
    """

    latent: Tensor
    frame: Tensor | None
    memory: tuple[Tensor, ...]

    def flat(self) -> tuple[Tensor, ...]:
        """Return all tensors in the order of the fields, as graphs give them."""
        return (self.latent, *(() if self.frame is None else (self.frame,)), *self.memory)

    @classmethod
    def from_flat(cls, tensors: Sequence[Tensor], decode: bool) -> TickOutputs:
        """Undo `flat`; decode: whether there is a frame among them."""
        latent, *rest = tensors
        frame = rest.pop(0) if decode else None
        return cls(latent, frame, tuple(rest))


class Tick(nn.Module):
    """The computation of one frame. decode: whether the frame is decoded too."""

    def __init__(self, tokenizer: Tokenizer, dynamics: Dynamics, decode: bool) -> None:
        super().__init__()
        self.tokenizer, self.dynamics, self.decode = tokenizer, dynamics, decode

    def forward(self, inputs: TickInputs) -> TickOutputs:
        """Make the next frame."""
        h, memory = self.run_backbone(inputs)
        shown = None if inputs.shown is None else Rendered(frames_to_float(inputs.shown), self.tokenizer)
        passes = self.dynamics.config.passes
        latent = denoise(self.dynamics.head, h, inputs.latent, inputs.noise, passes, shown, inputs.hint)
        frame = float_to_frames(self.tokenizer.decode(latent)) if self.decode else None
        return TickOutputs(latent, frame, memory)

    def run_backbone(self, inputs: TickInputs) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Run the backbone alone: features h `[B, N, D]`, and keys and values as in `TickOutputs.memory`."""
        latent, previous, action, age, *_ = inputs
        h, memory = self.dynamics.backbone.step(latent, previous, action, list(inputs.memory), age)
        return h, tuple(memory)


class CellTick(nn.Module):
    """The computation of some cells of the next frame alone, as if there were no others; the memory has all cells.

    Training shows the dynamics the cells that change most, without the others, in most of its steps (dynamics/loss.py).
    """

    def __init__(self, tick: Tick) -> None:
        super().__init__()
        self.tick = tick

    def forward(self, inputs: TickInputs, cells: Int[Tensor, "B M"], rows: Int[Tensor, " B"]) -> TickOutputs:
        """Make cells int64 `[B, M]` of the next frame: latent `[B, M, C]`, no frame, and memory, each `[B, M, D]`.

        The memory of `inputs` may have more rows: rows int64 `[B]` says which are theirs.
        """
        dynamics, head = self.tick.dynamics, self.tick.dynamics.head
        latent, previous, noise = (at(t, cells) for t in (inputs.latent, inputs.previous, inputs.noise))
        memory = [at(past, cells, rows) for past in inputs.memory]
        h, fresh = dynamics.backbone.step(latent, previous, inputs.action, memory, inputs.age, cells)
        shown = None if inputs.shown is None else Rendered(frames_to_float(inputs.shown), self.tick.tokenizer)
        hint = None if inputs.hint is None else at(inputs.hint, cells)
        made = denoise(head, h, latent, noise, dynamics.config.passes, shown, hint, cells)
        return TickOutputs(made, None, tuple(fresh))


class FlatCellTick(nn.Module):
    """A `CellTick` that takes cells, rows and `TickInputs.flat()` as arguments, as exporters need."""

    def __init__(self, tick: CellTick) -> None:
        super().__init__()
        self.tick, config = tick, tick.tick.dynamics.config
        self.warps, self.hinted = config.warp > 0, config.keypoints > 0

    def forward(self, cells: Tensor, rows: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Make some cells of the next frame: latent, then keys and values."""
        return self.tick(TickInputs.from_flat(tensors, self.warps, self.hinted), cells, rows).flat()


class FlatTick(nn.Module):
    """A Tick that takes `TickInputs.flat()` as arguments and returns `TickOutputs.flat()`, as exporters need."""

    def __init__(self, tick: Tick) -> None:
        super().__init__()
        self.tick, config = tick, tick.dynamics.config
        self.warps, self.hinted = config.warp > 0, config.keypoints > 0

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Make the next frame."""
        return self.tick(TickInputs.from_flat(tensors, self.warps, self.hinted)).flat()
