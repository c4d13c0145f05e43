"""What is known of Bricks, and checked in its dreams: one ball, a paddle that obeys, bricks that go when they are hit.

Where the ball goes after a serve is chance, so a dream may leave the truth and still be right. Its ball is compared
with the real one up to the next serve, its bricks as long as the balls agree; after that things must only move as they
can.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from worldling.judge.play.checks import Check, Seen
from worldling.judge.readers.bricks import BALL_NEAR, PADDLE_NEAR, SEEN, BricksReader, Inspection
from worldling.judge.readers.reader import Reading, State
from worldling.scenes.bricks import BALL_SPEED, FASTER, FLOAT_HEIGHT, PADDLE_SPEED
from worldling.scenes.bricks_picture import BALL_RADIUS, COLUMNS, PADDLE_TOP, ROWS, SIDE, brick_box

#: Nothing is extra up to so many squared units that differ from a drawing of what was read; a ball has 12.6.
MOST_EXTRA = 12.0
#: Frames in which a lost ball may be out of sight, and in which bricks may go early or late.
GONE, OFF = 8, 2
#: A ball below this may be lost, units; a new one floats above the paddle, within so many units of its middle.
LOW, FLOATS = PADDLE_TOP, 4.0
#: Farthest ways in a frame and from a ball to the brick that it hits, units; the last part of each is for reading.
BALL_WAY = BALL_SPEED * (1 + FASTER * ROWS) + 1.5
PADDLE_WAY = PADDLE_SPEED + 1.5
HIT = BALL_RADIUS + 1.5
#: A brick goes when less than this of it is there, and comes when more than that.
GOES, COMES = 0.35, 0.65

# Columns of a track.
BALL, COUNT, PADDLE, LIVES, WALL = slice(0, 2), 2, 3, 4, slice(5, 5 + ROWS * COLUMNS)


@dataclass(frozen=True)
class BricksThings:
    """Looks for ball, paddle, bricks and dots."""

    reader: BricksReader

    @classmethod
    def fit(cls, sample: np.ndarray) -> BricksThings:
        """Make the reader for frames of the size of these, uint8 `[m, H, W, 3]`."""
        return cls(BricksReader.fit(sample))

    def track(self, frames: np.ndarray) -> np.ndarray:
        """Say what is where in frames `[n, H, W, 3]`: `[n, 45]`, NaN where it is not seen.

        Ball x, y (units of 1/64 of the side), number of balls, paddle x, number of dots, and how much of each of 40
        bricks is there, 0 to 1.
        """
        return _columns(self.reader.read(frames))

    def check(self, seen: Seen, tracks: np.ndarray) -> dict[str, Check]:
        """Check n players at k moments; tracks `[n, k, L, 45]`: `track` of the L frames up to each moment."""
        n, k, length = tracks.shape[:3]
        dream, real = self._inspect(seen.dream), None if seen.real is None else self._inspect(seen.real)
        windows = None
        if real is not None:  # up to each moment from the engine, and at it as the reader sees it
            windows = _windows(engine_tracks(seen.state), seen.moments, length)
            windows[:, :, -1] = _columns(real.reading).reshape(n, k, -1)

        checks = {
            "one_ball": seen.check(
                "one ball is there",
                f"exactly one ball is seen; or none for {GONE} frames after one was below the paddle's upper edge, and "
                "none where a paddle, but no dot or no brick is left",
                _one_ball(tracks),
                None if windows is None else _one_ball(windows),
            )
        }
        if windows is not None:
            game = _windows(engine_tracks(seen.state), seen.moments, length)
            checks["paddle_right"] = seen.check(
                "the paddle is where it should be",
                f"within {PADDLE_NEAR * 100:g} % of the width of the reading of the real frame (real: of the game's)",
                *(_paddle_right(*pair) for pair in ((windows, tracks), (game, windows))),
            )
            checks["ball_right"] = seen.check(
                "the ball is where it should be",
                f"within {BALL_NEAR:g} px of 64 of the reading of the real frame (real: of the game's). Not counted: "
                "after a serve in the real game, whose angle is chance, and without a real ball",
                *(_ball_right(*pair, seen) for pair in ((windows, tracks), (game, windows))),
            )
            checks["bricks_right"] = seen.check(
                "the bricks are as they were hit",
                f"the bricks that are seen are those of the real game, in that frame or up to {OFF} before or after. "
                f"Counted while the balls agree: within {BALL_NEAR:g} px of 64 in all of the last {length} frames",
                *(_bricks_right(game, values, seen) for values in (tracks, windows)),
            )
        checks["nothing_extra"] = seen.check(
            "nothing is there that should not be",
            f"at most one ball, and at most {MOST_EXTRA:g} px of 64 x 64 around which the mean differs from a drawing "
            "of the ball, paddle, bricks and dots that were read",
            _nothing_extra(dream),
            None if real is None else _nothing_extra(real),
        )
        checks["plausible"] = seen.check(
            "things move as they can",
            f"in the {length - 1} steps before, the ball goes at most {BALL_WAY:.1f} px of 64 in a step and the paddle "
            f"{PADDLE_WAY:.1f}; neither vanishes, but for a ball below the paddle's upper edge: a new one comes above "
            f"the paddle within {GONE} frames, and a dot goes; no dot and no brick comes; a brick goes only where the "
            f"ball is within {HIT - BALL_RADIUS:.1f} px of it in the frame before, in that or in the next",
            _plausible(tracks),
            None if windows is None else _plausible(windows),
        )
        return checks

    def _inspect(self, frames: np.ndarray) -> Inspection:
        return self.reader.inspect(frames.reshape(-1, *frames.shape[2:]))


def engine_tracks(state: State) -> np.ndarray:
    """Return what `track` gives, `[n, T, 45]`, from the game's state `[n, T, ...]`; a ball is seen with its middle."""
    n, frames = state["paddle"].shape[:2]
    ball = np.where(state["ball"][..., 1:] <= SIDE, state["ball"], np.nan)
    numbers = [np.isfinite(ball[..., 0]), state["paddle"].reshape(n, frames), state["lives"].reshape(n, frames)]
    bricks = state["bricks"].reshape(n, frames, -1)
    return np.concatenate([ball, np.stack(numbers, axis=-1), bricks], axis=-1).astype(np.float64)


