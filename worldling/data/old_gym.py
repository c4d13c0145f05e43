"""Environments of the old Gym interface as Gymnasium environments.

There `reset()` takes no seed and returns the observation alone, and `step` returns observation, reward, done and info.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np


def is_old(made: Any) -> bool:
    """Say whether an object is an environment of the old interface: a class of gym, or its `reset` takes no seed."""
    if isinstance(made, gymnasium.Env) or not all(hasattr(made, name) for name in ("reset", "step", "action_space")):
        return False
    return any(kind.__module__.split(".")[0] == "gym" for kind in type(made).__mro__) or not _takes(made.reset, "seed")


def adapted(make: Callable[..., Any]) -> Callable[..., Any]:
    """Return a maker of the same environments that wraps those of the old interface in `OldGym`."""

    def made(**keywords: Any) -> Any:
        first = make(**keywords)
        return OldGym(first, make, keywords) if is_old(first) else first

    made.__module__ = getattr(make, "__module__", "")
    made.__signature__ = _signature(make)  # type: ignore[attr-defined]
    if isinstance(metadata := getattr(make, "metadata", None), dict) and "render_modes" in metadata:
        made.metadata = metadata  # type: ignore[attr-defined]
    return made


class OldGym(gymnasium.Env[Any, Any]):
    """An environment of the old Gym interface, seen through Gymnasium's.

    A seed goes to its `reset`, else to its method `seed`, else to its maker's argument `seed`, for which it is made
    anew at each reset; one that has none of these cannot be repeated, which is said once on stderr.
    """

    def __init__(self, old: Any, make: Callable[..., Any], keywords: dict[str, Any]) -> None:
        self.old, self._make, self._keywords = old, make, keywords
        declared = dict(getattr(old, "metadata", None) or {})
        modes = declared.get("render_modes", declared.get("render.modes", ["rgb_array"]))
        rate = declared.get("render_fps", declared.get("video.frames_per_second"))
        self.metadata = {**declared, "render_modes": modes, **({"render_fps": rate} if rate else {})}
        self.render_mode = "rgb_array"
        self.action_space = _space(old.action_space)
        self.observation_space = _space(getattr(old, "observation_space", None))
        self._told = False

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "old" not in self.__dict__:
            raise AttributeError(name)
        return getattr(self.old, name)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start an episode."""
        super().reset(seed=seed)
        if seed is not None and _takes(self.old.reset, "seed", named=True):
            answer = self.old.reset(seed=seed)
        else:
            if seed is not None:
                self._seed(seed)
            answer = self.old.reset()
        if isinstance(answer, tuple) and len(answer) == 2 and isinstance(answer[1], dict):
            return answer
        return answer, {}

    def step(self, action: Any) -> Any:
        """Take an action; `done` is termination, unless info says that time ran out."""
        answer = self.old.step(action)
        if not isinstance(answer, tuple) or len(answer) != 4:
            return answer
        observation, reward, done, info = answer
        stopped = bool(done) and bool((info or {}).get("TimeLimit.truncated", False))
        return observation, reward, bool(done) and not stopped, stopped, info

    def render(self) -> Any:
        """Return a picture."""
        if not hasattr(self.old, "render"):
            return None
        return self.old.render(mode="rgb_array") if _takes(self.old.render, "mode") else self.old.render()

    def close(self) -> None:
        """Close it, if it can be."""
        if hasattr(self.old, "close"):
            self.old.close()

    def _seed(self, seed: int) -> None:
        seed %= 2**31
        if callable(getattr(self.old, "seed", None)):
            self.old.seed(seed)
        elif _takes(self._make, "seed", named=True):
            self.close()
            self.old = self._make(**{**self._keywords, "seed": seed})
        elif not self._told:
            self._told = True
            name = type(self.old).__name__
            print(f"{name} takes no seed: its episodes cannot be repeated", file=sys.stderr, flush=True)


def _signature(make: Callable[..., Any]) -> inspect.Signature:
    try:
        return inspect.signature(make)
    except (TypeError, ValueError):
        return inspect.Signature([inspect.Parameter("keywords", inspect.Parameter.VAR_KEYWORD)])


def _takes(function: Callable[..., Any], name: str, named: bool = False) -> bool:
    """Say whether a function takes an argument; named: one of its own, not among any others."""
    parameters = _signature(function).parameters
    return name in parameters or (not named and any(p.kind is p.VAR_KEYWORD for p in parameters.values()))


def _space(old: Any) -> Any:
    """Return Gymnasium's space for one of the old Gym, or for what stands for one; unchanged if it is no such."""
    if isinstance(old, gymnasium.Space) or old is None:
        return old
    if hasattr(old, "nvec"):
        return gymnasium.spaces.MultiDiscrete(np.asarray(old.nvec))
    if hasattr(old, "low") and hasattr(old, "high"):
        dtype = np.dtype(old.dtype)
        return gymnasium.spaces.Box(old.low, old.high, tuple(old.shape), dtype.type)
    if hasattr(old, "n"):
        if "MultiBinary" in type(old).__name__:
            return gymnasium.spaces.MultiBinary(old.n)
        return gymnasium.spaces.Discrete(int(old.n), start=int(getattr(old, "start", 0)))
    return old
