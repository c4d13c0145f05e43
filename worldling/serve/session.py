"""One player's session: the held action, the frames made, rewinding and branching.

It knows nothing about sockets or clocks. Every method blocks (a step takes milliseconds) and is called
from the one worker thread that owns the world. Only `hold` may be called from other threads.
"""

from __future__ import annotations

import threading
from collections.abc import Generator
from typing import Any

import numpy as np

from worldling.alarm import DriftAlarm
from worldling.data.fit import picture_of
from worldling.errors import ServeError
from worldling.protocol import WorldModel, WorldState
from worldling.serve.history import History, StoredFrame
from worldling.serve.messages import encode_jpeg
from worldling.serve.real_environment import RealEnvironment, run_through, squared_error
from worldling.types import ActionSpace, check_frames

HISTORY_S = 60
SEGMENT_S = 2.5
MAX_RECORDING_S = 600


def is_pointer(space: ActionSpace) -> bool:
    """Return whether actions are positions in the picture (a box of x and y), set with a mouse or a finger."""
    return space.kind == "box" and tuple(name.lower() for name in space.names) == ("x", "y")


class Session:
    """A world being played by one person.

    world: shared, read only; real: the real environment, owned by this session until it ends;
    fps: frames per second at speed 1, for the length of the history; alarm: checks every frame for drift, or
    None. The constructor calls `reset`, which encodes the context.
    """

    def __init__(
        self,
        world: WorldModel,
        fps: float,
        real: RealEnvironment | None = None,
        start: int = 0,
        alarm: DriftAlarm | None = None,
    ) -> None:
        self.world, self.real, self.start, self.alarm = world, real, start, alarm
        self.picture = picture_of(world.card.get("source", {}), world.size_px)
        self.history = History(max(2, round(HISTORY_S * fps)), max(1, round(SEGMENT_S * fps)))
        self.branches: list[int] = []
        self.num_branches = 0
        self.recording = False
        self.recorded: list[StoredFrame] = []
        self._max_recorded = round(MAX_RECORDING_S * fps)
        self._lock = threading.Lock()
        self._inputs: list[tuple[np.ndarray, int]] = []
        self.reset(start)

    @property
    def current(self) -> StoredFrame:
        """The newest frame."""
        return self.history.get(self.history.newest)

    def status(self) -> dict[str, Any]:
        """Return the session's part of the `status` message (messages.py), as json values."""
        with self._lock:
            held, _ = self._inputs[-1] if self._inputs else self._held
        return {
            "oldest": self.history.oldest,
            "newest": self.history.newest,
            "branches": self.branches,
            "num_branches": self.num_branches,
            "start": self.start,
            "held": held.tolist(),
            "recording": self.recording,
            "recorded": len(self.recorded),
            "note": self.real.note if self.real else "",
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
        k is the environment's seed and its first frames are the context.
        """
        start = self.start if start is None else start
        contexts, num = self.world.contexts, self.world.config.context
        episode = contexts[start % len(contexts)]
        frames, actions = episode.frames[:num], episode.actions[: num - 1]
        if self.real:
            frames = self.real.start(start, actions)
        state = self.world.start(frames[None], actions[None], seed=start // len(contexts))
        self.state, self.start = state, start
        self._neutral = self._neutral_action(actions)
        with self._lock:
            self._inputs, self._held = [], (self._neutral, 0)
        self.branches, self.num_branches = [], 0
        self.history.clear()
        self._monitor = self.alarm.monitor(self.world, frames) if self.alarm else None
        self._store(frames[-1], None, 0, frames[-1] if self.real else None)
        return self.current

    def advance(self) -> StoredFrame:
        """Make one frame with the held action."""
        action, input_id = self._take_input()
        frame = self._step(self.state, action)
        real = self.real.step(action) if self.real else None
        self._store(
            frame, action, input_id, real, drift=self._monitor is not None and self._monitor.update(frame).raised
        )
        return self.current

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

    def branch(self, index: int) -> StoredFrame:
        """Go back to frame `index` and delete later frames. Cost: up to 2.5 s worth of frames are made again."""
        return run_through(self.branch_in_turns(index))

    def branch_in_turns(self, index: int) -> Generator[None, None, StoredFrame]:
        """Do as `branch` does, yielding after each frame that is made again, so that others can have their turn."""
        frame = self.history.get(index)
        if index == self.history.newest:
            return frame
        state, actions = self.history.truncate(index)
        for action in actions:
            self._step(state, action)  # decoded too: the graph without the decoder may not be compiled yet
            yield
        self.state = state
        if self._monitor:
            self._monitor.forget_previous()
        if self.real:
            yield from self.real.rewind_in_turns(index)
        self.branches = [at for at in self.branches if at < index and at >= self.history.oldest] + [index]
        self.num_branches += 1
        return frame

    def rewind(self, frames: int) -> StoredFrame:
        """Branch `frames` back, or at the oldest frame kept."""
        return run_through(self.rewind_in_turns(frames))

    def rewind_in_turns(self, frames: int) -> Generator[None, None, StoredFrame]:
        """Do as `rewind` does, yielding as `branch_in_turns` does."""
        return (yield from self.branch_in_turns(self.peek(self.history.newest - max(0, frames)).index))

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

    def _step(self, state: WorldState, action: Any) -> np.ndarray:
        """Make the next frame uint8 `[H, W, 3]` under one raw action."""
        return check_frames(self.world.step(state, np.asarray(action)[None]).frame, "frame", ndim=(4,))[0]

    def _store(
        self, frame: np.ndarray, action: Any, input_id: int, real: np.ndarray | None, drift: bool = False
    ) -> None:
        index = 0 if action is None else self.history.newest + 1
        cut = self.picture.cut  # padding is not shown, and counts in no error
        error = float("nan") if real is None else squared_error(cut(frame), cut(real))
        real_jpeg = None if self.real is None or self.real.frame is None else encode_jpeg(cut(self.real.frame))
        self.history.add(
            self.state, StoredFrame(index, encode_jpeg(cut(frame)), action, input_id, real_jpeg, error, drift)
        )
        if self.recording:
            self.recorded.append(self.current)
            self.recording = len(self.recorded) < self._max_recorded

    def _neutral_action(self, actions: np.ndarray) -> np.ndarray:
        """Return the action while nothing is held: a pointer stays where the context left it, all else is the no-op."""
        space = self.world.action_space
        return actions[-1] if is_pointer(space) and len(actions) else space.noop[()]
