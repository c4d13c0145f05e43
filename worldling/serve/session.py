"""One player's session: the held action, the frames made, rewinding and branching.

It knows nothing about sockets or clocks. Every method blocks (a step takes milliseconds) and is called
from the one worker thread that owns the world. Only `hold` may be called from other threads.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Generator
from dataclasses import asdict
from typing import Any

import numpy as np

from worldling.alarm import DriftAlarm
from worldling.data.fit import picture_of
from worldling.data.hands import is_pointer
from worldling.description import HISTORY_S
from worldling.errors import ServeError
from worldling.protocol import WorldModel, WorldState
from worldling.serve.history import History, StoredFrame
from worldling.serve.messages import encode_jpeg
from worldling.serve.real_environment import RealEnvironment, squared_error
from worldling.types import Step, check_frames

SEGMENT_S = 2.5
SHORTEST_LEFT_S = 1.0  # a branch with less of its own is not kept when it is left
MAX_RECORDING_S = 600


class Session:
    """A world being played by one person.

    world: shared, read only; real: the real environment, owned by this session until it ends;
    fps: frames per second at speed 1, for the length of the history; alarm: checks every frame for drift, or
    None; note: why there is no real environment, if one was wanted. The constructor calls `reset`, which encodes the
    context.
    """

    def __init__(
        self,
        world: WorldModel,
        fps: float,
        real: RealEnvironment | None = None,
        start: int = 0,
        alarm: DriftAlarm | None = None,
        note: str = "",
    ) -> None:
        self.world, self.real, self.start, self.alarm = world, real, start, alarm
        self._no_real = note
        self.picture = picture_of(world.card.get("source", {}), world.size_px)
        frames = (
            max(low, round(length * fps)) for low, length in ((2, HISTORY_S), (1, SEGMENT_S), (1, SHORTEST_LEFT_S))
        )
        self.history = History(*frames)
        self.branches: list[int] = []
        self.num_branches = 0
        self.recording = False
        self.recorded: list[StoredFrame] = []
        self._max_recorded = round(MAX_RECORDING_S * fps)
        self._lock = threading.Lock()
        self._inputs: list[tuple[np.ndarray, int]] = []
        self._own_picture: np.ndarray | None = None
        self._last_real_jpeg: bytes | None = None
        self.reset(start)

    @property
    def current(self) -> StoredFrame:
        """The newest frame."""
        return self.history.get(self.history.newest)

    def status(self) -> dict[str, Any]:
        """Return the session's part of the `status` message (messages.py), as json values."""
        with self._lock:
            held, _ = self._inputs[-1] if self._inputs else self._held
        current = self.current
        return {
            "oldest": self.history.oldest,
            "newest": self.history.newest,
            "branches": self.branches,
            "num_branches": self.num_branches,
            "others": [asdict(left) for left in self.history.left],
            "score": None if math.isnan(current.score) else round(current.score, 3),
            "over": current.over,
            "own_picture": self._own_picture is not None,
            "start": self.start,
            "held": held.tolist(),
            "recording": self.recording,
            "recorded": len(self.recorded),
            "note": self._note(),
        }

    def hold(self, action: Any, input_id: int) -> None:
        """Hold a raw action from the next frame on. Raises `ActionError`; the old action then stays.

        A key pressed and released between two frames still acts for one frame: the release waits for the next.
        """
        space = self.world.action_space
        checked = space.check(action, lead=())[()]
        with self._lock:
            is_release = any(np.array_equal(checked, before) for before in (self._neutral, self._held[0]))
            self._inputs = [*(self._inputs[:1] if is_release else []), (checked, input_id)]

    def reset(self, start: int | None = None) -> StoredFrame:
        """Start again from start number `start`, or from the same one; returns the first frame.

        Start k is context k modulo the number of contexts; the seed is k divided by it. With a real environment,
        k is the environment's seed and its first frames are the context. The same start after `start_from` is the
        player's own picture.
        """
        if start is None and self._own_picture is not None:
            return self.start_from(self._own_picture)
        start = self.start if start is None else start
        contexts, num = self.world.contexts, self.world.config.context
        episode = contexts[start % len(contexts)]
        frames, actions = episode.frames[:num], episode.actions[: num - 1]
        if self.real:
            frames = self.real.start(start, actions)
        self._begin(frames, actions, start)
        self._own_picture = None
        return self._store(frames[-1], None, real=frames[-1] if self.real else None)

    def start_from(self, picture: np.ndarray) -> StoredFrame:
        """Start from a picture of the player's own, uint8 `[H, W, 3]` of any size; returns the first frame.

        The world is shown it standing still, under no-ops. A real environment cannot start there: it stands still too.
        """
        frame = self.picture.fill(picture, self.world.size_px)
        num, contexts = self.world.config.context, self.world.contexts
        neutral = self._neutral_action(contexts[self.start % len(contexts)].actions[: num - 1])
        actions = np.broadcast_to(neutral, (num - 1, *np.shape(neutral)))
        self._begin(np.stack([frame] * num), actions, self.start)
        self._own_picture = picture
        return self._store(frame, None)

    def advance(self) -> StoredFrame:
        """Make one frame with the held action, and count its reward."""
        action, input_id = self._take_input()
        before, step = self.current, self._step(self.state, action)
        frame = check_frames(step.frame, "frame", ndim=(4,))[0]
        real = self._playing_real.step(action) if self._playing_real else None
        drift = self._monitor is not None and self._monitor.update(frame).raised
        score = before.score
        if step.reward is not None:
            score = float(step.reward[0]) + (0.0 if math.isnan(score) else score)
        over = before.over or (step.terminated is not None and bool(step.terminated[0]))
        return self._store(frame, action, input_id, real, drift, score, over)

    def finish(self) -> None:
        """Raise `ServeError`: only a session that records a game has an end."""
        raise ServeError("`finish` must be sent where a game is recorded, got it in a world. Close the page instead.")

    def _take_input(self) -> tuple[Any, int]:
        """Return the action to be held for the next frame, and the number of the input it came with."""
        with self._lock:
            if self._inputs:
                self._held = self._inputs.pop(0)
            return self._held

    def peek(self, index: int | None) -> StoredFrame:
        """Return the stored frame nearest to `index`, without going back to it; None is the newest."""
        newest = self.history.newest
        return self.history.get(newest if index is None else min(max(index, self.history.oldest), newest))

    def branch(self, index: int) -> Generator[None, None, StoredFrame]:
        """Go back to frame `index`; what came later is left, and can be returned to.

        Yields after each frame that is made again, up to 2.5 s worth of them, so that others can have their turn.
        """
        frame = self.history.get(index)
        if index == self.history.newest:
            return frame
        real = self._playing_real
        yield from self._continue(*self.history.branch(index, real.played if real else None))
        if real:
            yield from real.rewind_in_turns(index)
        self.branches = [at for at in self.branches if at < index and at >= self.history.oldest] + [index]
        self.num_branches += 1
        return frame

    def rewind(self, frames: int) -> Generator[None, None, StoredFrame]:
        """Branch `frames` back, or at the oldest frame kept."""
        return (yield from self.branch(self.peek(self.history.newest - max(0, frames)).index))

    def return_to(self, left: int) -> Generator[None, None, StoredFrame]:
        """Return to the newest frame of a branch that was left, yielding as `branch` does. Raises `ServeError`."""
        real, at = self._playing_real, next((branch.at for branch in self.history.left if branch.id == left), 0)
        state, actions, played = self.history.go_to(left, real.played if real else None)
        yield from self._continue(state, actions)
        if real:
            yield from real.replay_in_turns(played)
        self.branches = [*(mark for mark in self.branches if self.history.oldest <= mark < at), at]
        self.num_branches += 1
        return self.current

    def record(self, on: bool) -> None:
        """Start a recording with the current frame, or end it."""
        if on and not self.recording:
            self.recorded = [self.current]
        self.recording = on

    def clip(self, num_frames: int | None) -> list[StoredFrame]:
        """Return the last `num_frames` frames, or (None) the last recording. Raises `ServeError` without one."""
        if num_frames is None and not self.recorded:
            raise ServeError("`recording` must be made first, got none. Press record, or ask for `seconds`.")
        return list(self.recorded) if num_frames is None else list(self.history)[-max(1, num_frames) :]

    @property
    def _playing_real(self) -> RealEnvironment | None:
        """The real environment, while it plays along: it does not from a picture of the player's own."""
        return self.real if self._own_picture is None else None

    def _note(self) -> str:
        """Return what the player is told of the real environment, one line or none."""
        if self.real is None:
            return self._no_real
        return self.real.note if self._own_picture is None else "The real environment cannot start from a picture."

    def _begin(self, frames: np.ndarray, actions: np.ndarray, start: int) -> None:
        """Start the world from real frames `[T, H, W, 3]` and the actions between them."""
        self.state = self.world.start(frames[None], actions[None], seed=start // len(self.world.contexts))
        self.start, self._neutral = start, self._neutral_action(actions)
        with self._lock:
            self._inputs, self._held = [], (self._neutral, 0)
        self.branches, self.num_branches = [], 0
        self.history.clear()
        self._monitor = self.alarm.monitor(self.world, frames) if self.alarm else None

    def _continue(self, state: WorldState, actions: list[np.ndarray]) -> Generator[None, None, None]:
        """Go on from a stored state, after the frames that followed it are made again."""
        for action in actions:
            self._step(state, action)  # decoded too: the graph without the decoder may not be compiled yet
            yield
        self.state = state
        if self._monitor:
            self._monitor.forget_previous()

    def _step(self, state: WorldState, action: Any) -> Step:
        """Make the next frame of a state under one raw action."""
        return self.world.step(state, np.asarray(action)[None])

    def _store(
        self,
        frame: np.ndarray,
        action: Any,
        input_id: int = 0,
        real: np.ndarray | None = None,
        drift: bool = False,
        score: float = math.nan,
        over: bool = False,
    ) -> StoredFrame:
        """Keep a frame uint8 `[H, W, 3]`, the first if it has no action, and the real one if that is new."""
        cut = self.picture.cut  # padding is not shown, and counts in no error
        error = math.nan
        if real is not None:
            error, self._last_real_jpeg = squared_error(cut(frame), cut(real)), encode_jpeg(cut(real))
        index = 0 if action is None else self.history.newest + 1
        stored = StoredFrame(
            index, encode_jpeg(cut(frame)), action, input_id, self._last_real_jpeg, error, drift, score, over
        )
        self.history.add(self.state, stored)
        if self.recording:
            self.recorded.append(stored)
            self.recording = len(self.recorded) < self._max_recorded
        return stored

    def _neutral_action(self, actions: np.ndarray) -> np.ndarray:
        """Return the action while nothing is held: a pointer stays where the context left it, all else is the no-op."""
        space = self.world.action_space
        return actions[-1] if is_pointer(space) and len(actions) else space.noop[()]
