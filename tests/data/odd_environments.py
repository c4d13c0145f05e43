"""Environments that are unusual, or at fault, in one way each: `worldling_odd/Odd-v0` with that way as keywords."""

import os
import time
from typing import ClassVar

import gymnasium as gym
import numpy as np


class Level(gym.spaces.Discrete):
    """A subclass, as packages have them."""


class Stick(gym.spaces.Box):
    """Another."""


_LARGEST = np.finfo(np.float32).max
SPACES = {
    # name: the space, the kind it is described as, and the largest value of each axis of an encoded choice or box
    "buttons": (gym.spaces.Box(0, 1, (4,), np.int8), "multi_binary"),
    "joystick": (gym.spaces.Box(-1, 1, (2,), np.int64), "multi_discrete"),
    "bytes": (gym.spaces.Box(0, 255, (3,), np.uint8), "box"),
    "wide": (gym.spaces.Box(np.array([-10, 0]), np.array([10, 7]), dtype=np.int32), "box"),
    "scalar": (gym.spaces.Box(-2.0, 2.0, ()), "box"),
    "table": (gym.spaces.Box(-1.0, 1.0, (2, 3)), "box"),
    "double": (gym.spaces.Box(0.1, 0.3, (2,), np.float64), "box"),
    "half": (gym.spaces.Box(-1.0, 1.0, (2,), np.float16), "box"),
    "starts": (gym.spaces.MultiDiscrete([3, 4], start=[5, -1]), "multi_discrete"),
    "square": (gym.spaces.MultiDiscrete([[2, 3], [4, 5]]), "multi_discrete"),
    "switches": (gym.spaces.MultiBinary((2, 2)), "multi_binary"),
    "negative": (gym.spaces.Discrete(3, start=-1), "discrete"),
    "subclass": (Level(4), "discrete"),
    "subbox": (Stick(-1.0, 1.0, (2,)), "box"),
}
REFUSED = {
    "largest": gym.spaces.Box(-_LARGEST, _LARGEST, (2,)),
    "half_open": gym.spaces.Box(0.0, np.inf, (1,)),
    "largest_half": gym.spaces.Box(-np.finfo(np.float16).max, np.finfo(np.float16).max, (1,), np.float16),
    "largest_whole": gym.spaces.Box(0, np.iinfo(np.int64).max, (1,), np.int64),
    "dict": gym.spaces.Dict(move=gym.spaces.Discrete(2)),
    "text": gym.spaces.Text(4),
}


