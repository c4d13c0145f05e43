"""Any Gymnasium environment as a source of square uint8 pictures, actions and engine state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from worldling.data import simulators
from worldling.data.find_environment import accepts, canonical, find_spec, own_fault, runs_code
from worldling.errors import ConfigError, EnvError, WorldlingError
from worldling.types import ActionSpace


@dataclass(frozen=True)
class Transition:
    """What one step of an environment gives: frame `[H, W, 3]` uint8, reward summed over skipped frames."""

    frame: np.ndarray
    reward: float
    terminated: bool
    truncated: bool


def shrink(picture: UInt8[np.ndarray, "H W 3"], size_px: int) -> UInt8[np.ndarray, "{size_px} {size_px} 3"]:
    """Resize a uint8 `[H, W, 3]` picture to `[size_px, size_px, 3]`.

    Averages areas when it gets smaller, so that a thin or small thing dims instead of vanishing
    between samples; interpolates linearly when it gets larger.
    """
    height, width = picture.shape[:2]
    if (height, width) == (size_px, size_px):
        return np.ascontiguousarray(picture)
    smaller = size_px <= min(height, width)
    resample = Image.Resampling.BOX if smaller else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(np.ascontiguousarray(picture)).resize((size_px, size_px), resample))


class Environment:
    """A Gymnasium environment seen through pictures. Make it with `open_environment`.

    env_id: its name, of a file without the folder; size_px, frame_skip, env_kwargs: what it was opened with;
    action_space: the raw actions that `step` takes; fps: frames per second of real time that one recorded frame
    stands for; raw: the Gymnasium environment; info: the last info dict it gave; license: of the simulator.
    """

    def __init__(
        self,
        raw: Any,
        simulator: simulators.Simulator,
        env_id: str,
        size_px: int,
        frame_skip: int,
        env_kwargs: dict[str, Any],
    ) -> None:
        self.raw, self.env_id, self.size_px, self.frame_skip = raw, env_id, size_px, frame_skip
        self.env_kwargs = dict(env_kwargs)
        self.info: dict[str, Any] = {}
        self.license, self.package = simulator.license, simulator.package
        self._simulator = simulator
        self._repeat = 1 if simulator.skip_keyword else frame_skip
        names = simulator.names
        if not names and hasattr(raw.unwrapped, "get_action_meanings"):
            names = tuple(raw.unwrapped.get_action_meanings())
        described = ActionSpace.from_gymnasium(raw.action_space)
        size = described.nvec[0] if described.kind == "discrete" else int(np.prod(described.shape))
        if len(names) != size:  # CarRacing(continuous=False) has other actions than its default
            names = ()
        self.action_space = ActionSpace.from_gymnasium(raw.action_space, names)
        self.fps = (simulator.fps or float(raw.metadata.get("render_fps") or 30)) / frame_skip

    def reset(self, seed: int | None = None) -> UInt8[np.ndarray, "{self.size_px} {self.size_px} 3"]:
        """Start an episode from `seed` and return its first frame `[H, W, 3]`."""
        observation, self.info = self.raw.reset(seed=seed)
        return self._frame(observation)

    def step(self, action: Any) -> Transition:
        """Take one raw action for `frame_skip` simulator frames.

        Raises `ActionError` if the action does not belong to `action_space`.
        """
        native = self._native(self.action_space.check(action, lead=()))
        total = 0.0
        for _ in range(self._repeat):
            observation, reward, terminated, truncated, self.info = self.raw.step(native)
            total += float(reward)
            if terminated or truncated:
                break
        return Transition(self._frame(observation), total, bool(terminated), bool(truncated))

    def state(self) -> dict[str, np.ndarray]:
        """Return the engine's state now, as copies; empty if the simulator shows none.

        ALE: ram uint8 [128]. MuJoCo: qpos, qvel. Push-T (board of 512 px, y down, radians in 0..2pi):
        agent_pos [2], agent_vel [2] px/s, block_pose [3] x, y, angle. CarRacing (metres, radians):
        position [2], angle, velocity [2], angular_velocity. Classic control: state.
        """
        return self._simulator.state(self.raw.unwrapped)

    def close(self) -> None:
        """Free the simulator."""
        self.raw.close()

    def _native(self, action: np.ndarray) -> Any:
        space = self.raw.action_space
        if self.action_space.kind == "discrete":
            return int(action) + int(space.start)
        if self.action_space.kind == "box":
            action = np.clip(action.reshape(space.shape), space.low, space.high)
        return np.asarray(action).reshape(space.shape).astype(space.dtype)

    def _frame(self, observation: Any) -> np.ndarray:
        picture: np.ndarray | None
        if self._simulator.picture is not None:
            picture = self._simulator.picture(self.raw.unwrapped, observation, self.size_px)
        else:
            picture = simulators.observed_picture(observation)
            if picture is None:
                picture = self.raw.render()
        if not (isinstance(picture, np.ndarray) and picture.ndim == 3 and picture.shape[-1] == 3):
            raise EnvError(
                f"`env_id` must draw pixels, got none from {self.env_id!r} (no image in its observation, no "
                "rgb_array from render()). Choose an environment that draws, or env_kwargs that make it draw."
            )
        return shrink(picture.astype(np.uint8, copy=False), self.size_px)


def check_size_px(size_px: int) -> None:
    """Raise `ConfigError` if pictures of such a side cannot be kept."""
    if not 8 <= size_px <= 1024:
        raise ConfigError(f"`size_px` must be 8 to 1024, got {size_px}. Choose 64, 128 or 256.")


def open_environment(
    env_id: str, size_px: int = 64, frame_skip: int | None = None, env_kwargs: dict[str, Any] | None = None
) -> Environment:
    """Open any environment that has pixels, in its observation or through `render()`.

    env_id: a Gymnasium id, module:id or file.py:callable, see find_environment.py; code that it names is run.
    size_px: side of the square frames, 8 to 1024. frame_skip: simulator frames per action; None takes the
    simulator's habit (4 for Atari, else 1). env_kwargs go to `gymnasium.make`.
    Raises `EnvError` if the name is unknown, its package is missing or it cannot be made.
    """
    import gymnasium
    from gymnasium.envs.registration import load_env_creator

    check_size_px(size_px)
    if frame_skip is not None and frame_skip < 1:
        raise ConfigError(f"`frame_skip` must be at least 1, got {frame_skip}. Use 1 for every frame.")
    simulators.prepare_process()
    spec = find_spec(env_id)
    simulator = simulators.simulator_of(spec.entry_point)
    skip = simulator.frame_skip if frame_skip is None else frame_skip
    given = dict(env_kwargs or {})
    keywords = {**simulator.defaults, **given}
    if simulator.skip_keyword:
        keywords[simulator.skip_keyword] = skip  # repeating the action ourselves on top would skip twice
    try:
        entry = spec.entry_point
        creator = load_env_creator(entry) if isinstance(entry, str) else entry
        modes = getattr(creator, "metadata", {}).get("render_modes", ())
        draws = "rgb_array" in modes or (not modes and runs_code(env_id))
        if simulator.renders and draws and accepts(creator, "render_mode"):
            keywords.setdefault("render_mode", "rgb_array")
        raw = gymnasium.make(spec, disable_env_checker=True, **keywords)
    except (ImportError, gymnasium.error.DependencyNotInstalled) as error:
        raise simulators.missing(env_id, simulator, error) from None
    except (TypeError, ValueError, gymnasium.error.Error) as error:
        if runs_code(env_id) and not given and "inherit from" not in str(error):
            raise own_fault(env_id, error) from None
        raise EnvError(
            f"`env_id` must be an environment that opens, got {env_id!r} with {keywords}: "
            f"{str(error).splitlines()[0]}. Check env_kwargs."
        ) from None
    except WorldlingError:
        raise
    except Exception as error:
        raise own_fault(env_id, error) from None
    simulator.prepare(raw.unwrapped)
    return Environment(raw, simulator, canonical(env_id), size_px, skip, given)
