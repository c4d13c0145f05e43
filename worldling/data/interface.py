"""What an environment answers, checked: Gymnasium's interface, and errors that name what is wrong with another."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any

import numpy as np

from worldling.errors import EnvError, EpisodeError


def answered(env_id: str, answer: Any) -> tuple[Any, Any, Any, Any, Any]:
    """Return the five values of a `step`. Raises `EnvError` if it gave something else."""
    if not isinstance(answer, tuple) or len(answer) != 5:
        got = f"{len(answer)} values" if isinstance(answer, tuple) else f"a {type(answer).__name__}"
        raise old_interface(env_id, f"step() that returns {got}")
    return answer


def number(env_id: str, reward: Any) -> float:
    """Return a reward as a float, arrays of one number too. Raises `EnvError` if it is no number."""
    try:
        values = np.asarray(reward, np.float64) if reward is not None else None
    except (TypeError, ValueError):
        values = None
    if values is None or values.size != 1:
        what = type(reward).__name__ if values is None else f"{values.size} numbers"
        raise EnvError(
            f"`env_id` must give one number as its reward, got {what} from {env_id!r}. Add them up, or take one "
            "environment out of many."
        )
    return float(values.reshape(()))


def flag(env_id: str, value: Any) -> bool:
    """Return `terminated` or `truncated` as a bool, arrays of one too. Raises `EnvError` for several."""
    if np.size(value) != 1:
        raise EnvError(
            f"`env_id` must say with one bool whether an episode ends, got {np.size(value)} from {env_id!r}. Record "
            "a single environment, not a vector of them."
        )
    return bool(np.reshape(np.asarray(value), ()))


def old_interface(env_id: str, got: str) -> EnvError:
    """Build the error for an environment of the old Gym, or of none."""
    return EnvError(
        f"`env_id` must follow the interface of Gymnasium (step returns observation, reward, terminated, truncated, "
        f"info; reset(seed=...) returns observation, info), got {env_id!r} with {got}, as in the old Gym. Change it, "
        "or wrap it with shimmy.GymV21CompatibilityV0."
    )


def episode_fault(env_id: str, call: str, error: BaseException) -> EnvError:
    """Build the error for an exception in `call` of an environment; of another interface if that is its cause."""
    steps = traceback.extract_tb(error.__traceback__)
    within = Path(steps[-1].filename).parts
    if "unpack" in str(error) and {"gymnasium", "wrappers"} <= set(within):
        return old_interface(env_id, f"{call}() that returns other values")
    if call == "reset" and isinstance(error, TypeError) and "'seed'" in str(error):
        return old_interface(env_id, "reset() that takes no seed")
    theirs = [step for step in steps if not {"site-packages", "worldling"} & set(Path(step.filename).parts)]
    last = (theirs or steps)[-1]
    says = next(iter(str(error).splitlines()), "")
    return EpisodeError(
        f"`env_id` must play on, got {type(error).__name__}{': ' if says else ''}{says} from {call}() of {env_id!r} "
        f"({Path(last.filename).name}, line {last.lineno}). Mend it there."
    )
