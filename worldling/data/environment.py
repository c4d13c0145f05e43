"""Any Gymnasium environment as a source of square uint8 pictures, actions and engine state."""

from __future__ import annotations

import weakref
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import UInt8

from worldling.data import simulators
from worldling.data.action_names import declared_names
from worldling.data.find_environment import accepts, canonical, find_spec, own_fault, runs_code
from worldling.data.fit import Fit, Size, make_fit, resize
from worldling.data.interface import answered, episode_fault, flag, number, old_interface
from worldling.data.pictures import Pictures
from worldling.data.simulator import Simulator, declared
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
    return resize(picture, size_px, size_px)


class Environment:
    """A Gymnasium environment seen through pictures. Make it with `open_environment`.

    env_id: its name, of a file without the folder; size_px, frame_skip, env_kwargs: what it was opened with;
    fit: how pictures become frames; picture_px: height and width of the picture drawn last, None before one was;
    action_space: the raw actions that `step` takes; fps: frames per second of real time that one recorded frame
    stands for; raw: the Gymnasium environment; info: the last info dict it gave; license: of the simulator.
    """

    def __init__(
        self, raw: Any, simulator: Simulator, env_id: str, fit: Fit, frame_skip: int, env_kwargs: dict[str, Any]
    ) -> None:
        self.raw, self.env_id, self.fit, self.size_px, self.frame_skip = raw, env_id, fit, fit.side, frame_skip
        self.picture_px: tuple[int, int] | None = None
        self.env_kwargs = dict(env_kwargs)
        self.info: dict[str, Any] = {}
        self.license, self.package = simulator.license, simulator.package
        self._simulator, self._pictures = simulator, Pictures(env_id)
        self._repeat = 1 if simulator.skip_keyword else frame_skip
        described = ActionSpace.from_gymnasium(raw.action_space)
        count = described.nvec[0] if described.kind == "discrete" else int(np.prod(described.shape))
        names = simulator.names if len(simulator.names) == count else declared_names(raw.unwrapped, count)
        self.action_space = ActionSpace.from_gymnasium(raw.action_space, names)
        self.fps = simulator.frames_per_second(raw) / frame_skip
        self._shown: np.ndarray | None = None  # the last picture of this episode
        self._observation: Any = None  # the last one
        self._at_exit = weakref.finalize(self, _close, raw)  # MuJoCo complains if it is torn down by the interpreter

    def reset(self, seed: int | None = None) -> UInt8[np.ndarray, "{self.size_px} {self.size_px} 3"]:
        """Start an episode from `seed` and return its first frame `[H, W, 3]`.

        Raises `EnvError` if the environment draws no picture or follows another interface than Gymnasium's,
        `EpisodeError` if it raises an exception.
        """
        try:
            answer = self.raw.reset(seed=seed)
        except (Exception, SystemExit) as error:
            raise self._fault("reset", error) from error
        if not (isinstance(answer, tuple) and len(answer) == 2 and isinstance(answer[1], dict | None)):
            raise old_interface(self.env_id, "reset() that does not return observation and info")
        observation, info = answer
        self.info, self._shown, self._observation = info or {}, None, observation
        self._simulator.prepare(self.raw.unwrapped)
        return self._frame(observation)

    def step(self, action: Any) -> Transition:
        """Take one raw action for `frame_skip` simulator frames.

        Raises `ActionError` if the action does not belong to `action_space`; else as `reset` does.
        """
        reward, ended, stopped = self.advance(action)
        return Transition(self._frame(self._observation, over=ended or stopped), reward, ended, stopped)

    def advance(self, action: Any) -> tuple[float, bool, bool]:
        """Take one raw action as `step` does, without drawing: reward, terminated, truncated. Raises as `step` does."""
        native = self._native(self.action_space.check(action, lead=()))
        total = 0.0
        for _ in range(self._repeat):
            try:
                answer = self.raw.step(native)
            except (Exception, SystemExit) as error:
                raise self._fault("step", error) from error
            self._observation, reward, terminated, truncated, info = answered(self.env_id, answer)
            self.info = info or {}
            total += number(self.env_id, reward)
            ended, stopped = (flag(self.env_id, value) for value in (terminated, truncated))
            if ended or stopped:
                break
        return total, ended, stopped

    def draw(self) -> np.ndarray:
        """Draw the frame `[H, W, 3]` after `advance`. Raises as `reset` does."""
        return self._frame(self._observation)

    def state(self) -> dict[str, np.ndarray]:
        """Return the engine's state now, as copies; empty if the simulator shows none.

        ALE: ram uint8 [128]. MuJoCo: qpos, qvel. Push-T (board of 512 px, y down, radians in 0..2pi):
        agent_pos [2], agent_vel [2] px/s, block_pose [3] x, y, angle. CarRacing (metres, radians):
        position [2], angle, velocity [2], angular_velocity. Classic control: state.
        """
        return self._simulator.state(self.raw.unwrapped)

    def close(self) -> None:
        """Free the simulator."""
        self._at_exit.detach()
        self.raw.close()

    def _native(self, action: np.ndarray) -> Any:
        space = self.raw.action_space
        if self.action_space.kind == "discrete":
            return int(action) + int(space.start)
        if self.action_space.kind == "box":
            return np.asarray(np.clip(action.reshape(space.shape).astype(space.dtype), space.low, space.high))
        start = space.low if hasattr(space, "low") else getattr(space, "start", 0)
        return np.asarray(action.reshape(space.shape) + start).astype(space.dtype)

    def _frame(self, observation: Any, over: bool = False) -> np.ndarray:
        """Return the frame now; over: the episode has ended, and where nothing is drawn then the last one stays."""
        try:
            drawn = self._drawn(observation)
        except (Exception, SystemExit) as error:
            raise self._fault("render", error) from error
        if drawn is None and over and self._shown is not None:
            return self._shown.copy()
        if drawn is None:
            modes, mode = declared(self.raw, "render_modes"), getattr(self.raw, "render_mode", None)
            if "rgb_array" in (modes or ()) and mode != "rgb_array":
                raise EnvError(
                    f"`render_mode` must be rgb_array, got {mode} from {self.env_id!r}, which draws nothing then. "
                    + (
                        "Leave it out of env_kwargs."
                        if "render_mode" in self.env_kwargs
                        else 'Make the environment with render_mode="rgb_array".'
                    )
                )
            raise EnvError(
                f"`env_id` must draw pixels, got none from {self.env_id!r} (no image in its observation, no "
                f"rgb_array from render(), whose modes are {modes or 'none'}). Choose an environment that draws, "
                "or env_kwargs that make it draw."
            )
        picture = self._pictures.convert(drawn)
        self.picture_px = (picture.shape[0], picture.shape[1])
        self._shown = self.fit.apply(picture)
        return self._shown.copy()

    def _drawn(self, observation: Any) -> Any:
        """Return what stands for a picture, of any type and shape, or None.

        That of the simulator we know, else a colour picture observed, else `render()`, else any other picture observed.
        """
        if self._simulator.picture is not None:
            return self._simulator.picture(self.raw.unwrapped, observation, self.size_px)
        picture = simulators.observed_picture(observation)
        if picture is None:
            with suppress(NotImplementedError):  # what gymnasium.Env does where a class has no render()
                picture = self.raw.render()
        return simulators.observed_picture(observation, colour=False) if picture is None else picture

    def _fault(self, call: str, error: BaseException) -> Exception:
        """Return what to raise where the environment raised `error` in `call`."""
        if isinstance(error, WorldlingError):
            return error
        from gymnasium.error import DependencyNotInstalled

        if isinstance(error, (ImportError, DependencyNotInstalled)):  # some import what draws only when they draw
            return simulators.missing(self.env_id, self._simulator, error)
        return episode_fault(self.env_id, call, error)


