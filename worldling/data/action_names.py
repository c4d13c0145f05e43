"""Names of actions, from the places in which environments keep them."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from worldling.data.mujoco_engine import actuator_names

#: Of environments of Gymnasium, which tell the names in their documentation alone, by class.
_GYMNASIUM: dict[str, tuple[tuple[str, ...], ...]] = {
    "CartPoleEnv": (("LEFT", "RIGHT"),),
    "MountainCarEnv": (("LEFT", "NOOP", "RIGHT"),),
    "Continuous_MountainCarEnv": (("push",),),
    "PendulumEnv": (("torque",),),
    "AcrobotEnv": (("TORQUE -1", "NOOP", "TORQUE +1"),),
    "LunarLander": (("NOOP", "LEFT ENGINE", "MAIN ENGINE", "RIGHT ENGINE"), ("main engine", "side engine")),
    "BipedalWalker": (("hip 1", "knee 1", "hip 2", "knee 2"),),
    "CarRacing": (("NOOP", "RIGHT", "LEFT", "GAS", "BRAKE"), ("steer", "gas", "brake")),
    "FrozenLakeEnv": (("LEFT", "DOWN", "RIGHT", "UP"),),
    "CliffWalkingEnv": (("UP", "RIGHT", "DOWN", "LEFT"),),
    "TaxiEnv": (("DOWN", "UP", "RIGHT", "LEFT", "PICKUP", "DROPOFF"),),
    "BlackjackEnv": (("STICK", "HIT"),),
}


def declared_names(raw: Any, count: int) -> tuple[str, ...]:
    """Return the names of the `count` choices or axes of an unwrapped environment, or nothing if none fit.

    Looked for in `get_action_meanings()`, `action_names`, an enumeration `actions` (MiniGrid), `action_type.actions`
    (highway-env), the buttons of ViZDoom, the actuators of MuJoCo, and the table above.
    """
    for find in _PLACES:
        with suppress(Exception):  # many have no such thing, and some something else under its name
            names = _as_names(find(raw), count)
            if len(names) == count:
                return names
    return ()


def _as_names(found: Any, count: int) -> tuple[str, ...]:
    """Return the names in a list, a table from 0 on, or the first `count` members of an enumeration.

    Raises any exception if it is none of these.
    """
    if isinstance(found, type) and issubclass(found, enum.Enum):  # an environment may allow the first few alone
        found = {int(member.value): member.name for member in found if int(member.value) < count}
    if isinstance(found, Mapping):
        found = [found[i] for i in range(len(found))]
    names = () if isinstance(found, str) else tuple(getattr(part, "name", part) for part in found)
    return names if all(isinstance(name, str) and name.strip() for name in names) else ()


def _doom_buttons(raw: Any) -> list[str]:
    buttons = [button.name for button in raw.game.get_available_buttons()]
    if not hasattr(raw, "button_map"):
        return buttons
    chosen = [[name for name, on in zip(buttons, pressed, strict=True) if on] for pressed in raw.button_map]
    return ["+".join(names) or "NOOP" for names in chosen]


def _of_gymnasium(raw: Any) -> tuple[str, ...]:
    """Return those of the table that have the length of the action space, if the class is Gymnasium's."""
    if not type(raw).__module__.startswith("gymnasium.envs."):
        return ()
    space = raw.action_space
    count = int(space.n) if hasattr(space, "n") else int(space.shape[0])
    return next((names for names in _GYMNASIUM[type(raw).__name__] if len(names) == count), ())


_PLACES: tuple[Callable[[Any], Any], ...] = (
    lambda raw: raw.get_action_meanings(),
    lambda raw: raw.action_names,
    lambda raw: raw.actions,
    lambda raw: raw.action_type.actions,
    _doom_buttons,
    _of_gymnasium,
    actuator_names,
)
