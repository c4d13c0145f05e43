"""Playing one worker's share of a recording.

Episodes are a pure function of (seed, worker, episode number): nothing is carried over between them, so a
recording can be resumed and repeated.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from worldling.config import to_dict
from worldling.data.dataset import DatasetMeta
from worldling.data.environment import Environment, Transition, open_environment
from worldling.data.fit import picture_of
from worldling.data.interface import code_place
from worldling.data.policies import Policy, load_policy
from worldling.data.store import PIECE_FRAMES, DatasetWriter
from worldling.errors import ConfigError, EnvError, EpisodeError, WorldlingError
from worldling.types import Episode

_GIVE_UP = (4, 40)  # so many episodes in a row that fail at once mean that all will, at first and later
_TELL = 3  # so many faults are told, the others counted
_FLAT_FRAMES = 50  # so many one-coloured frames at the start mean that nothing is drawn


@dataclass(frozen=True)
class Job:
    """One worker's share of a recording. env_id: as the user named it, with its folder if it is a file."""

    path: str
    meta: DatasetMeta
    policy: str | Policy
    worker: int
    frames: int
    number: int  # of its first episode
    env_id: str


@dataclass(frozen=True)
class Played:
    """What a worker saw.

    cut_by_errors: episodes that an exception of the environment ended; steps: taken; not_finite: those with a reward
    that is NaN or infinite.
    """

    cut_by_errors: int
    steps: int
    not_finite: int


@dataclass
class Piece:
    """Rows collected since the last cut."""

    frames: list[np.ndarray] = field(default_factory=list)
    states: list[dict[str, np.ndarray]] = field(default_factory=list)
    actions: list[np.ndarray] = field(default_factory=list)
    steps: list[Transition] = field(default_factory=list)

    def episode(self, meta: dict[str, Any]) -> Episode:
        """Return the rows as an episode."""
        return Episode(
            frames=np.stack(self.frames),
            actions=np.stack(self.actions),
            reward=np.asarray([s.reward for s in self.steps], np.float32),
            terminated=np.asarray([s.terminated for s in self.steps], bool),
            truncated=np.asarray([s.truncated for s in self.steps], bool),
            state={name: np.stack([s[name] for s in self.states]) for name in self.states[0]},
            meta=meta,
        )


def episode_seed(seed: int, worker: int, number: int) -> int:
    """Derive the seed of one episode; streams of different seeds and workers never meet in practice."""
    return int(np.random.SeedSequence([seed, worker, number]).generate_state(1)[0] >> 1)


def play(job: Job, stopped: Callable[[], bool], report: Callable[[int], None]) -> Played:
    """Record one worker's share; return early, cleanly, when `stopped()`; report frames done at each step.

    An episode in which the environment raises is kept up to there, and the next one is played in a new environment.
    Raises `EnvError` when so many episodes in a row do not reach a second frame that none will.
    """
    make_act = load_policy(job.policy) if isinstance(job.policy, str) else job.policy
    meta = job.meta

    def opened() -> Environment:
        return open_environment(job.env_id, meta.box_px or meta.size_px, meta.frame_skip, meta.env_kwargs, meta.fit)

    env, faults, fruitless, steps, not_finite = opened(), 0, 0, 0, 0
    try:
        with DatasetWriter(job.path, meta, job.worker) as writer:
            number, blank = job.number, _BlankWatch(meta)
            held: list[Episode] = []  # nothing is kept before something was seen
            while writer.num_frames < job.frames and not stopped():
                seed, length = episode_seed(meta.seed, job.worker, number), 0

                def enough(count: int) -> bool:
                    report(min(writer.num_frames + count, job.frames))
                    return writer.num_frames + count >= job.frames or stopped()

                try:
                    for piece, cut in _pieces(env, make_act, seed, enough, blank):
                        held.append(piece.episode({"seed": seed, "number": number, "cut": cut}))
                        length += len(piece.steps)
                        not_finite += sum(not math.isfinite(step.reward) for step in piece.steps)
                        while held and blank.seen:
                            writer.write(held.pop(0))
                except EpisodeError as error:
                    faults, fruitless = faults + 1, 0 if length else fruitless + 1
                    if fruitless >= _GIVE_UP[steps > 0]:
                        raise
                    _tell(f"episode {number} (seed {seed}) was cut after {length} steps: {error}", faults)
                    with suppress(Exception):  # it is broken
                        env.close()
                    env = opened()
                steps += length
                number += 1
    finally:
        with suppress(Exception):  # what was recorded is whole
            env.close()
    return Played(faults, steps, not_finite)


def _tell(line: str, number: int) -> None:
    """Say what went wrong, the first few times."""
    if number <= _TELL:
        more = "" if number < _TELL else " (others are only counted)"
        print(f"{line}{more}", file=sys.stderr, flush=True)


def _pieces(
    env: Environment, make_act: Policy, seed: int, enough: Callable[[int], bool], blank: _BlankWatch
) -> Iterator[tuple[Piece, bool]]:
    """Play one episode and yield it in pieces, with whether each was cut off before the environment ended.

    enough: told the number of frames held after every step, says whether to stop there. A piece after a
    cut begins with the frame the one before ended with, so no transition is lost. If the environment raises, what
    was played is yielded first.
    """
    frame = env.reset(seed)
    act = _guarded(_guarded(make_act)(env, seed))
    piece = Piece([frame], [env.state()])
    blank.see(frame)
    while True:
        chosen = act(frame, env.info)
        if chosen is None:  # the player ends the episode here
            if piece.steps:
                yield piece, True
            return
        action = env.action_space.check(chosen, lead=())
        try:
            step = env.step(action)
            state = env.state()
        except EpisodeError:
            if piece.steps:
                yield piece, True
            raise
        frame = step.frame
        blank.see(frame)
        piece.actions.append(action)
        piece.steps.append(step)
        piece.frames.append(frame)
        piece.states.append(state)
        over = step.terminated or step.truncated
        last = over or enough(len(piece.frames))
        if last or len(piece.frames) == PIECE_FRAMES:
            yield piece, not over
            if last:
                return
            piece = Piece([frame], [state])


def _guarded(part: Callable[..., Any]) -> Callable[..., Any]:
    """Return a policy's function that raises `ConfigError`, naming the line, where the policy's own code fails."""

    def call(*given: Any) -> Any:
        try:
            return part(*given)
        except WorldlingError:
            raise
        except Exception as error:
            says = " ".join(str(error).split())
            place = code_place(error)
            raise ConfigError(
                f"`policy` must play on, got {type(error).__name__}: {says} ({place}). Mend it: a policy is a function "
                "of (env, seed) that returns a function of (frame, info), which returns an action."
            ) from error

    return call


class _BlankWatch:
    """Notice an environment that draws nothing, before hours of black frames are recorded."""

    def __init__(self, meta: DatasetMeta) -> None:
        self.env_id, self.picture = meta.env_id, picture_of(to_dict(meta), meta.size_px)
        self.flat, self.seen = 0, False

    def see(self, frame: np.ndarray) -> None:
        """Look at a frame; raises `EnvError` after 50 that show nothing, and looks no more once one does."""
        if self.seen:
            return
        picture = self.picture.cut(frame)
        self.seen = bool((picture != picture[0, 0]).any())
        self.flat += 1
        if not self.seen and self.flat >= _FLAT_FRAMES:
            raise EnvError(
                f"`env_id` must draw something, got {self.flat} one-coloured frames from {self.env_id!r}. "
                'Unset SDL_VIDEODRIVER (with "dummy" some environments draw nothing) or set MUJOCO_GL=egl.'
            )
