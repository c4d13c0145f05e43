"""A World: tokenizer and dynamics together. `World.step` makes the frame.

    world = worldling.load("pusht")
    state = world.start(frames, actions)      # uint8 [T, H, W, 3] and the T - 1 actions between them
    step = world.step(state, action)          # step.frame is uint8 [H, W, 3]

Weights live in `World`; all that changes while it runs lives in `State`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from worldling.dynamics.loss import cross_entropy
from worldling.dynamics.memory import Memory, clip_age
from worldling.dynamics.model import Dynamics, DynamicsConfig
from worldling.dynamics.sampler import denoise, first_scores
from worldling.dynamics.warp import View
from worldling.errors import ActionError, ConfigError, ShapeError
from worldling.nn.lattice import to_levels
from worldling.protocol import BackendLabel
from worldling.tokenizer.model import Tokenizer, TokenizerConfig
from worldling.types import ActionSpace, Episode, Step, check_frames, float_to_frames, frames_to_float


@dataclass(frozen=True)
class WorldConfig:
    """Everything needed to build a world's networks. context: real frames to start from."""

    name: str
    size: str
    tokenizer: TokenizerConfig
    dynamics: DynamicsConfig
    action_space: ActionSpace
    fps: float = 30.0
    context: int = 4

    def __post_init__(self) -> None:
        if self.dynamics.warp not in (0, self.tokenizer.merge):
            raise ConfigError(
                f"`dynamics.warp` must be 0 or the tokenizer's merge ({self.tokenizer.merge}), got {self.dynamics.warp}. Use one of these."
            )


@dataclass
class State:
    """What changes while a world runs, for B rows: made by `World.start`, advanced in place by `World.step`.

    latent, previous `[B, N, C]`: the frame on show and the one before; memory: the past; seeds `[B]`; index:
    frames made since start; batched: whether frames carry a batch axis; shown uint8 `[B, H, W, 3]`: the frame on show as the
    world painted it, of worlds whose head looks at it (dynamics/warp.py), else None.
    """

    latent: Tensor
    previous: Tensor
    memory: Memory
    seeds: Tensor
    index: int = 0
    batched: bool = True
    shown: Tensor | None = None

    @property
    def batch(self) -> int:
        """B, the number of rows."""
        return len(self.latent)

    def fork(self, n: int | None = None) -> "State":
        """Return an independent copy that steps as this one would; n: of B * n rows, each repeated n times in place."""
        times = 1 if n is None else n
        rows = [row for row in range(self.batch) for _ in range(times)]
        return dataclasses.replace(self.rows(rows), batched=self.batched if n is None else True)

    def rows(self, rows: Sequence[int]) -> "State":
        """Return an independent copy of some rows, repeats allowed."""
        pick = torch.as_tensor(list(rows))
        there = pick.to(self.latent.device)
        shown = None if self.shown is None else self.shown[there]
        return State(
            self.latent[there], self.previous[there], self.memory.rows(pick), self.seeds[pick], self.index, shown=shown
        )

    def reseed(self, seeds: Sequence[int]) -> None:
        """Give every row a seed of its own, so that forks of a stochastic world part ways."""
        self.seeds = torch.as_tensor(list(seeds), dtype=torch.long).expand(self.batch).clone()


class Tick(nn.Module):
    """One frame as a pure function of tensors: what every backend runs.

    forward(latent, previous, action, age, noise, *shown, *memory) returns (next latent, uint8 frame or nothing,
    *fresh keys and values). Shapes as in `Backbone.step`; frame `[B, H, W, 3]`; shown: `State.shown`, where there is one.
    """

    def __init__(self, tokenizer: Tokenizer, dynamics: Dynamics, watch: bool) -> None:
        super().__init__()
        self.tokenizer, self.dynamics, self.watch = tokenizer, dynamics, watch

    def forward(
        self, latent: Tensor, previous: Tensor, action: Tensor, age: Tensor, noise: Tensor, *more: Tensor
    ) -> tuple[Tensor, ...]:
        kept = 2 * self.dynamics.config.time_layers
        shown, memory = more[:-kept], list(more[-kept:])
        h, fresh = self.dynamics.backbone.step(latent, previous, action, memory, age)
        seen = View(frames_to_float(shown[0]), self.tokenizer) if shown else None
        following = denoise(self.dynamics.head, h, latent, noise, self.dynamics.config.passes, seen)
        frame = (float_to_frames(self.tokenizer.decode(following)),) if self.watch else ()
        return (following, *frame, *fresh)


class _Label(NamedTuple):
    name: str
    reason: str


