"""What the judge asks of a world, in one place: `JudgedWorld`. Whatever has these parts can be judged.

Shapes as in types.py: B rows (dreams side by side), T time, H = W = `size_px`. Everything has its batch axis.
`worldling.World` has these parts; a model that is not ours gets them from `adapter.ForeignWorld`;
`worldling.testing.WorldContract` tests the laws behind them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from worldling.errors import JudgeError
from worldling.types import ActionSpace, Step

if TYPE_CHECKING:
    import torch


class JudgedConfig(Protocol):
    """The settings the judge reads."""

    @property
    def context(self) -> int:
        """Real frames shown before each dream, at least 1."""
        ...


class JudgedWorld(Protocol):
    """A world before the judge.

    Optional powers, used where they are there:
        device: the torch device it runs on; else it is timed as running on the CPU.
        contexts: a few real clips (`.frames` uint8 `[T, H, W, 3]`, `.actions` `[T - 1, ...]`) to be timed on without a data set.
        mean_frame: uint8 `[H, W, 3]`, the mean of the training frames, or None; else the judge takes its data's.
        surprise(frames, actions): how unexpected each next real frame is, given all that came before it. uint8
            `[B, T, H, W, 3]` and raw actions `[B, T - 1, ...]` to floats `[B, T - 1]`, in any unit that grows with
            the surprise.
    """

    @property
    def size_px(self) -> int:
        """Side of its square frames."""
        ...

    @property
    def action_space(self) -> ActionSpace:
        """The raw actions it takes."""
        ...

    @property
    def config(self) -> JudgedConfig:
        """Its settings."""
        ...

    @property
    def card(self) -> dict[str, Any]:
        """What is known about it, as json: `name`, and `source`, what its training data were recorded from.

        `source` may hold `env_id`, `frame_skip`, `env_kwargs` and `seed`, as in a data set's dataset.json. The
        judged data must agree with the first three; the seed tells whether they are held out. `cost`, what training
        took, is for the suite of that name.
        """
        ...

    @property
    def path(self) -> Path | None:
        """Its folder on disk, if it has one; its report goes there by default."""
        ...

    @property
    def backend_name(self) -> str:
        """What runs it, for the report."""
        ...

    def start(self, frames: np.ndarray, actions: np.ndarray, seed: int | Sequence[int] = 0) -> Any:
        """Look at real frames uint8 `[B, T, H, W, 3]`, T >= 1, and the raw actions `[B, T - 1, ...]` between them.

        seed: of all that is drawn at random, one for all rows or one for each. Returns a state, which the judge
        only hands back. Leaves its inputs as they are. Raises `ShapeError` or `ActionError`.
        """
        ...

    def step(self, state: Any, action: np.ndarray, decode: bool = True) -> Step:
        """Make the next frame of every row under raw actions `[B, ...]`, and advance `state` in place.

        The step's frame is uint8 `[B, H, W, 3]`, and may be None with `decode=False`; its latent `[B, N, C]` is
        always there. Raises `ActionError`, and then leaves `state` as it was.
        """
        ...

    def rollout(self, state: Any, actions: np.ndarray, decode: bool = True) -> "np.ndarray | torch.Tensor":
        """Step through raw actions `[B, T, ...]`: frames uint8 `[B, T, H, W, 3]`, or latents `[B, T, N, C]`."""
        ...

    def encode(self, frames: np.ndarray) -> "torch.Tensor":
        """Turn frames uint8 `[..., H, W, 3]` into latents, floats `[..., N, C]`; pixels will do."""
        ...

    def decode(self, latents: "torch.Tensor") -> np.ndarray:
        """Turn latents `[..., N, C]` into frames uint8 `[..., H, W, 3]`."""
        ...


def name_of(world: JudgedWorld) -> str:
    """Call a world by its folder, or else by its card's name."""
    return world.path.resolve().name if world.path else str(world.card.get("name", "world"))


def check_judged(world: Any) -> None:
    """Raise `JudgeError`, naming what is missing, unless `world` has the parts of a `JudgedWorld`."""
    missing = [name for name in vars(JudgedWorld) if not name.startswith("_") and not hasattr(world, name)]
    if "config" not in missing and not hasattr(world.config, "context"):
        missing.append("config.context")
    if missing:
        raise JudgeError(
            f"`world` must have all that a JudgedWorld has, got {type(world).__name__} without {', '.join(missing)}. "
            "Inherit worldling.ForeignWorld, or add it (see worldling/judge/judged_world.py)."
        )
