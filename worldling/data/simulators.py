"""What is special about the simulators we know: how to import, draw and read the state of each.

A simulator not listed here still works: its picture is the observation or `render()`, its state is empty.
"""

from __future__ import annotations

import functools
import importlib
import io
import os
import re
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any

import numpy as np

from worldling.data.mujoco_engine import engine_state, small_shadows
from worldling.data.packages import PACKAGES
from worldling.data.simulator import Simulator
from worldling.errors import EnvError

# Observations smaller than this are feature maps (MiniGrid's 7x7x3 "image"), not pictures.
_SMALLEST_PICTURE_PX = 32


def observed_picture(observation: Any, colour: bool = True) -> np.ndarray | None:
    """Return the picture inside an observation, or None if there is none.

    colour: only uint8 `[H, W, 3]`; else any grey or RGB picture, colours first or last, of any type of numbers. Four
    layers are no picture here: they may be four frames as well as colours and opacity.
    """
    if isinstance(observation, dict):
        keys = [key for key in ("pixels", "image", "screen", "rgb") if key in observation]
        found = (observed_picture(observation[key], colour) for key in keys)
        return next((picture for picture in found if picture is not None), None)
    if not isinstance(observation, np.ndarray) or observation.ndim not in (2, 3):
        return None
    layers = [n for n in observation.shape if n < _SMALLEST_PICTURE_PX]
    if colour:
        fits = observation.dtype == np.uint8 and layers == [3] and observation.shape[-1] == 3
    else:
        fits = len(layers) == observation.ndim - 2 and set(layers) <= {1, 3}
    return observation if fits else None


def _draw_pusht(raw: Any, observation: Any, size_px: int) -> np.ndarray:
    """Take Push-T's own 512 px drawing board.

    Its observation and `render()` shrink the board with cv2's bilinear filter, which skips most pixels
    and makes edges flicker as they move, and `render()` paints the action on it. The board has neither.
    """
    import pygame

    return pygame.surfarray.array3d(raw._draw()).swapaxes(0, 1)


def _draw_carracing(raw: Any, observation: Any, size_px: int) -> np.ndarray:
    """Take the 96 px observation, or for larger pictures the 1000x800 surface it was made from.

    Both are the same drawing, so a world looks the same at every size; `render()` would draw it all
    again and add skid particles.
    """
    seen = np.asarray(observation)
    if size_px <= min(seen.shape[:2]):
        return seen
    import pygame

    shrunk = pygame.transform.smoothscale(raw.surf, (size_px, size_px))
    return pygame.surfarray.array3d(shrunk).swapaxes(0, 1)


def _silence_ale(module: Any) -> None:
    module.ALEInterface.setLoggerMode(module.LoggerMode.Error)  # or it greets on stderr each time


def _state_ale(raw: Any) -> dict[str, np.ndarray]:
    return {"ram": np.array(raw.ale.getRAM(), dtype=np.uint8)}


def _state_pusht(raw: Any) -> dict[str, np.ndarray]:
    block = raw.block
    return {
        "agent_pos": np.array(raw.agent.position, dtype=np.float32),
        "agent_vel": np.array(raw.agent.velocity, dtype=np.float32),
        "block_pose": np.array([*block.position, block.angle % (2 * np.pi)], dtype=np.float32),
    }


def _state_carracing(raw: Any) -> dict[str, np.ndarray]:
    hull = raw.car.hull
    return {
        "position": np.array(hull.position, dtype=np.float32),
        "angle": np.array(hull.angle, dtype=np.float32),
        "velocity": np.array(hull.linearVelocity, dtype=np.float32),
        "angular_velocity": np.array(hull.angularVelocity, dtype=np.float32),
    }


def _state_classic(raw: Any) -> dict[str, np.ndarray]:
    state = getattr(raw, "state", None)
    return {} if state is None else {"state": np.array(state, dtype=np.float64)}


def _ours(name: str, where: str, extra: str, package: str, names: tuple[str, ...], **more: Any) -> Simulator:
    return Simulator(
        name,
        where,
        "Apache-2.0",
        extra=extra,
        package=package,
        renders=False,
        defaults={"obs_type": "state"},
        names=names,
        picture=_draw_scene,
        state=lambda raw: raw.record(),
        **more,
    )


def _draw_scene(raw: Any, observation: Any, size_px: int) -> np.ndarray:
    return np.asarray(raw.draw(size_px))


_PUSHT: dict[str, Any] = dict(
    license="Apache-2.0",
    extra="pusht",
    package="gym-pusht",
    renders=False,
    defaults={"obs_type": "state"},
    names=("x", "y"),
    picture=_draw_pusht,
    state=_state_pusht,
)

