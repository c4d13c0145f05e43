"""Policies that record data: random, sticky, mixtures of them, and your own functions.

A policy is a factory `policy(env: Environment, seed: int) -> act`, called once per episode, and
`act(frame, info) -> action` is called once per frame: frame is uint8 `[H, W, 3]`, info the environment's
last info dict, action a raw action of `env.action_space`, or None to end the episode. `env.state()` and `env.raw`
may be read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from worldling.data.environment import Environment
from worldling.errors import ConfigError, nearest
from worldling.plugin import load_callable

Act = Callable[[np.ndarray, dict[str, Any]], Any]
Policy = Callable[[Environment, int], Act]

STICKY_KEEP = 0.8
MIXTURE_STRETCH = 40  # mean number of frames that one policy of a mixture stays in charge


def random(env: Environment, seed: int) -> Act:
    """Draw every action uniformly."""
    rng = np.random.default_rng(seed)
    return lambda frame, info: env.action_space.sample(rng)


def sticky(env: Environment, seed: int) -> Act:
    """Repeat the last action with probability 0.8, else draw a new one: it travels further than random."""
    rng = np.random.default_rng(seed)
    last = env.action_space.sample(rng)

    def act(frame: np.ndarray, info: dict[str, Any]) -> Any:
        nonlocal last
        if rng.random() >= STICKY_KEEP:
            last = env.action_space.sample(rng)
        return last

    return act


def mixture(parts: list[tuple[Policy, float]]) -> Policy:
    """Take turns: each policy is in charge for stretches of about 40 frames, as often as its weight says."""
    weights = np.asarray([weight for _, weight in parts], dtype=float)

    def policy(env: Environment, seed: int) -> Act:
        rng = np.random.default_rng(seed)
        acts = [part(env, int(rng.integers(2**31))) for part, _ in parts]
        left, chosen = 0, acts[0]

        def act(frame: np.ndarray, info: dict[str, Any]) -> Any:
            nonlocal left, chosen
            if left == 0:
                left = int(rng.geometric(1 / MIXTURE_STRETCH))
                chosen = acts[rng.choice(len(acts), p=weights / weights.sum())]
            left -= 1
            return chosen(frame, info)

        return act

    return policy


BUILT_IN: dict[str, Policy] = {"random": random, "sticky": sticky}


def load_policy(text: str) -> Policy:
    """Read a policy from its name.

    "random", "sticky", "module:callable", "file.py:callable", or a mixture with weights such as
    "sticky:0.7,random:0.3".
    Raises `ConfigError` if a name is unknown, a module has no such callable or a weight is not positive.
    """
    parts = [_weighted(part.strip()) for part in text.split(",")]
    if len(parts) == 1:
        return parts[0][0]
    return mixture(parts)


def _weighted(text: str) -> tuple[Policy, float]:
    name, _, tail = text.rpartition(":")
    try:
        weight = float(tail)
    except ValueError:
        return _named(text), 1.0
    if not name or not 0 < weight < float("inf"):
        raise ConfigError(
            f"`policy` must give weights above 0 as name:weight, got {text!r}. Write sticky:0.7,random:0.3."
        )
    return _named(name), weight


def _named(name: str) -> Policy:
    if name in BUILT_IN:
        return BUILT_IN[name]
    if name == "human":
        raise ConfigError(
            "`policy` must be one that plays by itself, got 'human'. Play on a page: call worldling.record_by_playing, "
            "or run worldling record with --policy human."
        )
    if ":" not in name:
        raise ConfigError(
            f"`policy` must be random, sticky, human, module:callable or file.py:callable, got {name!r}. "
            f"{nearest(name, [*BUILT_IN, 'human'])}"
        )
    return load_callable(name, "policy")


def policy_name(policy: str | Policy) -> str:
    """Write a policy as text: a name stays as it is, a function becomes "module:callable"."""
    if isinstance(policy, str):
        return policy
    return str(getattr(policy, "name", "")) or f"{policy.__module__}:{policy.__qualname__}"
