"""What everybody asks of a world, in one place: `WorldModel`. Judge, planners, environments and server use it alone.

Shapes as in types.py: B rows (roll-outs side by side), T time, H = W = `size_px`. Everything has its batch axis.
`worldling.World` has these members; a model that is not ours gets them from `worldling.ForeignWorld`;
`worldling.testing.WorldContract` tests the laws behind them. What a world may lack is None (or empty), never absent.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, overload

import numpy as np

from worldling.errors import ConfigError
from worldling.types import ActionSpace, Episode, Step

if TYPE_CHECKING:
    import torch


class WorldSettings(Protocol):
    """The settings of a world that others read."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    @property
    def context(self) -> int:
        """Real frames to start from, at least 1."""
        ...

    @property
    def fps(self) -> float | None:
        """Frames per second of its own time; None if not known."""
        ...


class BackendLabel(Protocol):
    """What runs a world, in words for reports and logs."""

    @property
    def name(self) -> str:
        """Its name, such as "reference"."""
        ...

    @property
    def reason(self) -> str:
        """Why and how it came to run this world; may be empty."""
        ...


class WorldState(Protocol):
    """All that changes while a world runs, for B rows: made by `WorldModel.start`, advanced in place by `step`."""

    @property
    def batch(self) -> int:
        """B, the number of rows."""
        ...

    @property
    def index(self) -> int:
        """Frames made since `start`."""
        ...

    def fork(self, n: int | None = None) -> WorldState:
        """Return an independent copy that steps as this one would; n: of B * n rows, each repeated n times in place."""
        ...


class WorldModel(Protocol):
    """A world model of square frames and raw actions."""

    @property
    def size_px(self) -> int:
        """Side of its frames."""
        ...

    @property
    def action_space(self) -> ActionSpace:
        """The raw actions it takes."""
        ...

    @property
    def config(self) -> WorldSettings:
        """Its settings."""
        ...

    @property
    def backend(self) -> BackendLabel:
        """What runs it."""
        ...

    @property
    def card(self) -> dict[str, Any]:
        """What is known about it, as json: `name`, and `source`, what its training data were recorded from.

        `source` may hold `env_id`, `frame_skip`, `env_kwargs` and `seed`, as in a data set's dataset.json. The
        judged data must agree with the first three; the seed tells whether they are held out. `cost` is what training
        took.
        """
        ...

    @property
    def path(self) -> Path | None:
        """Its folder on disk, if it has one; its report goes there by default."""
        ...

    @property
    def device(self) -> torch.device | None:
        """The torch device that it runs on, for timing; None is the CPU."""
        ...

    @property
    def contexts(self) -> Sequence[Episode]:
        """Real clips of `config.context` frames or more, to start from without a data set; may be empty."""
        ...

    @property
    def mean_frame(self) -> np.ndarray | None:
        """The mean of its training frames, uint8 `[H, W, 3]`; None if not known."""
        ...

    @property
    def surprise_unit(self) -> str:
        """Unit of `surprise`, such as "nats"."""
        ...

    def start(self, frames: np.ndarray, actions: np.ndarray, seed: int | Sequence[int] = 0) -> WorldState:
        """Look at real frames uint8 `[B, T, H, W, 3]`, T >= 1, and the raw actions `[B, T - 1, ...]` between them.

        seed: of all that is drawn at random, one for all rows or one for each. Returns the state that follows the
        frames. Leaves its inputs as they are. Raises `ShapeError` or `ActionError`.
        """
        ...

    def step(self, state: Any, action: np.ndarray, decode: bool = True) -> Step:
        """Make the next frame of every row under raw actions `[B, ...]`, and advance `state`, one of its own, in place.

        The step's frame is uint8 `[B, H, W, 3]`, and may be None with `decode=False`; its latent `[B, N, C]` is
        always there; reward and terminated, `[B]`, are None in a world that does not predict them. Raises
        `ActionError`, and then leaves `state` as it was.
        """
        ...

    @overload
    def rollout(self, state: Any, actions: np.ndarray, decode: Literal[True] = True) -> np.ndarray: ...

    @overload
    def rollout(self, state: Any, actions: np.ndarray, decode: Literal[False]) -> torch.Tensor: ...

    def rollout(self, state: Any, actions: np.ndarray, decode: bool = True) -> np.ndarray | torch.Tensor:
        """Step through raw actions `[B, T, ...]`: frames uint8 `[B, T, H, W, 3]`, or latents `[B, T, N, C]`."""
        ...

    def encode(self, frames: np.ndarray) -> torch.Tensor:
        """Turn frames uint8 `[..., H, W, 3]` into latents, floats `[..., N, C]`; pixels will do."""
        ...

    def decode(self, latents: torch.Tensor) -> np.ndarray:
        """Turn latents `[..., N, C]` into frames uint8 `[..., H, W, 3]`."""
        ...

    def surprise(self, frames: np.ndarray, actions: np.ndarray) -> np.ndarray | None:
        """Say how unexpected each next real frame is, given all that came before it; None if it cannot tell.

        frames: uint8 `[B, T, H, W, 3]`; actions: raw `[B, T - 1, ...]`. Returns floats `[B, T - 1]` that grow with the
        surprise, in `surprise_unit`.
        """
        ...


def name_of(world: WorldModel) -> str:
    """Call a world by its folder, or else by its card's name."""
    return world.path.resolve().name if world.path else str(world.card.get("name", "world"))


def check_world(world: object) -> None:
    """Raise `ConfigError`, naming what is missing, unless `world` has all members of a `WorldModel`."""
    missing = _missing(world, WorldModel)
    for name, part in (("config", WorldSettings), ("backend", BackendLabel)):
        if name not in missing:
            missing += [f"{name}.{member}" for member in _missing(getattr(world, name), part)]
    if missing:
        raise ConfigError(
            f"`world` must have all that a WorldModel has, got {type(world).__name__} without {', '.join(missing)}. "
            "Inherit worldling.ForeignWorld, or add it (see worldling/protocol.py)."
        )


def _missing(thing: object, protocol: type) -> list[str]:
    return [name for name in vars(protocol) if not name.startswith("_") and not hasattr(thing, name)]
