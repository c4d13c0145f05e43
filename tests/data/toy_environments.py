"""A tiny Gymnasium environment in all the shapes that the data room must cope with.

`worldling_toy/Square-v0`: a bright square that actions move about on a dark ground; ends after `steps`.
"""

from typing import ClassVar

import gymnasium as gym
import numpy as np

SPACES = {
    "discrete": gym.spaces.Discrete(5, start=2),
    "multi_discrete": gym.spaces.MultiDiscrete([3, 4]),
    "multi_binary": gym.spaces.MultiBinary(4),
    "box": gym.spaces.Box(np.array([-1.0, 0.0], np.float32), np.array([1.0, 2.0], np.float32)),
    "unbounded": gym.spaces.Box(-np.inf, np.inf, (2,)),
}


class Square(gym.Env):
    """shows: where the picture is ("image", "dict", "render", "blank" or "nowhere")."""

    metadata: ClassVar = {"render_modes": ["rgb_array"], "render_fps": 20}

    def __init__(self, space="discrete", shows="image", steps=30, render_mode=None):
        self.action_space, self.shows, self.steps, self.render_mode = SPACES[space], shows, steps, render_mode
        image = gym.spaces.Box(0, 255, (48, 40, 3), np.uint8)
        self.observation_space = {"image": image, "dict": gym.spaces.Dict(pixels=image)}.get(
            shows, gym.spaces.Box(-np.inf, np.inf, (2,))
        )

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        self.place, self.count = self.np_random.integers(0, 30, 2), 0
        self.taken = []
        return self._see(), {"count": 0}

    def step(self, action):
        assert self.action_space.contains(action), f"{action!r} is not in {self.action_space}"
        self.taken.append(action)
        push = np.resize(np.asarray(action, dtype=float), 2).round().astype(int)
        self.place = (self.place + push + self.np_random.integers(-1, 2, 2)) % 30
        self.count += 1
        return self._see(), 1.0, self.count >= self.steps, False, {"count": self.count}

    def render(self):
        picture = np.full((48, 40, 3), (10, 20, 40), np.uint8)
        if self.shows != "blank":
            y, x = self.place
            picture[y : y + 8, x : x + 8] = (250, 200, 90)
        return None if self.shows == "nowhere" else picture

    def _see(self):
        picture = self.render()
        return {"image": picture, "dict": {"pixels": picture}}.get(self.shows, np.zeros(2, np.float32))


gym.register("worldling_toy/Square-v0", entry_point=Square)
