"""A world model: tokenizer and dynamics. `World.step` makes the next frame.

    world = worldling.load("pusht")
    state = world.start(frames, actions)      # uint8 [T, H, W, 3] and the T - 1 actions between them
    step = world.step(state, action)          # step.frame is uint8 [H, W, 3]

`World` holds the weights; `State` holds everything that changes while it runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np
import torch
from torch import Tensor

from worldling.backend import Backend, Reference
from worldling.dynamics.keypoints import HINT_SIZE, Guess
from worldling.dynamics.loss import cross_entropy
from worldling.dynamics.memory import Memory, clip_age
from worldling.dynamics.model import Dynamics, DynamicsConfig
from worldling.dynamics.outcome import Outcome, OutcomeConfig
from worldling.dynamics.sampler import first_scores, start_noise
from worldling.errors import ActionError, ConfigError, ShapeError
from worldling.nn.lattice import to_levels
from worldling.state import State
from worldling.tick import TickInputs
from worldling.tokenizer.model import Tokenizer, TokenizerConfig
from worldling.types import ActionSpace, Episode, Step, check_frames


@dataclass(frozen=True)
class WorldConfig:
    """The settings from which a world's networks are built.

    context: number of real frames to start from; outcome: what is predicted of reward and termination, nothing by
    default.
    """

    name: str
    size: str
    tokenizer: TokenizerConfig
    dynamics: DynamicsConfig
    action_space: ActionSpace
    fps: float = 30.0
    context: int = 4
    outcome: OutcomeConfig = OutcomeConfig()

    def __post_init__(self) -> None:
        if self.dynamics.warp not in (0, self.tokenizer.merge):
            raise ConfigError(
                f"`dynamics.warp` must be 0 or the tokenizer's merge ({self.tokenizer.merge}), "
                f"got {self.dynamics.warp}. Use one of these."
            )


class World:
    """A trained world model. Made by `worldling.load` or by training (train/train.py); see the module's docstring.

    card: the model card (data, cost and quality), as json; contexts: a few real clips to start from; mean_frame uint8
    `[H, W, 3]`: the mean of the training frames; path: its folder on disk, if any; backend: how it runs, chosen by
    `use_backend`; outcome: predicts reward and termination, None if it does not.
    """

    surprise_unit = "nats"

    def __init__(
        self,
        config: WorldConfig,
        tokenizer: Tokenizer,
        dynamics: Dynamics,
        card: dict[str, Any] | None = None,
        contexts: list[Episode] | None = None,
        mean_frame: np.ndarray | None = None,
        path: Path | None = None,
        outcome: Outcome | None = None,
    ) -> None:
        self.config, self.card, self.path = config, card or {}, path
        self.tokenizer, self.dynamics = tokenizer.eval(), dynamics.eval()
        self.outcome = None if outcome is None else outcome.eval()
        self.contexts, self.mean_frame = contexts or [], mean_frame
        self.device = next(dynamics.parameters()).device
        self.backend: Backend = Reference(self)

    @property
    def action_space(self) -> ActionSpace:
        """The raw actions that the world takes."""
        return self.config.action_space

    @property
    def size_px(self) -> int:
        """Side of its frames in pixels."""
        return self.config.tokenizer.size_px

    @torch.inference_mode()
    def start(self, frames: Any, actions: Any, seed: int | Sequence[int] = 0) -> State:
        """Encode real frames and return the state that follows them.

        frames: uint8 `[T, H, W, 3]` or `[B, T, H, W, 3]`, T at least 1 (`config.context` or more is better);
        actions: the T - 1 raw actions that led between them, with the same leading axes; seed: of the
        noise in a stochastic world, one for all rows or one for each.
        Raises `ShapeError` or `ActionError`.
        """
        latents, vectors, batched = self._encode_clips(frames, actions)
        rows, count = latents.shape[:2]
        state = self.empty_state(rows)
        state.seeds, state.batched = torch.as_tensor(seed, dtype=torch.long).expand(rows).clone(), batched
        state.latent, state.previous = latents[:, 0].clone(), latents[:, 0].clone()
        for t in range(count - 1):
            state.memory.remember(self.backend.remember(self.inputs(state, vectors[:, t])), self.dynamics.config)
            state.previous, state.latent = state.latent, latents[:, t + 1].clone()
        if self.dynamics.keypoints is not None:
            clips = np.reshape(frames, (rows, count, *np.shape(frames)[-3:]))
            state.points = self.dynamics.keypoints.find(clips[:, -2:])[:, -1]
        if state.shown is not None:
            state.shown = self.backend.decode(state.latent)
        return state

    @torch.inference_mode()
    def surprise(self, frames: Any, actions: Any, chunk: int = 2) -> np.ndarray:
        """Return how unexpected each next frame of real clips is, given the real frames before it: nats `[B, T - 1]`.

        frames, actions: as for `start`, with T at least 2; without a batch axis the result is `[T - 1]`. chunk: clips
        computed together (on a CPU few are fastest: activations stay in its cache). It is the cross-entropy of the
        latent's levels under the head's scores (logits), summed over cells and channels; in a stochastic world (K > 1)
        under the scores of the first pass, from the same noise for all. The networks run in eager torch on any backend;
        only the encoder is the backend's. Raises `ShapeError` or `ActionError`. Cost: one full
        pass, without the decoder unless the head warps.
        """
        latents, vectors, batched = self._encode_clips(frames, actions)
        count = latents.shape[1]
        if count < 2:
            raise ShapeError(f"`frames` must be at least 2 for a surprise, got {count}. Give a longer clip.")
        config = self.dynamics.config
        noise = torch.randn(count - 1, *latents.shape[2:], generator=torch.Generator().manual_seed(0)).to(self.device)
        nats: list[Tensor] = []
        frames = np.reshape(frames, (len(latents), count, *np.shape(frames)[-3:]))
        for row in range(0, len(latents), chunk):
            now, action = latents[row : row + chunk], vectors[row : row + chunk]
            given, target = now[:, :-1], to_levels(now[:, 1:], config.levels)
            previous = torch.cat([given[:, :1], given[:, :-1]], 1)
            age = clip_age(torch.arange(count - 1, device=self.device).expand(len(now), -1), config)
            h = self.dynamics.backbone(given, previous, action, age).flatten(0, 1)
            flat, drawn = given.flatten(0, 1), noise.expand_as(given).flatten(0, 1)
            shown, hint = self.dynamics.head.render(flat, self.tokenizer), None
            if self.dynamics.keypoints is not None:
                points = self.dynamics.keypoints.find(frames[row : row + chunk, :-1])
                hint = self.dynamics.keypoints(points.flatten(0, 1), action.flatten(0, 1)).hint
            scores = first_scores(self.dynamics.head, h, flat, drawn, config.passes, shown, hint)
            nats.append(cross_entropy(scores, target.flatten(0, 1)).sum(-1).sum(-1).view(len(now), -1))
        found = torch.cat(nats).double().cpu().numpy()
        return found if batched else found[0]

    @torch.inference_mode()
    def step(self, state: State, action: Any, decode: bool = True) -> Step:
        """Make the next frame, and advance `state` in place.

        action: one raw action, or `[B, ...]` of them for a batch; decode: also decode the frame (planners
        and agents need not). Raises `ActionError`. Cost: one backbone pass, K head passes, one decoder pass; a head
        that warps (dynamics/warp.py) also encodes once a pass, and needs the frame decoded in any case.
        """
        vector = self.action_space.encode(action)
        lead = (state.batch,) if state.batched else ()
        if vector.shape[:-1] != lead:
            self.action_space.check(action, lead)  # raises
        vectors = torch.from_numpy(vector).view(state.batch, -1)
        frame = self.advance(state, vectors, decode)
        reward, terminated = self.outcomes(state.previous, state.latent, vectors)
        return Step(
            frame if frame is None or state.batched else frame[0], state.latent, state.index, reward, terminated
        )

    @torch.inference_mode()
    def outcomes(self, latent: Tensor, following: Tensor, vectors: Tensor) -> tuple[np.ndarray | None, ...]:
        """Return the reward of steps between latents `[B, N, C]`, and whether they end the episode.

        float32 and bool `[B]`; None for what is not predicted. vectors `[B, A]`: encoded actions.
        """
        if self.outcome is None:
            return None, None
        scores = self.backend.outcome(latent, following, vectors.to(self.device))
        found = self.outcome.read(scores)
        return tuple(None if part is None else part.cpu().numpy() for part in found)

    @overload
    def rollout(self, state: State, actions: Any, decode: Literal[True] = True) -> np.ndarray: ...

    @overload
    def rollout(self, state: State, actions: Any, decode: Literal[False]) -> Tensor: ...

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

    def empty_state(self, batch: int, memory_dtype: torch.dtype | None = None) -> State:
        """Return a state of `batch` rows with an empty memory, for engines to fill and backends to trace."""
        config = self.dynamics.config
        memory = Memory.empty(config, batch, self.device, memory_dtype or self.backend.memory_dtype)
        latent = torch.zeros(batch, config.tokens, config.channels, device=self.device)
        shape = (batch, self.size_px, self.size_px, 3)
        shown = torch.zeros(shape, dtype=torch.uint8, device=self.device) if config.warp else None
        points = torch.zeros(batch, 2, config.keypoints, 2, device=self.device) if config.keypoints else None
        return State(latent, latent.clone(), memory, torch.zeros(batch, dtype=torch.long), shown=shown, points=points)

    @torch.inference_mode()
    def guess(self, state: State, vectors: Tensor) -> Guess | None:
        """Guess the keypoints of the frame after `state`; None in a world without. vectors `[B, A]`: encoded.

        The state stays as it is. Cost: a small network, nothing in pixels or latents.
        """
        return None if state.points is None else self.backend.guess(state.points, vectors.to(self.device))

    def inputs(self, state: State, vectors: Tensor, guess: Guess | None = None) -> TickInputs:
        """Return the inputs of the next frame of `state`; vectors `[B, A]`: encoded actions.

        guess: of `guess`; without one the hint is zero, which is enough to remember a real frame.
        """
        hint = None if guess is None else guess.hint
        if hint is None and state.points is not None:
            hint = torch.zeros(state.batch, self.dynamics.config.tokens, HINT_SIZE, device=self.device)
        return TickInputs(
            latent=state.latent,
            previous=state.previous,
            action=vectors.to(self.device),
            age=state.memory.age(self.dynamics.config).to(self.device),
            noise=start_noise(self.dynamics.config, state.seeds, state.memory.index).to(self.device),
            shown=state.shown,
            hint=hint,
            memory=tuple(state.memory.tensors),
            points=None if guess is None else guess.points,
        )

    @torch.inference_mode()
    def advance(
        self, state: State, vectors: Tensor, decode: bool = True, rows: Tensor | None = None
    ) -> np.ndarray | None:
        """Make one frame for every row, advance `state` in place and return frames uint8 `[B, H, W, 3]`.

        vectors: encoded actions `[B, A]`; rows: int64, the only rows to advance (the others stay as they
        are, and their frames are meaningless); None advances all. This is `step` without its checks.
        """
        warps, guess = state.shown is not None, self.guess(state, vectors)
        made = self.backend.tick(self.inputs(state, vectors, guess), decode or warps)
        state.memory.remember(made.memory, self.dynamics.config, rows)
        latent, before, frame = made.latent, state.latent, made.frame
        if rows is not None:
            moves = torch.zeros(state.batch, 1, 1, dtype=torch.bool).index_fill(0, rows, True).to(self.device)
            before, latent = torch.where(moves, before, state.previous), torch.where(moves, latent, before)
            if frame is not None and state.shown is not None:
                frame = torch.where(moves[..., None], frame, state.shown)
            if guess is not None and state.points is not None:
                guess = guess._replace(points=torch.where(moves[..., None], guess.points, state.points))
        state.previous, state.latent = before, latent
        state.points = None if guess is None else guess.points
        state.index += 1
        if warps:
            state.shown = frame
        if frame is None or not decode:
            return None
        pixels = frame.cpu().numpy()
        return pixels.copy() if warps else pixels  # the state keeps the frame: callers get a copy

    def _encode_clips(self, frames: Any, actions: Any) -> tuple[Tensor, Tensor, bool]:
        """Check and encode clips and their actions, as `start` takes them.

        Returns latents `[B, T, N, C]`, action vectors `[B, T - 1, A]`, and whether the input had a batch axis.
        """
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

    @torch.inference_mode()
    def encode(self, frames: Any, chunk: int = 64) -> Tensor:
        """Turn uint8 frames `[..., H, W, 3]` into latents `[..., N, C]`, on the lattice in [-1, 1]."""
        frames = np.asarray(frames)
        flat = torch.from_numpy(np.ascontiguousarray(frames.reshape(-1, *frames.shape[-3:])))
        parts = [self.backend.encode(p) for p in flat.split(chunk)]
        latents = torch.cat(parts)
        return latents.view(*frames.shape[:-3], *latents.shape[1:])

    @torch.inference_mode()
    def decode(self, latents: Tensor, chunk: int = 64) -> np.ndarray:
        """Turn latents `[..., N, C]` into uint8 frames `[..., H, W, 3]`."""
        flat = latents.reshape(-1, *latents.shape[-2:])
        frames = torch.cat([self.backend.decode(p).cpu() for p in flat.split(chunk)]).numpy()
        return frames.reshape(*latents.shape[:-2], *frames.shape[1:])
