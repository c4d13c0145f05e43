"""Which reader is made for which environment."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from worldling.judge.readers.motion import MotionReader
from worldling.judge.readers.pong import PongReader
from worldling.judge.readers.pusht import PushTReader
from worldling.judge.readers.reader import Reader, State


def reader_for(env_id: str, frames: np.ndarray, state: State) -> Reader:
    """Fit the reader made for `env_id` on real frames `[n, H, W, 3]` and their state, each `[n, ...]`.

    An environment without one, or data without the state it needs, gets the generic reader, which
    follows the centre of what differs from the mean frame; its `about` says why it was taken.
    """
    for name, keys, fit in _READERS:
        if name in env_id.lower():
            missing = [key for key in keys if key not in state]
            if not missing:
                return fit(frames, state)
            return MotionReader.fit(frames, f"the data hold no {' and no '.join(missing)}")
    return MotionReader.fit(frames, f"no reader is made for {env_id}")


def _bricks(frames: np.ndarray, state: State) -> Reader:
    from worldling.judge.readers.bricks import BricksReader  # which needs gymnasium

    return BricksReader.fit(frames)


#: Part of the environment's id in lower case, the state it needs, and the fit.
_READERS: list[tuple[str, tuple[str, ...], Callable[[np.ndarray, State], Reader]]] = [
    ("ale/pong", ("ram",), PongReader.fit),
    ("worldling/bricks", ("ball", "paddle", "bricks", "floating"), _bricks),
    ("pusht", ("agent_pos", "block_pose"), lambda frames, state: PushTReader.fit(frames)),
]
