"""The last minute of a session: stored frames, states to go back to, and branches that were left.

A state takes megabytes, so it is not copied for every frame. The minute is divided into segments. Each holds one
forked state and the frames that followed. Going back forks the segment's state and replays its actions.
This gives the same frames because a fork steps like its original.

A branch is a list of segments. Branches that were left share the segments they have in common; of all of them, as many
segments are kept as of the branch that is played.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from worldling.errors import ServeError
from worldling.protocol import WorldState

MAX_LEFT = 8  # branches that were left and are kept


@dataclass(frozen=True)
class StoredFrame:
    """One frame as it was shown.

    index: frames made since the start; jpeg: the dream; action: the one that led here (None at the start);
    input_id: the last input included; real_jpeg, mse: the real frame and the squared error to it, if any;
    drift: whether the drift alarm is raised; score: the sum of the predicted rewards since the start, NaN where none
    are predicted; over: whether the game was predicted to end, in this frame or an earlier one.
    """

    index: int
    jpeg: bytes
    action: np.ndarray | None = None
    input_id: int = 0
    real_jpeg: bytes | None = None
    mse: float = float("nan")
    drift: bool = False
    score: float = float("nan")
    over: bool = False


@dataclass(frozen=True)
class Left:
    """A branch that was left. id: counts up; at: the last frame it shares with the present one; newest: its last."""

    id: int
    at: int
    newest: int


@dataclass
class _Segment:
    state: WorldState  # as it was right after frames[0]
    frames: list[StoredFrame]


@dataclass
class _Branch:
    id: int
    segments: list[_Segment]
    kept: Any


class History:
    """A ring of segments that covers at least the last `num_frames` frames.

    segment_frames: frames per segment, also the most actions to replay when going back; shortest_left: a branch with
    fewer frames of its own is not kept when it is left.
    """

    def __init__(self, num_frames: int, segment_frames: int, shortest_left: int = 1) -> None:
        self.num_frames = num_frames
        self._segment_frames, self._shortest_left = segment_frames, shortest_left
        self._segments: list[_Segment] = []
        self._left: list[_Branch] = []
        self._num_left = 0
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

    @property
    def left(self) -> list[Left]:
        """The branches that can be returned to, the last one left first."""
        found = []
        for branch in reversed(self._left):
            at = self._shared(branch.segments)
            if at is not None:
                found.append(Left(branch.id, at, branch.segments[-1].frames[-1].index))
        return found

    def clear(self) -> None:
        """Delete everything."""
        self._segments, self._left = [], []

    def add(self, state: WorldState, frame: StoredFrame) -> None:
        """Append `frame`; forks `state`, which belongs to it, when a segment begins."""
        if not self._segments or len(self._segments[-1].frames) >= self._segment_frames:
            self._segments.append(_Segment(state.fork(), []))
            del self._segments[: -self._max_segments]
            self._drop()
        self._segments[-1].frames.append(frame)

    def get(self, index: int) -> StoredFrame:
        """Return the stored frame `index`. Raises `ServeError` when it is not kept."""
        segment = self._segments[self._find(index)]
        return segment.frames[index - segment.frames[0].index]

    def branch(self, index: int, kept: Any = None) -> tuple[WorldState, list[np.ndarray]]:
        """Leave every frame after `index`; return a forked state and the actions that lead from it to `index`.

        kept: returned by `go_to` for the branch that is left now. Raises `ServeError` when the frame is not kept.
        """
        number = self._find(index)
        segment = self._segments[number]
        frames = segment.frames[: index - segment.frames[0].index + 1]
        self._leave(kept, [*self._segments[:number], _Segment(segment.state, frames)])
        return self._last()

    def go_to(self, left: int, kept: Any = None) -> tuple[WorldState, list[np.ndarray], Any]:
        """Return to the newest frame of the branch with the id `left`: state and actions as `branch`, and its `kept`.

        Raises `ServeError` when it is not kept, or shares no frame with the present branch any more.
        """
        if left not in [branch.id for branch in self.left]:
            known = ", ".join(str(branch.id) for branch in self.left) or "none"
            raise ServeError(f"`return.branch` must be one that was left ({known}), got {left}. Choose one of these.")
        (chosen,) = (branch for branch in self._left if branch.id == left)
        self._left.remove(chosen)
        self._leave(kept, chosen.segments)
        return *self._last(), chosen.kept

    def _last(self) -> tuple[WorldState, list[np.ndarray]]:
        segment = self._segments[-1]
        return segment.state.fork(), [frame.action for frame in segment.frames[1:] if frame.action is not None]

    def _leave(self, kept: Any, segments: list[_Segment]) -> None:
        """Keep the present branch among those left, and make `segments` the present one."""
        left, self._segments = self._segments, segments
        at = self._shared(left)
        if at is not None and left[-1].frames[-1].index - at >= self._shortest_left:
            self._num_left += 1
            self._left.append(_Branch(self._num_left, left, kept))
        self._drop()

    def _drop(self) -> None:
        """Drop branches that share no frame any more, and the longest left while all take too much memory."""
        self._left = [branch for branch in self._left if self._shared(branch.segments) is not None][-MAX_LEFT:]
        while self._left and self._num_own() > self._max_segments:
            self._left.pop(0)

    def _num_own(self) -> int:
        """Count the states that are kept for branches that were left alone."""
        mine = {id(segment.state) for segment in self._segments}
        return len({id(segment.state) for branch in self._left for segment in branch.segments} - mine)

    def _shared(self, segments: list[_Segment]) -> int | None:
        """Return the index of the last frame that other segments share with the present ones, None without one."""
        at = None
        for mine in self._segments:
            theirs = next((s for s in segments if s.state is mine.state), None)
            if theirs is None:
                if at is None:
                    continue  # one branch is kept further back than the other
                break
            for a, b in zip(mine.frames, theirs.frames, strict=False):
                if a is not b:
                    return at
                at = a.index
        return at

    def _find(self, index: int) -> int:
        if not self._segments or not self.oldest <= index <= self.newest:
            kept = f"{self.oldest}..{self.newest}" if self._segments else "nothing yet"
            raise ServeError(f"`index` must be a frame of the last minute ({kept}), got {index}. Choose one of these.")
        starts = [segment.frames[0].index for segment in self._segments]
        return max(i for i, start in enumerate(starts) if start <= index)
