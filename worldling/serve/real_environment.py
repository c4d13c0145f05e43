"""The real environment, stepped with the same actions as the dream and shown next to it."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import numpy as np

from worldling.data.formats.registry import is_imported
from worldling.errors import ServeError
from worldling.frame_error import frame_error
from worldling.protocol import WorldModel


def squared_error(dream: np.ndarray, real: np.ndarray) -> float:
    """Mean squared error between two uint8 frames `[H, W, 3]`, in grey levels squared (0 to 65025)."""
    return float(frame_error(dream, real)) * 255.0**2


def open_real_environment(world: WorldModel, env_id: str = "") -> RealEnvironment:
    """Open the environment that `world` was recorded from.

    env_id: the environment as the user named it, see data/find_environment.py; empty takes the one that the world's
    card names, if it is installed: code of somebody's own is opened only when the user names it.
    Raises `ServeError` when the world's data came from no environment, must be named or has other actions,
    `EnvError` when it cannot be opened.
    """
    from worldling.data.card_environment import check_card_environment
    from worldling.data.environment import open_environment
    from worldling.data.find_environment import canonical, runs_code
    from worldling.data.fit import fit_of

    source = world.card.get("source", {})
    fitted = fit_of(source, world.size_px)
    known = str(source.get("env_id") or "")
    if not env_id and (not known or is_imported(known)):
        raise ServeError(
            "`--beside` must have an environment, got a world that was not recorded from one. Play it without --beside."
        )
    if not env_id and runs_code(known):
        raise ServeError(
            f"`--beside` must name the environment, got a world of {known}, which is code of somebody's own. "
            f"If it is yours or you trust it, add where it lies: --beside {known}."
        )
    check_card_environment(source, named=bool(env_id))
    environment = open_environment(
        env_id or known,
        size_px=fitted.box or fitted.side,
        frame_skip=source.get("frame_skip"),
        env_kwargs=source.get("env_kwargs", {}),
        fit=fitted.kind,
    )
    ours, theirs = world.action_space, environment.action_space
    if not ours.same_actions(theirs):
        environment.close()
        raise ServeError(
            f"`--beside` must name an environment with the world's actions ({ours.kind}, {ours.size} numbers), got "
            f"{env_id or known} with {theirs.kind}, {theirs.size} numbers. Name the one it was recorded from."
        )
    if env_id and known and canonical(env_id) != known:
        print(f"the world was recorded from {known}; beside it runs {env_id}", file=sys.stderr, flush=True)
    return RealEnvironment(environment)


@dataclass(frozen=True)
class Played:
    """Raw actions since a start, and the checksums of the frames from it on, one more."""

    actions: tuple[Any, ...]
    checksums: tuple[int, ...]


class RealEnvironment:
    """A real environment stepped along with a session.

    environment: owned; has `reset(seed)`, `step(action)` and `close()`, as in `data.environment`;
    frame: the newest real frame uint8 `[H, W, 3]`, kept when the episode is over.
    A simulator cannot be forked in general, so going back resets it with the same seed and replays the actions.
    """

    def __init__(self, environment: Any) -> None:
        self._environment = environment
        self.frame: np.ndarray | None = None
        self._seed = 0
        self._warm_up: list[Any] = []
        self._log: list[Any] = []
        self._checksums: list[int] = []
        self._ended_at: int | None = None
        self._diverged = False

    @property
    def note(self) -> str:
        """A warning for the player, one line, or an empty string."""
        if self._ended_at is not None:
            return "The real episode is over. Reset to start both again."
        if self._diverged:
            return "The real environment did not replay exactly. The error is no longer valid."
        return ""

    def start(self, seed: int, actions: np.ndarray) -> np.ndarray:
        """Reset, then step through `actions` `[T - 1, ...]`; returns the frames uint8 `[T, H, W, 3]`.

        The actions are those of one of the world's contexts, so that the start resembles the training data. No-ops
        would not: in Push-T they send the agent to a corner.
        """
        self._seed, self._warm_up, self._diverged = seed, list(actions), False
        frames = self._restart()
        if self._ended_at is not None:
            raise ServeError(
                f"`start` must leave the real episode running, got {seed}, where it ends within the context. "
                "Choose the next start."
            )
        return frames

    def step(self, action: Any) -> np.ndarray | None:
        """Take one action; returns the frame `[H, W, 3]`, or None once the episode is over."""
        if self._ended_at is not None:
            return None
        self._log.append(action)
        return self._step(action)

    @property
    def played(self) -> Played:
        """What was done since the start, for `replay_in_turns`."""
        return Played(tuple(self._log), tuple(self._checksums))

    def rewind_in_turns(self, num_steps: int) -> Generator[None, None, None]:
        """Go back to `num_steps` after the start, yielding after each step. Costs that many real steps."""
        return self.replay_in_turns(Played(tuple(self._log[:num_steps]), tuple(self._checksums[: num_steps + 1])))

    def replay_in_turns(self, played: Played) -> Generator[None, None, None]:
        """Start again and do what was `played` since this start, yielding after each step. Costs that many steps."""
        self._restart()
        for action in played.actions:
            self._log.append(action)
            self._step(action)
            yield
        self._diverged = self._diverged or self._checksums != list(played.checksums)

    def close(self) -> None:
        """Close the environment."""
        self._environment.close()

    def _restart(self) -> np.ndarray:
        self._ended_at = None
        frames = [self._environment.reset(self._seed)]
        for action in self._warm_up:
            frames.append(self._step(action))
        self._log, self._checksums = [], [zlib.crc32(np.ascontiguousarray(frames[-1]).data)]
        self.frame = frames[-1]
        return np.stack(frames)

    def _step(self, action: Any) -> np.ndarray:
        transition = self._environment.step(action)
        if transition.terminated or transition.truncated:
            self._ended_at = len(self._log)
        self._checksums.append(zlib.crc32(np.ascontiguousarray(transition.frame).data))
        self.frame = transition.frame
        return transition.frame
