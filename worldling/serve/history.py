"""The last minute of a session: stored frames, and states to go back to.

A state takes megabytes, so it is not copied for every frame. The minute is divided into segments. Each holds one
forked state and the frames that followed. Going back forks the segment's state and replays its actions.
This gives the same frames because a fork steps like its original.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from worldling.errors import ServeError
from worldling.protocol import WorldState


@dataclass(frozen=True)
class StoredFrame:
    """One frame as it was shown.

    index: frames made since the start; jpeg: the dream; action: the one that led here (None at the start);
    input_id: the last input included; real_jpeg, mse: the real frame and the squared error to it, if any;
    drift: whether the drift alarm is raised.
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
    state: WorldState  # as it was right after frames[0]
    frames: list[StoredFrame]


class History:
    """A ring of segments that covers at least the last `num_frames` frames.

    segment_frames: frames per segment, also the most actions to replay when going back.
    """

    def __init__(self, num_frames: int, segment_frames: int) -> None:
        self.num_frames = num_frames
        self._segment_frames = segment_frames
        self._segments: deque[_Segment] = deque()
        # One more than needed, since the newest segment is partly empty.
        self._max_segments = -(-num_frames // segment_frames) + 1

    def __iter__(self) -> Iterator[StoredFrame]:
        return (frame for segment in self._segments for frame in segment.frames)

    @property
    def oldest(self) -> int:
        """Index of the oldest frame that can be shown or branched from."""
        return max(self._segments[0].frames[0].index, self.newest - self.num_frames + 1)

    @property
    def newest(self) -> int:
        """Index of the newest frame."""
        return self._segments[-1].frames[-1].index

    def clear(self) -> None:
        """Delete everything."""
        self._segments.clear()

    def add(self, state: WorldState, frame: StoredFrame) -> None:
        """Append `frame`; forks `state`, which belongs to it, when a segment begins."""
        if not self._segments or len(self._segments[-1].frames) >= self._segment_frames:
            self._segments.append(_Segment(state.fork(), []))
            if len(self._segments) > self._max_segments:
                self._segments.popleft()
        self._segments[-1].frames.append(frame)

    def get(self, index: int) -> StoredFrame:
        """Return the stored frame `index`. Raises `ServeError` when it is not kept."""
        segment = self._find(index)
        return segment.frames[index - segment.frames[0].index]

    def truncate(self, index: int) -> tuple[WorldState, list[np.ndarray]]:
        """Delete every frame after `index`; return a forked state and the actions that lead from it to `index`."""
        segment = self._find(index)
        while self._segments[-1] is not segment:
            self._segments.pop()
        del segment.frames[index - segment.frames[0].index + 1 :]
        return segment.state.fork(), [frame.action for frame in segment.frames[1:] if frame.action is not None]

    def _find(self, index: int) -> _Segment:
        if not self._segments or not self.oldest <= index <= self.newest:
            kept = f"{self.oldest}..{self.newest}" if self._segments else "nothing yet"
            raise ServeError(f"`index` must be a frame of the last minute ({kept}), got {index}. Choose one of these.")
        return next(s for s in reversed(self._segments) if s.frames[0].index <= index)
