"""What the chaotic environments share: an action that steers, pictures, and states to keep, go back to and perturb.

Action: Box [2] in -1..1. One step is one frame; played at 25 a second. The same seed and the same actions give the same
frames; an episode ends only by its length.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np

from worldling.errors import EnvError

FPS = 25.0
_STAY = 1 / 12  # chance that a steering hand wants something else in the next frame
_REST = 0.2  # of what it wants: nothing
_HASTE = 0.35  # of the way there that it goes in a frame


class ChaosEnv(gymnasium.Env):
    """A chaotic system. Subclasses say how it begins, advances, is drawn, recorded, kept and perturbed.

    num_steps: length of an episode; obs_type: "pixels" (uint8 `[size_px, size_px, 3]`) or "state" (`measured` as
    float32). measured: the column of `record()` that says where everything is, on which errors are taken; shape: its
    shape.
    Raises `EnvError` for an unknown obs_type.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": FPS}  # noqa: RUF012 - so Gymnasium declares it
    measured = ""
    shape: tuple[int, ...] = ()

    def __init__(
        self, num_steps: int = 300, obs_type: str = "pixels", size_px: int = 64, render_mode: str | None = "rgb_array"
    ) -> None:
        if obs_type not in ("pixels", "state"):
            raise EnvError(f"`obs_type` must be pixels or state, got {obs_type!r}. Use pixels.")
        self.num_steps, self.obs_type, self.size_px, self.render_mode = num_steps, obs_type, size_px, render_mode
        self.frame = 0
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)
        pixels = gymnasium.spaces.Box(0, 255, (size_px, size_px, 3), np.uint8)
        state = gymnasium.spaces.Box(-np.inf, np.inf, self.shape, np.float32)
        self.observation_space = pixels if obs_type == "pixels" else state

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin somewhere else, drawn from the seed."""
        super().reset(seed=seed)
        self.frame = 0
        self.begin(self.np_random)
        return self._observe(), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Go one frame; nothing is rewarded."""
        self.advance(np.clip(np.asarray(action, np.float64), -1.0, 1.0))
        self.frame += 1
        return self._observe(), 0.0, False, self.frame >= self.num_steps, {}

    def render(self) -> np.ndarray:
        """Draw it: uint8 `[size_px, size_px, 3]`."""
        return self.draw(self.size_px)

    def begin(self, rng: np.random.Generator) -> None:
        """Put the system into a random state."""
        raise NotImplementedError

    def advance(self, action: np.ndarray) -> None:
        """Go one frame under an action `[2]` in -1..1."""
        raise NotImplementedError

    def draw(self, size_px: int) -> np.ndarray:
        """Draw it at any size: uint8 `[size_px, size_px, 3]`."""
        raise NotImplementedError

    def record(self) -> dict[str, np.ndarray]:
        """Return what a recording keeps of every frame: `measured` and what else is good to know."""
        raise NotImplementedError

    def get_state(self) -> dict[str, Any]:
        """Return all that `set_state` needs to go on from here."""
        raise NotImplementedError

    def set_state(self, state: dict[str, Any]) -> None:
        """Go back to a state."""
        raise NotImplementedError

    def perturb(self, rng: np.random.Generator, share: float) -> None:
        """Change everything by noise of `share` of what is usual: a copy that is all but the same."""
        raise NotImplementedError

    def _observe(self) -> np.ndarray:
        return self.draw(self.size_px) if self.obs_type == "pixels" else self.record()[self.measured].astype(np.float32)


def steering(rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield actions float32 `[2]` for ever: a hand that moves smoothly to ever new places, and rests at times."""
    wanted, at = np.zeros(2), np.zeros(2)
    while True:
        if rng.random() < _STAY:
            wanted = np.zeros(2) if rng.random() < _REST else rng.uniform(-1.0, 1.0, 2)
        at = at + _HASTE * (wanted - at)
        yield at.astype(np.float32)


def smooth_noise(rng: np.random.Generator, coarse: int, shape: tuple[int, int], channels: int = 1) -> np.ndarray:
    """Draw noise `[*shape, channels]` of variance 1 on a grid of `coarse` x `coarse`, linear between its points."""
    rows, columns = (
        np.maximum(0.0, 1.0 - np.abs(np.linspace(0, coarse - 1, count)[:, None] - np.arange(coarse))) for count in shape
    )
    noise = np.einsum("ia,jb,abc->ijc", rows, columns, rng.standard_normal((coarse, coarse, channels)))
    return np.asarray(noise)
