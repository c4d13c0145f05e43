"""Packages of environments, known by the ids that they register with Gymnasium when they are imported."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from worldling.data.mujoco_engine import engine_state, small_shadows
from worldling.data.simulator import Simulator


def _known(entry: str, prefixes: tuple[str, ...], license: str = "MIT", package: str = "", **more: Any) -> Simulator:
    """Describe a package called `entry`, which pip installs as `package`."""
    package = package or entry
    return Simulator(entry, entry, license, prefixes, package=package, **{"module": entry, "install": package, **more})


#: Starts of the ids of highway-env.
_ROADS = (
    "highway-", "merge-", "roundabout-", "parking-", "intersection-", "racetrack-", "exit-", "lane-keeping-",
    "two-way-", "u-turn-",
)  # fmt: skip


def _draw_doom(raw: Any, observation: Any, size_px: int) -> np.ndarray | None:
    """Take the screen; ViZDoom has none at the end of an episode, and shows black in its place."""
    return None if raw.state is None else np.asarray(observation["screen"])


def _keep_out_of_folder(raw: Any) -> None:
    """Let ViZDoom write settings and saved games to the folder of temporary files, not to the one that one is in."""
    if not raw.game.is_running():
        raw.game.set_doom_config_path(str(Path(tempfile.gettempdir()) / "worldling-vizdoom.ini"))
        raw.game.add_game_args(f"-savedir {tempfile.gettempdir()}")


def _register_crafter(module: Any) -> None:
    """Register Crafter's ids with Gymnasium, under its names in the old Gym, whose interface it has."""
    import gymnasium

    from worldling.data.old_gym import adapted

    for env_id, reward in (("CrafterReward-v1", True), ("CrafterNoReward-v1", False)):
        if env_id not in gymnasium.registry:
            gymnasium.register(env_id, adapted(module.Env), kwargs={"reward": reward})


PACKAGES = (
    _known("minigrid", ("MiniGrid-", "BabyAI-")),
    _known("miniworld", ("MiniWorld-",), license="Apache-2.0"),
    _known("highway_env", _ROADS, package="highway-env", fps=lambda raw: raw.config["policy_frequency"]),
    _known(
        "vizdoom",
        ("Vizdoom",),
        module="vizdoom.gymnasium_wrapper",
        skip_keyword="frame_skip",
        picture=_draw_doom,
        prepare=_keep_out_of_folder,
    ),
    _known(
        "shimmy",
        ("dm_control/",),
        license="Apache-2.0",
        package="dm_control",
        install='"shimmy[dm-control]" "mujoco>=3.10,<3.12"',
        fps=lambda raw: 1 / raw.dt,
        state=engine_state,
        prepare=small_shadows,
    ),
    _known(
        "gymnasium_robotics",
        ("Fetch", "HandReach", "HandManipulate", "PointMaze_", "AntMaze_", "AdroitHand", "FrankaKitchen"),
        package="gymnasium-robotics",
        install='gymnasium-robotics "mujoco>=3.10,<3.12"',
        state=engine_state,
        prepare=small_shadows,
    ),
    _known("crafter", ("Crafter",), renders=False, fps=5.0, imported=_register_crafter),  # its own player takes 5
)
