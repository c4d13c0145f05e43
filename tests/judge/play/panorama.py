"""A round room seen from inside, as an environment and as worlds that know it, or break it."""

import gymnasium
import numpy as np

from worldling.foreign import ForeignWorld
from worldling.types import ActionSpace

NAMES = ("NOOP", "FORWARD", "TURN_LEFT", "TURN_RIGHT")
SIDE, HEADINGS, WALL, FPS = 24, 40, 12, 5
STRIP = np.kron(np.random.default_rng(7).integers(0, 256, (6, HEADINGS, 3)), np.ones((4, 3, 1), int)).astype(np.uint8)


def view(heading, near):
    """Three columns of the wall to a heading; what is near is brighter at the edges. heading, near: whole numbers."""
    turned = np.roll(STRIP, 3 * (heading % HEADINGS) - 3, axis=1)[:, :SIDE].astype(float)
    frame = turned.copy()
    frame[:near] = 255 - frame[:near]
    return frame.astype(np.uint8)


def moved(heading, near, action, wall=WALL):
    heading = heading + (action == 2) - (action == 3)
    return heading % HEADINGS, np.minimum(near + (action == 1), wall)


class Panorama(gymnasium.Env):
    metadata = {"render_modes": ["rgb_array"], "render_fps": FPS}  # noqa: RUF012
    action_names = NAMES

    def __init__(self, render_mode="rgb_array"):
        self.render_mode = render_mode
        self.action_space = gymnasium.spaces.Discrete(4)
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place = (int(self.np_random.integers(HEADINGS)), int(self.np_random.integers(4)))
        return np.array(self.place, np.float32), {}

    def step(self, action):
        self.place = moved(*self.place, action)
        return np.array(self.place, np.float32), 0.0, False, False, {}

    def render(self):
        return view(*self.place)


class Room(ForeignWorld):
    """A world of it. kind: "right", "still", "no walls", or "forgets": each turn to the left is by two headings."""

    def __init__(self, kind="right", names=NAMES):
        self.kind = kind
        super().__init__(SIDE, ActionSpace("discrete", (4,), names=names), 1, kind, {"fps": FPS})

    def observe(self, frames, actions, seeds):
        places = [(heading, near) for heading in range(HEADINGS) for near in range(WALL + 1)]
        known = np.stack([view(*place) for place in places])
        off = [np.abs(known.astype(int) - frame).sum(axis=(1, 2, 3)).argmin() for frame in frames[:, -1]]
        return np.array([places[i] for i in off])

    def predict(self, state, actions):
        new = []
        for (heading, near), action in zip(state, np.asarray(actions), strict=True):
            if self.kind == "still":
                new.append((heading, near))
                continue
            place = moved(heading, near, int(action), WALL if self.kind != "no walls" else SIDE)
            new.append(((place[0] + (self.kind == "forgets" and action == 2)) % HEADINGS, place[1]))
        new = np.array(new)
        return np.stack([view(*place) for place in new]), new
