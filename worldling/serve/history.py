"""The last minute of a session: what was seen, and how to be there again.

A state is megabytes, so it is not copied for every frame. The minute is cut into segments; each holds one
forked state and the shots that followed. Going back forks the segment's state and plays its actions again,
which gives the same frames because a fork steps like its original.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from worldling.errors import ServeError
from worldling.protocol import WorldState


@dataclass(frozen=True)
class Shot:
    """One frame as it was seen.

    index: frames made since the start; jpeg: the dream; action: the one that led here (None at the start);
    input_id: the last input included; real_jpeg, mse: the real frame and the squared error to it, if any;
    drift: whether the drift alarm rings.
    """

    index: int
    jpeg: bytes
    action: np.ndarray | None = None
    input_id: int = 0
    real_jpeg: bytes | None = None
    mse: float = float("nan")
    drift: bool = False


@dataclass
class _Segment:
    state: WorldState  # as it was right after shots[0]
    shots: list[Shot]


class History:
    """A ring of segments that covers at least the last `num_frames` shots.

    segment_frames: shots per segment, so also the most actions that going back plays again.
    """

    def __init__(self, num_frames: int, segment_frames: int) -> None:
        self.num_frames = num_frames
        self._segment_frames = segment_frames
        self._segments: deque[_Segment] = deque()
        # One more than needed, since the newest segment is partly empty.
        self._max_segments = -(-num_frames // segment_frames) + 1

    def __iter__(self) -> Iterator[Shot]:
        return (shot for segment in self._segments for shot in segment.shots)

    @property
    def oldest(self) -> int:
        """Index of the oldest shot that can be shown or branched from."""
        return max(self._segments[0].shots[0].index, self.newest - self.num_frames + 1)

    @property
    def newest(self) -> int:
        """Index of the newest shot."""
        return self._segments[-1].shots[-1].index

    def clear(self) -> None:
        """Forget everything; the next `add` begins anew."""
        self._segments.clear()

    def add(self, state: WorldState, shot: Shot) -> None:
        """Append `shot`, seen in `state`; forks the state when a segment begins."""
        if not self._segments or len(self._segments[-1].shots) >= self._segment_frames:
            self._segments.append(_Segment(state.fork(), []))
            if len(self._segments) > self._max_segments:
                self._segments.popleft()
        self._segments[-1].shots.append(shot)

    def get(self, index: int) -> Shot:
        """Return the stored shot `index`. Raises `ServeError` when it is not kept."""
        segment = self._find(index)
        return segment.shots[index - segment.shots[0].index]

    def cut(self, index: int) -> tuple[WorldState, list[np.ndarray]]:
        """Drop every shot after `index`; return a fresh state and the actions that lead it to `index`."""
        segment = self._find(index)
        while self._segments[-1] is not segment:
            self._segments.pop()
        del segment.shots[index - segment.shots[0].index + 1 :]
        return segment.state.fork(), [shot.action for shot in segment.shots[1:] if shot.action is not None]

    def _find(self, index: int) -> _Segment:
        if not self._segments or not self.oldest <= index <= self.newest:
            kept = f"{self.oldest}..{self.newest}" if self._segments else "nothing yet"
            raise ServeError(f"`index` must be a frame of the last minute ({kept}), got {index}. Pick one of these.")
        return next(s for s in reversed(self._segments) if s.shots[0].index <= index)