def _columns(seen: Reading) -> np.ndarray:
    return np.column_stack([seen["ball"], seen["balls"], seen["paddle"], seen["lives"], seen["bricks"]])


def _windows(tracks: np.ndarray, moments: list[int], length: int) -> np.ndarray:
    """Cut the frames up to each moment out of tracks `[n, T, F]`: `[n, k, length, F]`."""
    return np.stack([tracks[:, moment - length + 1 : moment + 1] for moment in moments], axis=1)


def _one_ball(tracks: np.ndarray) -> np.ndarray:
    last, lost = tracks[:, :, -1], (tracks[:, :, -GONE - 1 :, BALL][..., 1] > LOW).any(axis=-1)
    over = np.isfinite(last[..., PADDLE]) & ((last[..., LIVES] == 0) | (last[..., WALL] < GOES).all(axis=-1))
    return (last[..., COUNT] == 1) | ((last[..., COUNT] == 0) & (lost | over))


def _paddle_right(truth: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Say of two tracks whether the paddle is the same at the end: `[n, k]`, NaN where the truth shows none."""
    off = np.abs(other[:, :, -1, PADDLE] - truth[:, :, -1, PADDLE])
    return np.where(np.isfinite(truth[:, :, -1, PADDLE]), off <= PADDLE_NEAR * SIDE, np.nan)


def _ball_right(truth: np.ndarray, other: np.ndarray, seen: Seen) -> np.ndarray:
    """Say of two tracks whether the ball is the same at the end: `[n, k]`, NaN where that is not counted."""
    floating = seen.state["floating"].reshape(len(truth), -1).astype(bool)
    served = np.cumsum(floating[:, :-1] & ~floating[:, 1:], axis=1)
    counted = np.isfinite(truth[:, :, -1, 0]) & (served[:, np.array(seen.moments) - 1] == 0)
    return np.where(counted, _apart(truth[:, :, -1], other[:, :, -1]) <= BALL_NEAR, np.nan)


def _bricks_right(game: np.ndarray, other: np.ndarray, seen: Seen) -> np.ndarray:
    """Say whether the bricks at the end of a track are the game's: `[n, k]`, NaN where the balls do not agree."""
    bricks = seen.state["bricks"].reshape(*seen.state["bricks"].shape[:2], -1).astype(bool)
    found = other[:, :, -1, WALL] > SEEN
    right = np.zeros(found.shape[:2], bool)
    for off in range(-OFF, OFF + 1):
        at = np.clip(np.array(seen.moments) + off, 0, bricks.shape[1] - 1)
        right |= (bricks[:, at] == found).all(axis=-1)
    missed = np.isnan(other[..., 0]) & (game[..., 1] <= LOW)
    agree = ~((_apart(game, other) > BALL_NEAR) | missed).any(axis=-1)
    return np.where(agree, right, np.nan)


def _apart(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return how far the balls of two tracks `[..., 45]` are apart, units, NaN where one is not seen."""
    return np.asarray(np.hypot(*np.moveaxis(one[..., BALL] - other[..., BALL], -1, 0)))


def _nothing_extra(found: Inspection) -> np.ndarray:
    return (found.reading["balls"] <= 1) & (found.extra <= MOST_EXTRA)


def _plausible(tracks: np.ndarray) -> np.ndarray:
    """Say of tracks `[n, k, L, 45]` whether all goes as it can: bool `[n, k]`."""
    flat = tracks.reshape(-1, *tracks.shape[2:])
    lost = _lost(flat)
    broken = _ball_breaks(flat, lost) | _bricks_break(flat)
    paddle, dots = flat[..., PADDLE], flat[..., LIVES]
    broken |= np.abs(np.diff(paddle)) > PADDLE_WAY
    broken |= np.isfinite(paddle[:, :-1]) & np.isnan(paddle[:, 1:])
    broken |= (np.diff(dots) > 0) | (np.diff(dots) < -1) | ((np.diff(dots) < 0) & ~lost)
    return ~broken.any(axis=1).reshape(tracks.shape[:2])


def _lost(tracks: np.ndarray) -> np.ndarray:
    """Say of each step of tracks `[m, L, 45]` whether a ball may have been lost before it: bool `[m, L - 1]`.

    It was low in one of the frames before, or has not been seen since the track begins.
    """
    low = tracks[..., BALL][..., 1] > LOW
    low |= np.logical_and.accumulate(np.isnan(tracks[..., 0]), axis=1)
    before = [low[:, max(0, t - GONE) : t + 1].any(axis=1) for t in range(low.shape[1] - 1)]
    return np.stack(before, axis=1)


def _ball_breaks(tracks: np.ndarray, lost: np.ndarray) -> np.ndarray:
    """Say in which steps of tracks `[m, L, 45]` the ball goes too far, vanishes or comes: bool `[m, L - 1]`.

    lost bool `[m, L - 1]`: see `_lost`.
    """
    ball, dots, length = tracks[..., BALL], tracks[..., LIVES], tracks.shape[1]
    there = np.isfinite(ball[..., 0])
    far = np.hypot(*np.moveaxis(np.diff(ball, axis=1), -1, 0)) > BALL_WAY
    floats = np.abs(ball[..., 0] - tracks[..., PADDLE]) <= FLOATS
    floats &= (ball[..., 1] <= LOW) & (ball[..., 1] >= LOW - BALL_RADIUS - FLOAT_HEIGHT - FLOATS)
    steps = np.arange(length - 1)
    later = np.minimum(steps + 1 + OFF, length - 1)
    paid = (dots[:, later] < dots[:, np.maximum(steps - OFF, 0)]) | (later == length - 1)
    anew = floats[:, 1:] & lost & paid
    first = floats[:, 1:] & ~np.maximum.accumulate(there, axis=1)[:, :-1]  # lost before the track begins
    comes, vanishes = ~there[:, :-1] & there[:, 1:], there[:, :-1] & ~there[:, 1:]
    return ((far | comes) & ~anew & ~first) | (vanishes & ~lost)


def _bricks_break(tracks: np.ndarray) -> np.ndarray:
    """Say in which steps of tracks `[m, L, 45]` a brick comes, or goes without a ball: bool `[m, L - 1]`."""
    shares, ball = tracks[..., WALL], tracks[..., BALL]
    there = [shares[:, 0] > SEEN]
    for t in range(1, shares.shape[1]):
        there.append((shares[:, t] > COMES) | (there[-1] & (shares[:, t] >= GOES)))
    left, top, right, bottom = np.array([brick_box(*divmod(i, COLUMNS)) for i in range(ROWS * COLUMNS)]).T
    x, y = ball[..., :1], ball[..., 1:]
    gap = np.hypot(x - np.clip(x, left, right), y - np.clip(y, top, bottom))
    near = np.nan_to_num(gap, nan=np.inf) <= HIT
    broken = []
    for t in range(shares.shape[1] - 1):
        hit = near[:, t : t + 3].any(axis=1)
        broken.append(((there[t + 1] & ~there[t]) | (there[t] & ~there[t + 1] & ~hit)).any(axis=1))
    return np.stack(broken, axis=1)
