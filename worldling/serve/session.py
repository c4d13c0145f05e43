"""One player's dream: what is held, what was made, and the ways back.

Nothing here knows about sockets or clocks. Every method blocks (a step takes milliseconds) and is called
from the one worker thread that owns the world; only `hold` is called from elsewhere.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from worldling.alarm import DriftAlarm
from worldling.errors import ServeError
from worldling.protocol import WorldModel, WorldState
from worldling.serve.beside import Beside, squared_error
from worldling.serve.history import History, Shot
from worldling.serve.messages import encode_jpeg
from worldling.types import ActionSpace, check_frames

KEPT_S = 60
SEGMENT_S = 2.5
MAX_TAKE_S = 600


def is_pointer(space: ActionSpace) -> bool:
    """Tell whether actions are a place on the picture (a box of x and y) and not a push."""
    return space.kind == "box" and tuple(name.lower() for name in space.names) == ("x", "y")


class Session:
    """A world being played by one person.

    world: shared, read only; beside: the real environment, owned by this session until it ends;
    fps: frames per second of the world's own time, which says how many frames a minute is; alarm: looks at
    every frame for drift, or None.
    The constructor resets, which encodes the context.
    """

    def __init__(
        self,
        world: WorldModel,
        fps: float,
        beside: Beside | None = None,
        start: int = 0,
        alarm: DriftAlarm | None = None,
    ) -> None:
        self.world, self.beside, self.start, self.alarm = world, beside, start, alarm
        self.history = History(max(2, round(KEPT_S * fps)), max(1, round(SEGMENT_S * fps)))
        self.branches: list[int] = []
        self.num_branches = 0
        self.recording = False
        self.take: list[Shot] = []
        self._max_take = round(MAX_TAKE_S * fps)
        self._lock = threading.Lock()
        self._inputs: list[tuple[np.ndarray, int]] = []
        self.reset(start)

    @property
    def shot(self) -> Shot:
        """The newest shot."""
        return self.history.get(self.history.newest)

    def standing(self) -> dict[str, Any]:
        """Return what the page shows of this session, as json values: see `status` in messages.py."""
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
            "take": len(self.take),
            "note": self.beside.note if self.beside else "",
        }

    def hold(self, action: Any, input_id: int) -> None:
        """Hold a raw action from the next frame on. Raises `ActionError`; the old action then stays.

        A key pressed and let go between two frames still counts for one, alone or beside others that stay
        held: letting go waits its turn.
        """
        space = self.world.action_space
        checked = space.check(action, lead=())[()]
        with self._lock:
            letting_go = any(np.array_equal(checked, before) for before in (self._rest, self._held[0]))
            self._inputs = [*(self._inputs[:1] if letting_go else []), (checked, input_id)]

    def reset(self, start: int | None = None) -> Shot:
        """Begin again at start number `start`, or at the same one; returns its first shot.

        Start k is context k modulo their number, drawn with another seed each time round. Beside a real
        environment it is the environment's seed, and the dream begins on the real first frames.
        """
        start = self.start if start is None else start
        contexts, num = self.world.contexts, self.world.config.context
        episode = contexts[start % len(contexts)]
        frames, actions = episode.frames[:num], episode.actions[: num - 1]
        if self.beside:
            frames = self.beside.start(start, actions)
        state = self.world.start(frames[None], actions[None], seed=start // len(contexts))
        self.state, self.start = state, start
        self._rest = self._resting_action(actions)
        with self._lock:
            self._inputs, self._held = [], (self._rest, 0)
        self.branches, self.num_branches = [], 0
        self.history.clear()
        self._watch = self.alarm.watch(self.world, frames) if self.alarm else None
        self._remember(frames[-1], None, 0, frames[-1] if self.beside else None)
        return self.shot

    def advance(self) -> Shot:
        """Make one frame with the held action."""
        with self._lock:
            if self._inputs:
                self._held = self._inputs.pop(0)
            action, input_id = self._held
        frame = self._step(self.state, action)
        real = self.beside.step(action) if self.beside else None
        self._remember(frame, action, input_id, real, drift=self._watch is not None and self._watch.look(frame).rings)
        return self.shot

    def peek(self, index: int | None) -> Shot:
        """Return the stored shot nearest to `index`, without going there; None is the newest."""
        newest = self.history.newest
        return self.history.get(newest if index is None else min(max(index, self.history.oldest), newest))

    def branch(self, index: int) -> Shot:
        """Go back to frame `index` and drop what came after. Costs up to 2.5 s worth of frames."""
        shot = self.history.get(index)
        if index == self.history.newest:
            return shot
        state, actions = self.history.cut(index)
        for action in actions:
            self._step(state, action)  # drawn as before: latents alone may be other code, and not compiled yet
        self.state = state
        if self._watch:
            self._watch.cut()
        if self.beside:
            self.beside.back_to(index)
        self.branches = [at for at in self.branches if at < index and at >= self.history.oldest] + [index]
        self.num_branches += 1
        return shot

    def rewind(self, frames: int) -> Shot:
        """Branch `frames` back, or at the oldest frame kept."""
        return self.branch(self.peek(self.history.newest - max(0, frames)).index)

    def record(self, on: bool) -> None:
        """Start a take with the frame that is seen now, or end it."""
        if on and not self.recording:
            self.take = [self.shot]
        self.recording = on

    def clip(self, num_frames: int | None) -> list[Shot]:
        """Return the last `num_frames` shots, or (None) the last take. Raises `ServeError` without one."""
        if num_frames is None and not self.take:
            raise ServeError("`take` must be recorded first, got none. Press record, or ask for `seconds`.")
        return list(self.take) if num_frames is None else list(self.history)[-max(1, num_frames) :]

    def _step(self, state: WorldState, action: Any) -> np.ndarray:
        """Make the next frame uint8 `[H, W, 3]` under one raw action."""
        return check_frames(self.world.step(state, np.asarray(action)[None]).frame, "frame", ndim=(4,))[0]

    def _remember(
        self, frame: np.ndarray, action: Any, input_id: int, real: np.ndarray | None, drift: bool = False
    ) -> None:
        index = 0 if action is None else self.history.newest + 1
        error = float("nan") if real is None else squared_error(frame, real)
        real_jpeg = encode_jpeg(self.beside.frame) if self.beside else None
        self.history.add(self.state, Shot(index, encode_jpeg(frame), action, input_id, real_jpeg, error, drift))
        if self.recording:
            self.take.append(self.shot)
            self.recording = len(self.take) < self._max_take

    def _resting_action(self, actions: np.ndarray) -> np.ndarray:
        """A pointer rests where it last was, since its zero is a far corner; everything else at no-op."""
        space = self.world.action_space
        return actions[-1] if is_pointer(space) and len(actions) else space.noop[()]