# A runner is a Tick made fast: (inputs of Tick.forward, watch) -> outputs of Tick.forward. It gives the latent and
# the frame away; the keys and values may lie in a buffer of its own that the next call overwrites.
Runner = Callable[[Sequence[Tensor], bool], Sequence[Tensor]]


class World:
    """A trained world model. Made by `worldling.load` or by training (train/train.py); see the module's docstring.

    card: data, cost and quality, as json; contexts: a few real clips to start from; mean_frame uint8
    `[H, W, 3]`: the mean of the training frames; path: where it lies on disk, if anywhere.
    """

    def __init__(
        self,
        config: WorldConfig,
        tokenizer: Tokenizer,
        dynamics: Dynamics,
        card: dict[str, Any] | None = None,
        contexts: list[Episode] | None = None,
        mean_frame: np.ndarray | None = None,
        path: Path | None = None,
    ) -> None:
        self.config, self.card, self.path = config, card or {}, path
        self.tokenizer, self.dynamics = tokenizer.eval(), dynamics.eval()
        self.contexts, self.mean_frame = contexts or [], mean_frame
        self.device = next(dynamics.parameters()).device
        self._ticks = {watch: Tick(self.tokenizer, self.dynamics, watch) for watch in (True, False)}
        self.runner: Runner = self.reference
        self.encoder: Callable[[Tensor], Tensor] = self.eager_encoder  # frames uint8 [B, H, W, 3] to latents [B, N, C]
        self.painter: Callable[[Tensor], Tensor] = self.eager_painter  # and back
        self.reader: Callable[[Sequence[Tensor]], Sequence[Tensor]] = (
            self.eager_reader
        )  # inputs of Tick.forward to keys and values
        self.memory_dtype = torch.float32  # of states that start now; a runner may prefer half
        self.equip: Callable[[World], World] = lambda other: (
            other
        )  # lets the same networks with other weights run as this world does
        self.backend_name, self.backend_reason = "reference", "eager fp32 torch"

    @property
    def action_space(self) -> ActionSpace:
        """The actions it understands."""
        return self.config.action_space

    surprise_unit = "nats"

    @property
    def backend(self) -> BackendLabel:
        """What runs it, in words."""
        return _Label(self.backend_name, self.backend_reason)

    @property
    def size_px(self) -> int:
        """Side of its frames."""
        return self.config.tokenizer.size_px

    @property
    def small_inputs(self) -> int:
        """How many of the inputs of `Tick.forward` come before its memory: latent, previous, action, age, noise, and shown if it warps."""
        return 5 + self._warps

    @property
    def _warps(self) -> bool:
        return self.config.dynamics.warp > 0

    def tick(self, watch: bool) -> Tick:
        """Return one frame's computation as a module; for backends to export."""
        return self._ticks[watch]

    def reference(self, inputs: Sequence[Tensor], watch: bool) -> Sequence[Tensor]:
        """Run one frame eagerly in fp32: the truth that every other backend is measured against."""
        return self._ticks[watch](*inputs)

    def eager_encoder(self, frames: Tensor) -> Tensor:
        """Encode frames uint8 `[B, H, W, 3]` eagerly in fp32."""
        return self.tokenizer.encode(frames_to_float(frames.to(self.device)))

    def eager_painter(self, latents: Tensor) -> Tensor:
        """Paint latents `[B, N, C]` as frames uint8 `[B, H, W, 3]`, eagerly in fp32."""
        return float_to_frames(self.tokenizer.decode(latents.to(self.device)))

    def eager_reader(self, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
        """Return what to remember of a real frame, keys and values, given the inputs of `Tick.forward`; eagerly in fp32."""
        latent, previous, action, age, *_ = inputs
        return self.dynamics.backbone.step(latent, previous, action, list(inputs[self.small_inputs :]), age)[1]

    @torch.inference_mode()
    def start(self, frames: Any, actions: Any, seed: int | Sequence[int] = 0) -> State:
        """Look at real frames and return the state that follows them.

        frames: uint8 `[T, H, W, 3]` or `[B, T, H, W, 3]`, T at least 1 (`config.context` or more is better);
        actions: the T - 1 raw actions that led between them, with the same leading axes; seed: of a world of
        chance's noise, the same for all rows or one for each.
        Raises `ShapeError` or `ActionError`.
        """
        latents, vectors, batched = self._look(frames, actions)
        rows, count = latents.shape[:2]
        state = self.blank(rows)
        state.seeds, state.batched = torch.as_tensor(seed, dtype=torch.long).expand(rows).clone(), batched
        state.latent, state.previous = latents[:, 0].clone(), latents[:, 0].clone()
        for t in range(count - 1):
            state.memory.remember(self.reader(self.inputs(state, vectors[:, t])), self.dynamics.config)
            state.previous, state.latent = state.latent, latents[:, t + 1].clone()
        if state.shown is not None:
            state.shown = self.painter(state.latent)
        return state

    @torch.inference_mode()
    def surprise(self, frames: Any, actions: Any, chunk: int = 2) -> np.ndarray:
        """Say how unexpected each next frame of real clips is, given the true ones before it: nats `[B, T - 1]`.

        frames, actions: as for `start`, with T at least 2; without a batch axis the answer is `[T - 1]`. chunk: clips looked at
        together (on a CPU few are fastest: what lies between stays in its cache). The cross-entropy of the levels of the frame's
        latent under the head's scores, summed over its cells and channels; of a world of chance (K > 1), under the scores it begins with, from noise that is the same for all. The networks
        run in eager torch, whatever the backend; only the encoder is the backend's. Raises `ShapeError` or `ActionError`. Cost: one full pass, without the decoder unless the head warps.
        """
        latents, vectors, batched = self._look(frames, actions)
        count = latents.shape[1]
        if count < 2:
            raise ShapeError(
                f"`frames` must be at least 2 to be surprised by the next, got {count}. Give a longer clip."
            )
        config = self.dynamics.config
        noise = torch.randn(count - 1, *latents.shape[2:], generator=torch.Generator().manual_seed(0)).to(self.device)
        nats = []
        for now, action in zip(latents.split(chunk), vectors.split(chunk)):
            given, target = now[:, :-1], to_levels(now[:, 1:], config.levels)
            previous = torch.cat([given[:, :1], given[:, :-1]], 1)
            age = clip_age(torch.arange(count - 1, device=self.device).expand(len(now), -1), config)
            h = self.dynamics.backbone(given, previous, action, age).flatten(0, 1)
            flat, drawn = given.flatten(0, 1), noise.expand_as(given).flatten(0, 1)
            scores = first_scores(
                self.dynamics.head, h, flat, drawn, config.passes, self.dynamics.head.look(flat, self.tokenizer)
            )
            nats.append(cross_entropy(scores, target.flatten(0, 1)).sum(-1).sum(-1).view(len(now), -1))
        found = torch.cat(nats).double().cpu().numpy()
        return found if batched else found[0]

    @torch.inference_mode()
    def step(self, state: State, action: Any, decode: bool = True) -> Step:
        """Make the next frame, and advance `state` in place.

        action: one raw action, or `[B, ...]` of them for a batch; decode: also paint the pixels (planners
        and agents need not). Raises `ActionError`. Cost: one backbone pass, K head passes, one decoder pass; a head
        that warps (dynamics/warp.py) also encodes once a pass, and needs the frame painted in any case.
        """
        vector = self.action_space.encode(action)
        lead = (state.batch,) if state.batched else ()
        if vector.shape[:-1] != lead:
            self.action_space.check(action, lead)  # raises: it says what was wrong
        frame = self.advance(state, torch.from_numpy(vector).view(state.batch, -1), decode)
        return Step(frame if frame is None or state.batched else frame[0], state.latent, state.index)

    @torch.inference_mode()
    def rollout(self, state: State, actions: Any, decode: bool = True) -> np.ndarray | Tensor:
        """Step through `actions` `[T, ...]` or `[B, T, ...]`, advancing `state` in place.

        Returns uint8 frames `[B, T, H, W, 3]`, or latents `[B, T, N, C]` with `decode=False`. One sequence of
        actions is given to every row. Raises `ActionError`.
        """
        actions = np.asarray(actions)
        if actions.ndim == 1 + len(self.action_space.shape):
            actions = np.broadcast_to(actions, (state.batch, *actions.shape))
        if actions.ndim < 2 or len(actions) != state.batch:
            raise ActionError(
                f"`actions` must be [T, ...] or [{state.batch}, T, ...], got {list(actions.shape)}. "
                "Give one sequence for all rows, or one per row."
            )
        vectors = torch.from_numpy(self.action_space.encode(actions))
        made: list[Any] = []
        for t in range(vectors.shape[1]):
            frame = self.advance(state, vectors[:, t], decode)
            made.append(frame if decode else state.latent)
        if decode:
            return np.stack(made, 1) if made else np.zeros((state.batch, 0, self.size_px, self.size_px, 3), np.uint8)
        return torch.stack(made, 1) if made else state.latent[:, None][:, :0]

    def blank(self, batch: int, memory_dtype: torch.dtype | None = None) -> State:
        """Return a state of `batch` rows that has seen nothing: for engines to fill and backends to trace."""
        config = self.dynamics.config
        memory = Memory.empty(config, batch, self.device, memory_dtype or self.memory_dtype)
        latent = torch.zeros(batch, config.tokens, config.channels, device=self.device)
        shown = (
            torch.zeros(batch, self.size_px, self.size_px, 3, dtype=torch.uint8, device=self.device)
            if self._warps
            else None
        )
        return State(latent, latent.clone(), memory, torch.zeros(batch, dtype=torch.long), shown=shown)

    def inputs(self, state: State, vectors: Tensor) -> tuple[Tensor, ...]:
        """Return what `Tick.forward` reads to make the next frame of `state`; vectors `[B, A]`: encoded actions."""
        config, device = self.dynamics.config, self.device
        return (
            state.latent,
            state.previous,
            vectors.to(device),
            state.memory.age(config).to(device),
            self._noise(state),
            *(() if state.shown is None else (state.shown,)),
            *state.memory.tensors,
        )

    @torch.inference_mode()
    def advance(
        self, state: State, vectors: Tensor, decode: bool = True, rows: Tensor | None = None
    ) -> np.ndarray | None:
        """Make one frame for every row, advance `state` in place and return frames uint8 `[B, H, W, 3]`.

        vectors: encoded actions `[B, A]`; rows: int64, the only rows to advance (the others stand still, and
        their frames mean nothing); None advances all. This is `step` without its checks.
        """
        paint = decode or self._warps
        latent, *fresh = self.runner(self.inputs(state, vectors), paint)
        frame = fresh.pop(0) if paint else None
        state.memory.remember(fresh, self.dynamics.config, rows)
        before = state.latent
        if rows is not None:
            moves = torch.zeros(state.batch, 1, 1, dtype=torch.bool).index_fill(0, rows, True).to(self.device)
            before, latent = torch.where(moves, before, state.previous), torch.where(moves, latent, before)
            frame = torch.where(moves[..., None], frame, state.shown) if self._warps else frame
        state.previous, state.latent = before, latent
        state.index += 1
        if self._warps:
            state.shown = frame
        if not decode:
            return None
        made = frame.cpu().numpy()
        return made.copy() if self._warps else made  # what callers do to their frame the world does not see

    def _look(self, frames: Any, actions: Any) -> tuple[Tensor, Tensor, bool]:
        """Check clips and the actions between their frames, as `start` takes them; returns latents `[B, T, N, C]`,
        action vectors `[B, T - 1, A]`, and whether they came with a batch axis."""
        frames = check_frames(frames)
        batched = frames.ndim == 5
        frames = frames if batched else frames[None]
        size, count = self.size_px, frames.shape[1]
        if frames.shape[2:4] != (size, size) or count < 1 or len(frames) < 1:
            raise ShapeError(
                f"`frames` must be at least one picture of {size} x {size}, got {list(frames.shape)}. "
                f"Resize them, or load a world of the size you need."
            )
        lead = (len(frames), count - 1)
        actions = np.asarray(actions)
        if count == 1 and actions.size == 0:
            shape = (*(lead if batched else lead[1:]), *self.action_space.shape)
            actions = np.zeros(shape, self.action_space.dtype)
        self.action_space.check(actions, lead if batched else lead[1:])
        vectors = torch.from_numpy(self.action_space.encode(actions)).to(self.device)
        vectors = vectors if batched else vectors[None]
        return self.encode(frames), vectors, batched

    def _noise(self, state: State) -> Tensor:
        """Draw the head's noise `[B, N, C]` from each row's seed and frame number, so that replays agree."""
        config = self.dynamics.config
        if config.passes == 1:
            return torch.zeros_like(state.latent)
        rows = []
        for seed, index in zip(state.seeds.tolist(), state.memory.index.tolist()):
            generator = torch.Generator().manual_seed((seed * 1_000_003 + index) % 2**63)
            rows.append(torch.randn(config.tokens, config.channels, generator=generator))
        return torch.stack(rows).to(self.device)

    @torch.inference_mode()
    def encode(self, frames: Any, chunk: int = 64) -> Tensor:
        """Turn uint8 frames `[..., H, W, 3]` into latents `[..., N, C]`, on the lattice in [-1, 1]."""
        frames = np.asarray(frames)
        flat = torch.from_numpy(np.ascontiguousarray(frames.reshape(-1, *frames.shape[-3:])))
        parts = [self.encoder(p) for p in flat.split(chunk)]
        latents = torch.cat(parts)
        return latents.view(*frames.shape[:-3], *latents.shape[1:])

    @torch.inference_mode()
    def decode(self, latents: Tensor, chunk: int = 64) -> np.ndarray:
        """Turn latents `[..., N, C]` into uint8 frames `[..., H, W, 3]`."""
        flat = latents.reshape(-1, *latents.shape[-2:])
        frames = torch.cat([self.painter(p).cpu() for p in flat.split(chunk)]).numpy()
        return frames.reshape(*latents.shape[:-2], *frames.shape[1:])