SIMULATORS = (
    Simulator("pusht", "worldling.scenes.push_t", **_PUSHT),
    _ours("bricks", "worldling.scenes.bricks", "", "worldling", ("STAY", "LEFT", "RIGHT")),
    _ours("cloth", "worldling.scenes.cloth", "physics", "mujoco", ("right", "up")),
    _ours("lorenz", "worldling.scenes.lorenz", "", "worldling", ("right", "up")),
    _ours("smoke", "worldling.scenes.smoke", "fluid", "phiflow", ("turn right", "open")),
    _ours(
        "scenes",
        "worldling.scenes",
        "physics",
        "mujoco",
        ("right", "away"),
        prefixes=("worldling/",),
        module="worldling.scenes",
    ),
    Simulator(
        "ale",
        "ale_py",
        "GPL-2.0-only emulator; the game's ROM belongs to its publisher",
        prefixes=("ALE/",),
        module="ale_py",
        extra="atari",
        package="ale-py",
        frame_skip=4,
        fps=60.0,
        skip_keyword="frameskip",
        state=_state_ale,
        imported=_silence_ale,
    ),
    Simulator("pusht", "gym_pusht", prefixes=("gym_pusht/",), module="gym_pusht", **_PUSHT),
    Simulator(
        "carracing",
        "gymnasium.envs.box2d.car_racing",
        "MIT",
        extra="driving",
        renders=False,
        names=("steer", "gas", "brake"),
        picture=_draw_carracing,
        state=_state_carracing,
    ),
    Simulator("box2d", "gymnasium.envs.box2d", "MIT", extra="driving"),
    Simulator(
        "mujoco",
        "gymnasium.envs.mujoco",
        "MIT",
        extra="mujoco",
        package="mujoco",
        state=engine_state,
        prepare=small_shadows,
    ),
    Simulator("classic", "gymnasium.envs.classic_control", "MIT", state=_state_classic),
    *PACKAGES,
)
_OTHER = Simulator(
    "other", "", "unknown: see the package of the environment", state=engine_state, prepare=small_shadows
)


def prepare_process() -> None:
    """Set the environment variables that headless drawing needs, where the user has not set them."""
    if sys.platform == "linux":
        os.environ.setdefault("MUJOCO_GL", "egl")
        os.environ.setdefault("SDL_AUDIODRIVER", "dummy")  # frames have no sound, and a machine without complains
        if not any(os.environ.get(display) for display in ("DISPLAY", "WAYLAND_DISPLAY")):
            # SDL would find this driver by itself, after complaints of others; with "dummy" highway-env draws nothing.
            os.environ.setdefault("SDL_VIDEODRIVER", "offscreen,dummy")
            os.environ.setdefault("PYGLET_HEADLESS", "1")
    # Of a class without a render_mode, which may draw all the same; if it does not, that is an error in our words.
    warnings.filterwarnings("ignore", ".*calling render method without specifying any render mode")
    os.environ.setdefault("LP_NUM_THREADS", "0")  # Mesa's threads only get in the way of several workers
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")  # it would print into `--json` output


def check_scenes() -> None:
    """Make ready for the physics scenes. Raises `EnvError` naming the pip extra if MuJoCo is not installed."""
    prepare_process()
    try:
        importlib.import_module("mujoco")
    except ImportError as error:
        cloth = next(simulator for simulator in SIMULATORS if simulator.extra == "physics")
        raise missing("worldling/Physics-v0", cloth, error) from None


def register(env_id: str) -> None:
    """Import the package that registers `env_id` with Gymnasium, if we know one.

    Raises `EnvError` naming what to install when it is not installed.
    """
    import gymnasium

    for simulator in SIMULATORS:
        if not env_id.startswith(simulator.prefixes or "/"):
            continue
        there = gymnasium.registry.get(env_id)
        if there is not None and simulator_of(there.entry_point) is not simulator:
            continue  # somebody's own, under such a name
        try:
            with quietly():
                module = importlib.import_module(simulator.module)
        except Exception as error:  # a package that does not go with the version of another raises anything
            raise missing(env_id, simulator, error) from None
        simulator.imported(module)


@contextmanager
def quietly() -> Iterator[None]:
    """Drop what a known package prints, such as greetings: its errors are exceptions. In the main thread alone."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        yield


def check_installed(env_id: str) -> None:
    """Raise `EnvError` if `env_id` is of a package that is there, but registers none of its ids without another one."""
    import gymnasium

    for simulator in SIMULATORS:
        if env_id.startswith(simulator.prefixes or "/") and not any(
            known.startswith(simulator.prefixes) for known in gymnasium.registry
        ):
            raise missing(env_id, simulator, ImportError(f"{simulator.module} registers no such environment"))


def simulator_of(entry_point: Any) -> Simulator:
    """Find the simulator behind a Gymnasium entry point."""
    if isinstance(entry_point, functools.partial):
        entry_point = entry_point.func
    entry = entry_point if isinstance(entry_point, str) else getattr(entry_point, "__module__", "")
    return next((s for s in SIMULATORS if entry.startswith(s.entry)), _OTHER)


def is_known(env_id: str) -> bool:
    """Say whether `env_id` is of a simulator in `SIMULATORS`; imports nothing but that.

    A name with a colon would import a module, so it is none.
    """
    import gymnasium

    if not re.fullmatch(r"[A-Za-z0-9_./-]+", env_id) or env_id.endswith(".py"):
        return False
    if any(env_id.startswith(simulator.prefixes or "/") for simulator in SIMULATORS):
        return True
    spec = gymnasium.registry.get(env_id)
    return spec is not None and simulator_of(spec.entry_point) is not _OTHER


def missing(env_id: str, simulator: Simulator, error: Exception) -> EnvError:
    """Build the error for an environment whose package is not installed."""
    packages = f'"worldling[{simulator.extra}]"' if simulator.extra else simulator.install
    fix = f"Run pip install {packages}" if packages else "Install its package"
    # What follows the first comma is the package's own advice, which names other extras than ours.
    reason = str(error).partition("\n")[0].partition(",")[0] or type(error).__name__
    return EnvError(f"`env_id` must be installed, got {env_id!r} ({reason}). {fix}.")