class Odd(gym.Env):
    """A square that moves; everything else is as asked for.

    draws: how a picture [64, 64, 3] is returned; fails: where and when an exception comes; interface: see `step`;
    own: names of attributes that it has for itself; slow: seconds a step takes.
    """

    metadata: ClassVar = {"render_modes": ["rgb_array"], "render_fps": 10}
    observation_space = gym.spaces.Box(-np.inf, np.inf, (2,), np.float32)

    def __init__(
        self,
        space="subclass",
        draws="uint8",
        fails="",
        interface="",
        own=(),
        slow=0.0,
        steps=20,
        choices=0,
        render_mode=None,
    ):
        self.action_space = {**{k: v[0] for k, v in SPACES.items()}, **REFUSED}[space]
        if choices:
            self.action_space = gym.spaces.Discrete(choices)
        self.draws, self.fails, self.interface, self.slow, self.steps = draws, fails, interface, slow, steps
        self.render_mode, self.taken = render_mode, []
        for name in own:
            setattr(self, name, [1.0, 2.0, 3.0])

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        self.count, self.first = 0, int(self.np_random.integers(0, 40))
        self.place = self.first
        if self.fails == "reset" and self.first % 4 == 3:
            raise RuntimeError("no start found")
        if self.fails == "always":
            raise OSError("no simulator answers")
        return self.see(), {}

    def step(self, action):
        assert self.action_space.contains(action), f"{action!r} is not in {self.action_space}"
        time.sleep(self.slow)
        if self.fails == "step" and self.count == 8 and self.first % 4 == 3:
            raise RuntimeError("simulator diverged")
        if self.fails == "exit" and self.count == 8 and self.first % 4 == 3:
            raise SystemExit("the licence ended")
        self.taken.append(np.array(action))
        self.count += 1
        self.place += 1
        over = self.count >= self.steps
        reward = {
            "array": np.array([0.5]),
            "word": "much",
            "none": None,
            "vector": np.zeros(3),
            "nan": float("nan"),
            "infinite": float("inf") if self.count == 5 else 1.0,
        }.get(self.interface, 0.5)
        if self.interface == "four":
            return self.see(), reward, over, {}
        if self.interface == "flags":
            return self.see(), reward, np.array([over]), np.array([False]), {}
        if self.interface == "nothing":
            return None
        return self.see(), reward, over, False, {}

    def picture(self):
        drawn = np.full((64, 64, 3), (40, 20, 90), np.uint8)
        at = self.place % 48
        drawn[24:40, at : at + 16] = (250, 130, 20)
        return drawn

    def see(self):
        seen = {
            "observed grey": lambda: self.picture()[..., 0],
            "observed first": lambda: np.moveaxis(self.picture(), -1, 0),
            "observed floats": lambda: self.picture().astype(np.float32) / 255,
        }
        return seen.get(self.draws, lambda: np.zeros(2, np.float32))()

    def render(self):
        drawn = self.picture()
        opaque = np.full((64, 64, 1), 255, np.uint8)
        ways = {
            "uint8": lambda: drawn,
            "unit": lambda: drawn.astype(np.float32) / 255,
            "unit64": lambda: drawn / 255,
            "floats": lambda: drawn.astype(np.float64),
            "int64": lambda: drawn.astype(np.int64),
            "uint16": lambda: drawn.astype(np.uint16),
            "bool": lambda: drawn > 100,
            "grey": lambda: drawn[..., 0],
            "grey layer": lambda: drawn[..., :1],
            "rgba": lambda: np.concatenate([drawn, opaque], -1),
            "first": lambda: np.moveaxis(drawn, -1, 0),
            "list": lambda: [drawn // 2, drawn],
            "batch": lambda: drawn[None],
            "deep": lambda: drawn.astype(np.uint16) * 257,
            "signed": lambda: drawn / 127.5 - 1,
            "nan": lambda: np.where(drawn > 100, np.nan, 0.5),
            "two layers": lambda: drawn[..., :2],
            "stack": lambda: np.stack([drawn] * 4),
            "text": lambda: "a square",
        }
        if self.fails == "no render":
            raise NotImplementedError
        if self.fails == "render":
            raise RuntimeError("no display")
        if self.fails == "package":
            raise gym.error.DependencyNotInstalled("pygame is not installed, run `pip install x`")
        return ways[self.draws]() if self.draws in ways else None


class Silent(Odd):
    """It knows no render_mode that gives pictures."""

    metadata: ClassVar = {"render_modes": ["human", "ansi"]}


class Named(Odd):
    """Its attributes are called as those of other families, and fail or are something else."""

    metadata: ClassVar = {"render_modes": ["rgb_array"], "render_fps": "fast"}
    get_action_meanings = "none"

    @property
    def data(self):
        raise RuntimeError("not loaded")

    model = property(lambda self: self._absent)


class Changed(Odd):
    """Its rate and its number of choices are those of the environment variables RATE and CHOICES."""

    metadata: ClassVar = {"render_modes": ["rgb_array"], "render_fps": float(os.environ.get("ODD_RATE", 10))}


for name, kind in (("Odd", Odd), ("Silent", Silent), ("Named", Named), ("Changed", Changed)):
    gym.register(f"worldling_odd/{name}-v0", entry_point=kind)
