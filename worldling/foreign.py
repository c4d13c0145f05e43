"""Judge, play or serve a model that is not ours: inherit `ForeignWorld` and write two methods.

    class Mine(ForeignWorld):
        def watch(self, frames, actions, seeds):      # real frames, as numpy arrays -> whatever you remember
        def predict(self, state, actions):            # -> the next frames, and what you remember then

`foreign_world` makes one out of its name, for the command line. See docs/judge_your_own.md.
"""

from __future__ import annotations

import dataclasses
import inspect
from abc import ABC, ABCMeta, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np
import torch
from torch import Tensor

from worldling.errors import ActionError, ConfigError, ShapeError
from worldling.frame_error import frame_error
from worldling.plugin import load_callable
from worldling.protocol import WorldModel, check_world
from worldling.types import ActionSpace, Episode, Step, check_frames, float_to_frames, frames_to_float


@dataclass(frozen=True)
class ForeignConfig:
    """The settings of a foreign world.

    context: real frames it is started from; fps: frames per second of its own time, None if not known.
    """

    name: str
    context: int
    fps: float | None = None


@dataclass(frozen=True)
class OwnCode:
    """The `backend` of a world that runs itself."""

    name: str = "its own code"
    reason: str = ""


@dataclass
class ForeignState:
    """What changes while a foreign world runs.

    held: what its `watch` or `predict` returned last; batch: B; repeat: (held, n) to what is held for B * n rows.
    """

    held: Any
    batch: int
    repeat: Callable[[Any, int], Any]
    index: int = 0

    def fork(self, n: int | None = None) -> ForeignState:
        """Return a copy; n: of B * n rows, each repeated n times in place. Raises as `ForeignWorld.repeat`."""
        if n is None:
            return dataclasses.replace(self)  # what is held is never changed, so that both may hold it
        return dataclasses.replace(self, held=self.repeat(self.held, n), batch=self.batch * n)