def _close(raw: Any) -> None:
    with suppress(Exception):  # nobody is there to be told
        raw.close()


def open_environment(
    env_id: str,
    size_px: Size = 64,
    frame_skip: int | None = None,
    env_kwargs: dict[str, Any] | None = None,
    fit: str = "pad",
) -> Environment:
    """Open any environment that has pixels, in its observation or through `render()`.

    env_id: a Gymnasium id, module:id or file.py:callable, see find_environment.py; code that it names is run.
    size_px: side of the square frames, 8 to 1024, or "96x72" for the pixels of pictures that are not square, in square
    frames; fit: "pad", "crop" or "squeeze", what is done to pictures of another shape, see fit.py. frame_skip:
    simulator frames per action; None takes the simulator's habit (4 for Atari, else 1). env_kwargs go to
    `gymnasium.make`.
    Raises `EnvError` if the name is unknown, its package is missing or it cannot be made.
    """
    import gymnasium
    from gymnasium.envs.registration import load_env_creator

    fitted = make_fit(size_px, fit)
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
        draws = "rgb_array" in modes or (not modes and (runs_code(env_id) or simulator.name != "other"))
        if simulator.renders and draws and accepts(creator, "render_mode"):
            keywords.setdefault("render_mode", "rgb_array")
        with simulators.quietly() if simulator.name != "other" else nullcontext():
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
    return Environment(raw, simulator, canonical(env_id), fitted, skip, given)
