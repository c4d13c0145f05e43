"""Playing one worker's share of a recording.

Episodes are a pure function of (seed, worker, episode number): nothing is carried over between them, so a
recording can be resumed and repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from worldling.data.dataset import DatasetMeta
from worldling.data.environment import Environment, Transition, open_environment
from worldling.data.policies import Policy, load_policy
from worldling.data.store import PIECE_FRAMES, DatasetWriter
from worldling.errors import EnvError
from worldling.types import Episode

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


def play(job: Job, stopped: Callable[[], bool], report: Callable[[int], None]) -> None:
    """Record one worker's share; return early, cleanly, when `stopped()`; report frames done at each step."""
    make_act = load_policy(job.policy) if isinstance(job.policy, str) else job.policy
    meta = job.meta
    env = open_environment(job.env_id, meta.size_px, meta.frame_skip, meta.env_kwargs)
    try:
        with DatasetWriter(job.path, meta, job.worker) as writer:
            number, blank = job.number, _BlankWatch(meta.env_id)
            held: list[Episode] = []  # nothing is kept before something was seen
            while writer.num_frames < job.frames and not stopped():
                seed = episode_seed(meta.seed, job.worker, number)

                def enough(count: int) -> bool:
                    report(min(writer.num_frames + count, job.frames))
                    return writer.num_frames + count >= job.frames or stopped()

                for piece, cut in _pieces(env, make_act, seed, enough, blank):
                    held.append(piece.episode({"seed": seed, "number": number, "cut": cut}))
                    while held and blank.seen:
                        writer.write(held.pop(0))
                number += 1
    finally:
        env.close()


def _pieces(
    env: Environment, make_act: Policy, seed: int, enough: Callable[[int], bool], blank: _BlankWatch
) -> Iterator[tuple[Piece, bool]]:
    """Play one episode and yield it in pieces, with whether each was cut off before the environment ended.

    enough: told the number of frames held after every step, says whether to stop there. A piece after a
    cut begins with the frame the one before ended with, so no transition is lost.
    """
    frame = env.reset(seed)
    act = make_act(env, seed)
    piece = Piece([frame], [env.state()])
    blank.see(frame)
    while True:
        action = env.action_space.check(act(frame, env.info), lead=())
        step = env.step(action)
        frame = step.frame
        blank.see(frame)
        piece.actions.append(action)
        piece.steps.append(step)
        piece.frames.append(frame)
        piece.states.append(env.state())
        over = step.terminated or step.truncated
        last = over or enough(len(piece.frames))
        if last or len(piece.frames) == PIECE_FRAMES:
            yield piece, not over
            if last:
                return
            piece = Piece([frame], [piece.states[-1]])


class _BlankWatch:
    """Notice an environment that draws nothing, before hours of black frames are recorded."""

    def __init__(self, env_id: str) -> None:
        self.env_id, self.flat, self.seen = env_id, 0, False

    def see(self, frame: np.ndarray) -> None:
        """Look at a frame; raises `EnvError` after 50 that show nothing, and looks no more once one does."""
        if self.seen:
            return
        self.seen = bool((frame != frame[0, 0]).any())
        self.flat += 1
        if not self.seen and self.flat >= _FLAT_FRAMES:
            raise EnvError(
                f"`env_id` must draw something, got {self.flat} one-coloured frames from {self.env_id!r}. "
                'Unset SDL_VIDEODRIVER (with "dummy" some environments draw nothing) or set MUJOCO_GL=egl.'
            )
