"""A world small enough to hold in the head: a dot that goes where the action says, with a little noise.

A foreign world: the player plays it through the protocol alone, as it plays ours.
"""

from __future__ import annotations

import time
from types import SimpleNamespace

import numpy as np

from worldling.foreign import ForeignWorld
from worldling.types import ActionSpace, Episode

DISCRETE = ActionSpace("discrete", (4,), names=("NOOP", "FIRE", "RIGHT", "LEFT"))
POINTER = ActionSpace("box", low=(0.0, 0.0), high=(512.0, 512.0), names=("x", "y"))
MOVES = np.array([[0, 0], [0, 0], [0, -2], [0, 2]], float)  # x, y per choice


def paint(place: np.ndarray, index: int, size_px: int) -> np.ndarray:
    """A slow gradient with a bright dot."""
    rows, columns = np.mgrid[0:size_px, 0:size_px] / size_px
    frame = np.stack([20 + 25 * rows, 28 + 30 * columns, 46 + 26 * np.sin(index / 40 + rows * 3)], axis=-1)
    x, y = place / 64 * size_px
    near = (columns * size_px - x) ** 2 + (rows * size_px - y) ** 2 < (size_px / 16) ** 2
    frame[near] = (242, 214, 150)
    return frame.astype(np.uint8)


def moved(space: ActionSpace, place: np.ndarray, action: np.ndarray) -> np.ndarray:
    """Where the dot is one frame later."""
    if space.kind == "discrete":
        return np.clip(place + MOVES[int(action) % len(MOVES)], 4, 60)
    if space.names == ("x", "y"):
        return place + 0.3 * (np.asarray(action) / 8 - place)
    push = np.resize(np.asarray(action, float), 2)
    return np.clip(place + 3 * push, 4, 60)


class DotWorld(ForeignWorld):
    """See the module. step_s: how long a step takes; broken: `predict` fails as a bug would."""

    def __init__(
        self, space: ActionSpace = DISCRETE, size_px: int = 64, fps: float = 20.0, step_s: float = 0.0
    ) -> None:
        source = {"env_id": "Dot-v0", "env_kwargs": {}, "fps": fps, "frame_skip": 1}
        super().__init__(size_px, space, context=4, name="dots", source=source)
        self.step_s, self.broken, self.num_steps = step_s, False, 0
        self.contexts = [self._context(k) for k in range(3)]

    def _context(self, k: int) -> Episode:
        rng, place, num = np.random.default_rng(k), np.array([14.0 + 16 * k, 32.0]), 6
        actions = np.stack([self.action_space.sample(rng) for _ in range(num - 1)])
        frames = [paint(place, 0, self.size_px)]
        for action in actions:
            place = moved(self.action_space, place, action)
            frames.append(paint(place, 0, self.size_px))
        return Episode(np.stack(frames), actions, *np.zeros((3, num - 1), np.float32))

    def observe(self, frames: np.ndarray, actions: np.ndarray, seeds: np.ndarray) -> tuple[np.ndarray, ...]:
        """Remember where each dot is, its seed and how many steps it took."""
        found = [np.nonzero(frame[..., 0] > 200) for frame in frames[:, -1]]
        places = [np.array([columns.mean(), rows.mean()]) * 64 / self.size_px for rows, columns in found]
        return np.stack(places), seeds, np.zeros(len(seeds), int)

    def predict(self, state: tuple[np.ndarray, ...], actions: np.ndarray) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
        """Move each dot, with a little noise of its own."""
        if self.broken:
            raise RuntimeError("the dot fell off")
        time.sleep(self.step_s)
        self.num_steps += 1
        places, seeds, index = state
        noise = [np.random.default_rng([seed, at]).normal(0, 0.3, 2) for seed, at in zip(seeds, index, strict=False)]
        places = np.stack(
            [moved(self.action_space, place, action) for place, action in zip(places, actions, strict=False)]
        )
        places, index = np.clip(places + noise, 4, 60), index + 1
        frames = [paint(place, at, self.size_px) for place, at in zip(places, index, strict=False)]
        return np.stack(frames), (places, seeds, index)


class DotEnvironment:
    """The dot without noise, as a real environment that ends after `length` steps."""

    def __init__(self, world: DotWorld, length: int = 10**9) -> None:
        self.world, self.length, self.closed = world, length, False

    def reset(self, seed: int) -> np.ndarray:
        self.place, self.index = np.array([20.0 + 3 * (seed % 8), 24.0]), 0
        return paint(self.place, 0, self.world.size_px)

    def step(self, action: np.ndarray) -> SimpleNamespace:
        self.place = np.clip(moved(self.world.action_space, self.place, action), 4, 60)
        self.index += 1
        frame = paint(self.place, self.index, self.world.size_px)
        return SimpleNamespace(frame=frame, reward=0.0, terminated=self.index >= self.length, truncated=False)

    def close(self) -> None:
        self.closed = True


def play(session, actions):
    """Hold each action for one frame; returns the frames."""
    frames = []
    for i, action in enumerate(actions):
        session.hold(action, i + 1)
        frames.append(session.advance())
    return frames


def run_through(steps):
    """Run a generator to its end, and return what it returns."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def actions_of(num: int, seed: int = 0) -> np.ndarray:
    """Random choices for the discrete world."""
    return np.random.default_rng(seed).integers(0, 4, num)
