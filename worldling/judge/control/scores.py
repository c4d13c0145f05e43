"""What the control suite measures of forks, from frames alone.

Which true future a prediction is nearest to, when red responds to a push, and how red moves just after one.

Shapes: n forks, 5 futures in the order of ANSWERS (4 of them pushed), T = HORIZON frames, K = JUDGED frames since the
push.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from worldling.frame_error import ROUNDING_MSE
from worldling.judge.truth.forks import ANSWERS, FIRST_BURST, JUDGED, Fork
from worldling.scenes.seen import last_seen, read

#: Red has responded to a push once it is this far from where it is without one, in the same predictor's futures: shares
#: of the picture.
MOVED = 1 / 64
NEVER = JUDGED + 1
BEFORE = 2  # frames before the push that inverse dynamics sees


@dataclass
class Measured:
    """What one predictor's futures of n forks show.

    pictures, places `[n, 4, K]`: whether the pushed future is nearest to the true one under the same actions, by
    all frames of so many since the push; 1 / k where k are equally near. lead_db `[n, 4]`: how much nearer than to the
    next, over all K. answer `[n, 4]`: frames from the push until red responds, NEVER if it does not. motion
    `[n, 5, F]`: see `motion`.
    """

    pictures: np.ndarray
    places: np.ndarray
    lead_db: np.ndarray
    answer: np.ndarray
    motion: np.ndarray

    @classmethod
    def join(cls, parts: Sequence[Measured]) -> Measured:
        """Put the forks of several together."""
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in cls.__dataclass_fields__))


class Reference:
    """The true futures of some forks, read once, and what is measured against them."""

    def __init__(self, forks: Sequence[Fork]) -> None:
        self.onset = np.array([fork.onset for fork in forks])
        self.truth = np.stack([fork.truth for fork in forks])
        self.shown = read(np.stack([fork.shown for fork in forks])).agent
        self.paths = self._follow(self.truth)

    def measure(self, frames: np.ndarray) -> Measured:
        """Measure futures uint8 `[m, 5, T, H, W, 3]` of the first m forks. Cost: about 0.4 ms a frame of 64 px."""
        count = len(frames)
        paths = self.paths if frames is self.truth else self._follow(frames)
        onset, before = self.onset[:count], self.shown.shape[1]
        apart = since(_squares(frames[:, 1:], self.truth[:count, 1:]), onset)
        ours, theirs = paths[:, 1:, before:], self.paths[:count, 1:, before:]
        away = since(np.linalg.norm(ours[:, :, None] - theirs[:, None], axis=-1), onset)
        return Measured(
            nearest_is_own(apart),
            nearest_is_own(away),
            _lead_db(apart[..., -1] / frames[0, 0, 0].size / JUDGED),
            frames_to_answer(paths[:, :, before:], onset),
            motion(paths, before - 1 + onset),
        )

    def _follow(self, frames: np.ndarray) -> np.ndarray:
        """Where red is from the first frame shown on, in the futures of the first m forks: `[m, 5, S + T, 2]`."""
        made = read(frames).agent
        given = np.broadcast_to(self.shown[: len(made), None], (*made.shape[:2], *self.shown.shape[1:]))
        return last_seen(np.concatenate([given, made], axis=2))


def since(values: np.ndarray, onset: np.ndarray) -> np.ndarray:
    """Sum frame by frame from the push on: `[n, ..., T]` and the frame `[n]` of the first push to `[n, ..., K]`."""
    return np.stack([value[..., at : at + JUDGED].cumsum(-1) for value, at in zip(values, onset, strict=True)])


def nearest_is_own(distance: np.ndarray) -> np.ndarray:
    """Say whether future i is nearest to true future i: distances `[n, i, j, K]` to `[n, i, K]`.

    1 or 0; where k true futures are equally near, the own among them, 1 / k: what guessing gives.
    """
    own = np.moveaxis(np.diagonal(distance, axis1=1, axis2=2), -1, 1)
    least = distance.min(axis=2)
    return np.where(own == least, 1.0 / (distance == least[:, :, None]).sum(axis=2), 0.0)


def frames_to_answer(paths: np.ndarray, onset: np.ndarray) -> np.ndarray:
    """Count frames from the push until red is elsewhere than unpushed: places `[n, 5, T, 2]` to `[n, 4]`.

    NEVER if it is not.
    """
    found = np.full((len(paths), len(ANSWERS) - 1), NEVER)
    for row, (path, at) in enumerate(zip(paths, onset, strict=True)):
        away = np.linalg.norm(path[1:] - path[:1], axis=-1)[:, at : at + JUDGED] > MOVED
        found[row] = np.where(away.any(axis=1), away.argmax(axis=1) + 1, NEVER)
    return found


def motion(paths: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Describe how red moves over the first burst, for inverse dynamics: `[n, 5, F]`.

    paths `[n, 5, S + T, 2]`: since the first frame shown; at `[n]`: the last frame that no push has changed. Given are
    red's place in it, and from there its places `BEFORE` frames before to FIRST_BURST frames after.
    """
    rows = []
    for path, now in zip(paths, at, strict=True):
        here = path[:, now]
        around = path[:, now - BEFORE : now + 1 + FIRST_BURST] - here[:, None]
        rows.append(np.concatenate([here, around.reshape(len(path), -1)], axis=1))
    return np.stack(rows).astype(np.float64)


def _squares(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Squared difference of every future with every true one.

    uint8 `[n, 4, T, H, W, 3]` twice to sums `[n, i, j, T]`.
    """
    count, pushed, steps = ours.shape[:3]
    total = np.empty((count, pushed, pushed, steps))
    for row in range(count):
        truth = theirs[row].astype(np.float32)
        for i in range(pushed):
            total[row, i] = np.square(truth - ours[row, i]).sum(axis=(2, 3, 4), dtype=np.float64)
    return total


def _lead_db(mse: np.ndarray) -> np.ndarray:
    """How many dB nearer future i is to true future i than to the nearest other.

    Mean squares `[n, i, j]` to `[n, i]`.
    """
    mse = np.maximum(mse, ROUNDING_MSE)
    own = np.diagonal(mse, axis1=1, axis2=2)
    others = np.where(np.eye(mse.shape[1], dtype=bool), np.inf, mse).min(axis=2)
    lead: np.ndarray = 10 * np.log10(others / own)
    return lead
