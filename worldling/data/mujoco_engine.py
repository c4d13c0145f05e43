"""MuJoCo inside an environment, whichever package wraps it: its state, the names of its actuators, its shadows."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Any

import numpy as np


def _of_mujoco(raw: Any, name: str, kind: str) -> Any:
    """Return MuJoCo's object of that kind, or None: other simulators have a `data` or `model` too.

    Gymnasium has it as an attribute of the environment, dm_control within its physics, as a pointer.
    """
    mujoco = sys.modules.get("mujoco")  # an environment that uses it has imported it
    if mujoco is None:
        return None
    for path in ((name,), ("physics", name, "ptr"), ("_env", "physics", name, "ptr")):
        with suppress(Exception):  # a property that fails is none of ours
            found = raw
            for part in path:
                found = getattr(found, part)
            if isinstance(found, getattr(mujoco, kind)):
                return found
    return None


def engine_state(raw: Any) -> dict[str, np.ndarray]:
    """Return positions and velocities, as copies; nothing if MuJoCo is not found in `raw`."""
    data = _of_mujoco(raw, "data", "MjData")
    return {} if data is None else {"qpos": np.array(data.qpos), "qvel": np.array(data.qvel)}


def actuator_names(raw: Any) -> tuple[str, ...]:
    """Return the name of each actuator, or of the joint it drives; nothing if MuJoCo is not found or one has none."""
    model = _of_mujoco(raw, "model", "MjModel")
    if model is None:
        return ()
    names = []
    for i in range(model.nu):
        actuator = model.actuator(i)
        is_joint = int(actuator.trntype[0]) in (0, 1)  # mjTRN_JOINT and mjTRN_JOINTINPARENT
        names.append(actuator.name or (model.joint(int(actuator.trnid[0])).name if is_joint else ""))
    return tuple(names) if all(names) else ()


def small_shadows(raw: Any) -> None:
    """Shrink MuJoCo's 4096 px shadow map: it makes drawing on a CPU ten times slower and looks no better."""
    model = _of_mujoco(raw, "model", "MjModel")
    if model is not None:
        model.vis.quality.shadowsize = 512
        model.vis.quality.offsamples = 0