class ForeignWorld(ABC):
    """A `WorldModel` around any model: PyTorch, JAX or none. Write `watch` and `predict`; the rest follows.

    size_px, action_space, context: see `WorldModel`; name: for the report (default: the class's); source: what
    your training data were recorded from, as far as you can tell: `{"env_id": ..., "seed": ..., "fps": ...}`.

    Latents are the pixels in [-1, 1]. A model with latents of its own may override `encode` and `decode`; one that
    has real clips to start from sets `contexts`, one that runs on a GPU sets `device`.
    """

    backend = OwnCode()
    path: Path | None = None
    device: torch.device | None = None
    mean_frame: np.ndarray | None = None
    contexts: Sequence[Episode] = ()

    def __init__(
        self,
        size_px: int,
        action_space: ActionSpace,
        context: int = 4,
        name: str = "",
        source: Mapping[str, Any] | None = None,
    ) -> None:
        if context < 1:
            raise ConfigError(f"`context` must be at least 1, got {context}. A dream begins with a real frame.")
        self.size_px, self.action_space = size_px, action_space
        fps = (source or {}).get("fps")
        self.config = ForeignConfig(name or type(self).__name__, context, None if fps is None else float(fps))
        self.card: dict[str, Any] = {"name": self.config.name, "source": dict(source or {})}

    @abstractmethod
    def watch(self, frames: np.ndarray, actions: np.ndarray, seeds: np.ndarray) -> Any:
        """Look at real frames and return what you must remember to go on; any object.

        frames: uint8 `[B, T, H, W, 3]`, T >= 1, not to be changed; actions: the raw actions `[B, T - 1, ...]`
        between them, checked; seeds: int64 `[B]`, for what you draw at random.
        """

    @abstractmethod
    def predict(self, state: Any, actions: np.ndarray) -> tuple[np.ndarray, Any]:
        """Return the next frames, uint8 `[B, H, W, 3]`, and what you remember after them.

        state: what `watch` or `predict` returned, not to be changed; actions: raw actions `[B, ...]`, checked.
        """

    def repeat(self, held: Any, n: int) -> Any:
        """Return what you remember for B * n rows, each of the B repeated n times in place, for planners.

        This default knows arrays and tensors `[B, ...]`, None, and tuples, lists and dicts of such. Override it if you
        remember anything else. Raises `ConfigError` on what it does not know.
        """
        if held is None:
            return None
        if isinstance(held, np.ndarray):
            return np.repeat(held, n, axis=0)
        if isinstance(held, Tensor):
            return held.repeat_interleave(n, 0)
        if type(held) in (tuple, list):
            return type(held)(self.repeat(part, n) for part in held)
        if type(held) is dict:
            return {key: self.repeat(part, n) for key, part in held.items()}
        raise ConfigError(
            f"`repeat` must be written for what this world remembers, got {type(held).__name__}. "
            f"Override {type(self).__name__}.repeat(held, n)."
        )

    @property
    def surprise_unit(self) -> str:
        """Unit of `surprise`; say it if you override that."""
        return "pixel error" if type(self).surprise is ForeignWorld.surprise else "a unit of its own"

    def start(self, frames: Any, actions: Any, seed: int | Sequence[int] = 0) -> ForeignState:
        """Look at real frames, as in `WorldModel.start`. Raises `ShapeError` or `ActionError`."""
        frames = check_frames(frames, ndim=(5,))
        size, (batch, count) = self.size_px, frames.shape[:2]
        if frames.shape[2:4] != (size, size) or not count:
            raise ShapeError(
                f"`frames` must be at least one picture of {size} x {size}, got {list(frames.shape)}. Resize them."
            )
        actions = self.action_space.check(actions, (batch, count - 1))
        seeds = np.broadcast_to(np.asarray(seed, np.int64), (batch,)).copy()
        return ForeignState(self.watch(frames, actions, seeds), batch, self.repeat)

    def step(self, state: ForeignState, action: Any, decode: bool = True) -> Step:
        """Make the next frame of every row, as in `WorldModel.step`.

        Raises `ActionError`, or `ShapeError` if `predict` gives something else than frames and a state.
        """
        frames = self._advance(state, self.action_space.check(action, (state.batch,)))
        return Step(frames if decode else None, self.encode(frames), state.index)

    @overload
    def rollout(self, state: ForeignState, actions: Any, decode: Literal[True] = True) -> np.ndarray: ...

    @overload
    def rollout(self, state: ForeignState, actions: Any, decode: Literal[False]) -> Tensor: ...

    def rollout(self, state: ForeignState, actions: Any, decode: bool = True) -> np.ndarray | Tensor:
        """Step through raw actions `[B, T, ...]`, as in `WorldModel.rollout`. Raises as `step` does."""
        actions = self.action_space.check(actions)
        lead = actions.shape[: actions.ndim - len(self.action_space.shape)]
        if len(lead) != 2 or lead[0] != state.batch:
            raise ActionError(
                f"`actions` must be [{state.batch}, T, ...], got {list(actions.shape)}. Give one sequence per row."
            )
        frames = np.empty((*lead, self.size_px, self.size_px, 3), np.uint8)
        for t in range(lead[1]):
            frames[:, t] = self._advance(state, actions[:, t])
        return frames if decode else self.encode(frames)

    def encode(self, frames: np.ndarray) -> Tensor:
        """Turn frames uint8 `[..., H, W, 3]` into their pixels in [-1, 1]: float32 `[..., H * W, 3]`."""
        return frames_to_float(torch.from_numpy(np.array(frames))).movedim(-3, -1).flatten(-3, -2)

    def decode(self, latents: Tensor) -> np.ndarray:
        """Turn pixels `[..., H * W, 3]` into frames uint8 `[..., H, W, 3]`."""
        return float_to_frames(latents.unflatten(-2, (self.size_px, self.size_px)).movedim(-1, -3)).numpy()

    def surprise(self, frames: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """Return how far each next real frame is from the one predicted from the whole true past: `[B, T - 1]`.

        frames: uint8 `[B, T, H, W, 3]`; actions `[B, T - 1, ...]`. Unit: mean squared error of pixels in [0, 1].
        Cost: the past is watched anew for every frame, T * T / 2 frames; override it if yours can do better.
        """
        errors = []
        for t in range(1, frames.shape[1]):
            made = self._advance(self.start(frames[:, :t], actions[:, : t - 1]), actions[:, t - 1])
            errors.append(frame_error(made, frames[:, t]))
        return np.stack(errors, 1) if errors else np.zeros((len(frames), 0))

    def _advance(self, state: ForeignState, actions: np.ndarray) -> np.ndarray:
        """Make one frame for every row, uint8 `[B, H, W, 3]`, after looking at what `predict` gave."""
        made = self.predict(state.held, actions)
        if not isinstance(made, tuple) or len(made) != 2:
            raise ShapeError(f"`predict` must return (frames, state), got {type(made).__name__}. Return both.")
        frames, wanted = np.asarray(made[0]), (state.batch, self.size_px, self.size_px, 3)
        if frames.dtype != np.uint8 or frames.shape != wanted:
            raise ShapeError(
                f"`predict` must return frames uint8 {list(wanted)}, got {frames.dtype} {list(frames.shape)}. "
                "Clip and round to 0..255, and keep the colour axis last."
            )
        state.held, state.index = made[1], state.index + 1
        return frames


def foreign_world(text: str, arguments: Mapping[str, Any]) -> WorldModel:
    """Make the world that `text` names, `file.py:callable` or `module:callable`, by calling it with `arguments`.

    Raises `ConfigError` if there is no such callable, it takes other arguments, or what it makes is not a `WorldModel`.
    """
    make = load_callable(text, "world")
    try:
        inspect.signature(make).bind(**arguments)
    except TypeError as error:
        raise ConfigError(
            f"`--world-arg` must give what {text} takes, {inspect.signature(make)}, got: {error}. "
            "Write --world-arg NAME=VALUE for each."
        ) from None
    if isinstance(make, ABCMeta) and inspect.isabstract(make):
        unwritten = ", ".join(sorted(make.__abstractmethods__))
        raise ConfigError(f"`{text}` must be a whole world, got a class without {unwritten}. Write it.")
    world: WorldModel = make(**arguments)
    check_world(world)
    return world
