"""Reads Bricks from frames of any size: ball, paddle, bricks and the dots of the balls that are left.

What stands still is known to the pixel, so a frame is read in the order in which it was painted. Pixels of the wall are
split by least squares into field, brick and ball; the paddle is laid over its strip of the picture at every place; what
has been found is drawn, and what then is whiter than the drawing is ball. What still differs is extra.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from worldling.judge.readers.reader import OwnError, Reading, Score, State
from worldling.scenes import bricks_picture as picture
from worldling.scenes.bricks_picture import COLUMNS, LIVES, ROWS, SIDE, Scene

BALL_AREA = np.pi * picture.BALL_RADIUS**2
#: A ball, a brick or a paddle is seen where so much of it is there.
SEEN = 0.5
#: So many balls are counted at most.
MOST_BALLS = 4
#: Cover below this is noise of the picture.
FLOOR = 0.1
#: Where the mean over a square of 3 units is this far from the drawing of what was read, there is something else.
OTHER_LEVELS, OTHER_SIDE = 50.0, 3.0
#: Larger frames are averaged down to about this many pixels a side, where that is a whole number of times.
READ_PX = 64
#: Distance between the places at which the paddle is tried, units.
PADDLE_STEP = 0.05
#: Scores: the ball is right within so many units, the paddle within such a share of the width.
BALL_NEAR, PADDLE_NEAR = 3.0, 0.02
_CHUNK = 128


@dataclass(frozen=True)
class Inspection:
    """A reading, see `BricksReader.read`, and extra `[n]`: the area that differs from a drawing of what was read.

    In squared units, of which a ball has 12.6 and a brick 32, down to the paddle's lower edge. A second ball, half a
    brick and a ghost are extra.
    """

    reading: Reading
    extra: np.ndarray


@dataclass
class BricksReader:
    """Places in units of 1/64 of the side, NaN = not seen. Make it with `fit`."""

    size_px: int  # of what is read, after averaging
    wall: _Split
    strip: _Split
    paddles: np.ndarray = field(repr=False)  # [m, W], how the strip looks with the paddle at each place
    places: np.ndarray = field(repr=False)  # [m]
    name: str = "Bricks: ball, paddle and bricks"
    about: str = (
        "Pixels are split by colour into field, brick, paddle and ball, in the order in which they were painted. A "
        "thing is seen with half of its area. Places are in pixels of a 64 px frame. “Same ball” counts only starts "
        "from which the ball stayed in play, so that no new serve had to be guessed."
    )

    @classmethod
    def fit(cls, frames: np.ndarray) -> BricksReader:
        """Make the reader for frames of the size of these, uint8 `[n, H, W, 3]`; what they show is known."""
        size, nothing = _pooled(frames[:1]).shape[1], np.zeros((ROWS, COLUMNS), bool)
        empty = picture.draw(Scene(nothing, 0, None, None), size)
        full = picture.draw(Scene(~nothing, 0, None, None), size)
        places = np.arange(picture.PADDLE_WIDTH / 2, SIDE - picture.PADDLE_WIDTH / 2 + 1e-9, PADDLE_STEP)
        rows = _rows(picture.PADDLE_TOP, picture.PADDLE_TOP + picture.PADDLE_HEIGHT, size)
        long = empty[rows].astype(np.float32)  # the strip, as if the paddle went from one side to the other
        middle = picture.draw(Scene(nothing, 0, SIDE / 2, None), size)[rows, size // 2]
        long[:] = middle[:, None]
        strip = _Split.of(empty[rows], long, rows)
        drawn = [strip.covers(picture.draw(Scene(nothing, 0, at, None), size)[None, rows])[0][0] for at in places]
        wall_rows = _rows(picture.WALL_TOP, picture.WALL_BOTTOM, size)
        wall = _Split.of(empty[wall_rows], full[wall_rows], wall_rows)
        return cls(size, wall, strip, np.stack([strip.profile(cover) for cover in drawn]), places)

    @property
    def headlines(self) -> tuple[str, ...]:
        """The scores that say most."""
        return "ball_within_3px", "bricks_right"

    def read(self, frames: np.ndarray) -> Reading:
        """Read uint8 frames `[n, H, W, 3]`.

        ball `[n, 2]` (x, y): where most of a ball is; balls `[n]`: how many, up to 4; paddle `[n]`: x of its middle;
        bricks `[n, 40]`: how much of each is there, 0 to 1, by rows from the top; lives `[n]`: number of dots.
        """
        parts = [self._read(_pooled(chunk)) for chunk in _chunks(frames)]
        return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}

    def inspect(self, frames: np.ndarray) -> Inspection:
        """Read uint8 frames `[n, H, W, 3]`, and say how much is there beside. Cost: 1 to 2 ms a frame of 64 px."""
        reading = self.read(frames)
        seen = [{key: values[first : first + _CHUNK] for key, values in reading.items()} for first in _firsts(frames)]
        extra = [self._extra(_pooled(chunk), part) for chunk, part in zip(_chunks(frames), seen, strict=True)]
        return Inspection(reading, np.concatenate(extra))

    def own_error(self, frames: np.ndarray, state: State) -> list[OwnError]:
        """Compare with the game's ball `[n, 2]`, paddle `[n]` and bricks `[n, 5, 8]`; of balls, those wholly seen."""
        seen, ball = self.read(frames), np.asarray(state["ball"], np.float64)
        whole = ball[:, 1] <= SIDE - picture.BALL_RADIUS
        wrong = (seen["bricks"] > SEEN) != np.asarray(state["bricks"], bool).reshape(len(frames), -1)
        return [
            _own_error("ball", "px", np.hypot(*(seen["ball"] - ball)[whole].T)),
            _own_error("paddle", "px", np.abs(seen["paddle"] - np.asarray(state["paddle"], np.float64).reshape(-1))),
            _own_error("bricks that are wrong", "of 40", wrong.sum(axis=1).astype(float)),
        ]

    def in_play(self, state: State) -> np.ndarray:
        """True where a ball flies and is not waiting to be served: bool `[T]`."""
        return np.isfinite(state["ball"][:, 0]) & ~np.asarray(state["floating"], bool).reshape(-1)

    def score(self, start: Reading, truth: Reading, other: Reading, unbroken: np.ndarray) -> list[Score]:
        """Score the ball within 3 px, the paddle within 2 % of the width and the bricks; missing is a failure."""
        at_start, there = np.isfinite(start["ball"][:, 0]), np.isfinite(truth["ball"][:, 0])
        far = np.hypot(*(other["ball"] - truth["ball"]).T)
        near, counted, all_ = np.nan_to_num(far, nan=np.inf) <= BALL_NEAR, at_start & there, np.ones(len(far), bool)
        miss = np.nan_to_num(np.abs(other["paddle"] - truth["paddle"]), nan=SIDE)
        paddle = np.isfinite(truth["paddle"])
        wrong = ((other["bricks"] > SEEN) != (truth["bricks"] > SEEN)).sum(axis=1)
        return [
            _row("ball_within_3px", "ball within 3 px", near, counted, at_start),
            _row("ball_missing", "ball not seen at all", np.isnan(far), counted, at_start),
            _row("ball_within_3px_same", "ball within 3 px, same ball", near, counted & unbroken, at_start & unbroken),
            _row("one_ball", "exactly one ball", other["balls"] == 1, counted, at_start),
            _row("paddle_within_2pct", "paddle within 2 % of the width", miss <= PADDLE_NEAR * SIDE, paddle, paddle),
            _row("paddle_error_px", "paddle, median error", miss, paddle, paddle, "px", "median"),
            _row("bricks_right", "every brick right", wrong == 0, all_, all_),
            _row("bricks_wrong_p90", "bricks, 9 in 10 have fewer wrong than", wrong, all_, all_, "of 40", "p90"),
            _row("lives_right", "dots of the balls left right", other["lives"] == truth["lives"], all_, all_),
        ]

    def _read(self, frames: np.ndarray) -> Reading:
        seen = {"paddle": self._paddle(frames), "bricks": self._bricks(frames), "lives": self._lives(frames)}
        base = np.zeros_like(frames)
        for i in range(len(frames)):
            base[i] = self._draw(seen, i, None)
        balls = _find_balls(_whiter(frames, base), self.size_px)
        return {**seen, "ball": balls[:, 0], "balls": np.isfinite(balls[..., 0]).sum(axis=1).astype(float)}

    def _extra(self, frames: np.ndarray, seen: Reading) -> np.ndarray:
        """Return the area above the paddle's lower edge that differs from a drawing of what was read, `[n]`."""
        until = _rows(0.0, picture.PADDLE_TOP + picture.PADDLE_HEIGHT, self.size_px)
        off = frames[:, until].astype(np.float32)
        for i, ball in enumerate(seen["ball"]):
            off[i] -= self._draw(seen, i, ball if np.isfinite(ball[0]) else None)[until]
        side = max(1, round(OTHER_SIDE * self.size_px / SIDE))
        far = np.abs(_box_mean(off, side)).max(axis=-1) > OTHER_LEVELS
        return np.asarray(far.sum(axis=(1, 2)) * (SIDE / self.size_px) ** 2)

    def _draw(self, seen: Reading, row: int, ball: np.ndarray | None) -> np.ndarray:
        """Draw what was read of one frame: uint8 `[H, W, 3]`."""
        there, paddle = (seen["bricks"][row] > SEEN).reshape(ROWS, COLUMNS), float(seen["paddle"][row])
        scene = Scene(there, int(seen["lives"][row]), paddle if np.isfinite(paddle) else None, ball)
        return picture.draw(scene, self.size_px)

    def _bricks(self, frames: np.ndarray) -> np.ndarray:
        """Return how much of each brick is there, `[n, 40]`, 0 to 1."""
        cover = self.wall.covers(frames[:, self.wall.rows])[0] * self.wall.weight
        tall, wide = (
            np.stack([picture.span(low + i * step, low + (i + 1) * step, self.size_px) for i in range(count)])
            for low, step, count in (
                (picture.WALL_TOP, picture.BRICK_HEIGHT, ROWS),
                (0.0, picture.BRICK_WIDTH, COLUMNS),
            )
        )
        tall = tall[:, self.wall.rows]
        found = tall @ cover @ wide.T / (tall @ self.wall.weight @ wide.T)
        return np.asarray(np.clip(found, 0.0, 1.0).reshape(len(frames), ROWS * COLUMNS))

    def _lives(self, frames: np.ndarray) -> np.ndarray:
        """Return the number of dots that looks most like what is there, float `[n]`."""
        nothing = np.zeros((ROWS, COLUMNS), bool).tobytes()
        bar = (_rows(picture.DOT_Y - picture.DOT_RADIUS, picture.DOT_Y + picture.DOT_RADIUS, self.size_px), slice(None))
        boards = [picture.board(nothing, lives, self.size_px)[bar].astype(np.float32) for lives in range(LIVES + 1)]
        off = [((frames[:, *bar] - board) ** 2).sum(axis=(1, 2, 3)) for board in boards]
        return np.argmin(off, axis=0).astype(float)

    def _paddle(self, frames: np.ndarray) -> np.ndarray:
        """Lay the paddle over its strip at every place, where no ball hides it: x of its middle, `[n]`."""
        cover, ball = self.strip.covers(frames[:, self.strip.rows])
        seen = self.strip.profile(cover)
        use = 1.0 - np.minimum(ball.max(axis=1), 1.0)
        error = (use * seen**2).sum(axis=1)[:, None] - 2 * (use * seen) @ self.paddles.T + use @ (self.paddles**2).T
        best = error.argmin(axis=1)
        shown = (use * seen * self.paddles[best]).sum(axis=1)
        whole = (use * self.paddles[best] ** 2).sum(axis=1)
        return np.where(shown >= SEEN * np.maximum(whole, 1e-9), self.places[best], np.nan)


@dataclass(frozen=True)
class _Split:
    """Splits some rows of a picture into field, thing and ball.

    rows: of the picture; field `[h, W, 3]`; weight `[h, W]`: how far the thing's colour is from the field's, squared;
    inverse `[h, W, 3, 2]`: of the colours of thing and ball, over the field's.
    """

    rows: slice
    field: np.ndarray
    weight: np.ndarray
    inverse: np.ndarray

    @classmethod
    def of(cls, empty: np.ndarray, full: np.ndarray, rows: slice) -> _Split:
        """Take these rows without and with the thing, each `[h, W, 3]`."""
        thing = full.astype(np.float64) - empty
        ball = np.broadcast_to(np.array(picture.BALL) - empty, thing.shape)
        inverse = np.linalg.pinv(np.stack([thing, ball], axis=-2))
        weight = (thing**2).sum(axis=-1)
        return cls(rows, empty.astype(np.float32), weight.astype(np.float32), inverse.astype(np.float32))

    def covers(self, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return how much of each pixel of `[n, h, W, 3]` is thing, and ball: `[n, h, W]` each, 0 to 1."""
        found = np.einsum("nhwc,hwck->knhw", frames - self.field, self.inverse, optimize=True)
        return tuple(np.clip(found, 0.0, 1.0))

    def profile(self, cover: np.ndarray) -> np.ndarray:
        """Average cover `[..., h, W]` over the rows: `[..., W]`."""
        return np.asarray((cover * self.weight).sum(axis=-2) / self.weight.sum(axis=-2))


def _firsts(frames: np.ndarray) -> range:
    return range(0, max(1, len(frames)), _CHUNK)


def _chunks(frames: np.ndarray) -> list[np.ndarray]:
    return [frames[first : first + _CHUNK] for first in _firsts(frames)]


def _pooled(frames: np.ndarray) -> np.ndarray:
    """Average uint8 frames `[n, H, W, 3]` down to about `READ_PX` a side, where a whole number of pixels fits."""
    n, size = frames.shape[:2]
    times = next(t for t in range(max(1, size // READ_PX), 0, -1) if size % t == 0)
    if times == 1:
        return frames
    blocks = frames.reshape(n, size // times, times, size // times, times, 3)
    return np.rint(blocks.mean(axis=(2, 4), dtype=np.float32)).astype(np.uint8)


def _box_mean(values: np.ndarray, side: int) -> np.ndarray:
    """Average `[n, H, W, 3]` over squares of `side` pixels round each pixel; outside is 0."""
    low, high = side // 2, side - side // 2 - 1
    for axis in (1, 2):
        pad = [(low, high) if i == axis else (0, 0) for i in range(4)]
        padded = np.pad(values, pad)
        values = np.add.reduce([padded.take(range(i, i + values.shape[axis]), axis) for i in range(side)]) / side
    return values


def _whiter(frames: np.ndarray, base: np.ndarray) -> np.ndarray:
    """Return how much ball lies over `base` in frames, uint8 `[n, H, W, 3]` both: `[n, H, W]`, 0 in the bar.

    What is not on the way to the ball's colour is taken off again, so that a wrong colour does not pass for a ball.
    """
    way, above = np.array(picture.BALL, np.float32) - base, frames - base.astype(np.float32)
    along, length, square = (np.einsum("nhwc,nhwc->nhw", *pair) for pair in ((above, way), (way, way), (above, above)))
    length = np.maximum(length, 1.0)
    cover = along / length
    rest = np.sqrt(np.maximum(square / length - cover**2, 0.0))
    cover = np.minimum(cover - rest, 1.0)
    cover[cover < FLOOR] = 0.0
    cover[:, : round(picture.CEILING * frames.shape[1] / SIDE)] = 0.0
    return np.asarray(cover)


def _find_balls(cover: np.ndarray, size_px: int) -> np.ndarray:
    """Find up to four balls in cover `[n, H, W]`, the most covered first: x, y in units, `[n, 4, 2]`, NaN for none."""
    scale = size_px / SIDE
    reach = int(np.ceil((picture.BALL_RADIUS + 0.5) * scale))
    side = 2 * reach + 1
    padded = np.pad(cover, ((0, 0), (reach, reach), (reach, reach)))
    rows, offset = np.arange(len(cover)), np.arange(-reach, reach + 1)
    balls = np.full((len(cover), MOST_BALLS, 2), np.nan)
    for number in range(MOST_BALLS if len(cover) else 0):
        windows = np.lib.stride_tricks.sliding_window_view(padded, (side, side), axis=(1, 2))
        total = np.pad(padded.cumsum(axis=1, dtype=np.float64).cumsum(axis=2), ((0, 0), (1, 0), (1, 0)))
        sums = total[:, side:, side:] - total[:, :-side, side:] - total[:, side:, :-side] + total[:, :-side, :-side]
        y, x = np.divmod(sums.reshape(len(cover), -1).argmax(axis=1), cover.shape[2])
        spot = windows[rows, y, x]
        mass = spot.sum(axis=(1, 2))
        seen = mass >= SEEN * BALL_AREA * scale**2
        if not seen.any():
            break
        scaled = np.maximum(mass, 1e-9)
        found = np.stack([x + (spot.sum(axis=1) @ offset) / scaled, y + (spot.sum(axis=2) @ offset) / scaled], axis=1)
        balls[seen, number] = ((found + 0.5) / scale)[seen]
        for i in np.flatnonzero(seen):
            padded[i, y[i] : y[i] + side, x[i] : x[i] + side] = 0.0
    return balls


def _rows(low: float, high: float, size_px: int) -> slice:
    """Return the pixels that lie between two places, units, in part or whole."""
    scale = size_px / SIDE
    return slice(max(0, int(np.floor(low * scale))), min(size_px, int(np.ceil(high * scale))))


def _row(
    key: str,
    label: str,
    values: np.ndarray,
    counted: np.ndarray,
    eligible: np.ndarray,
    unit: str = "share",
    statistic: str = "share",
) -> Score:
    return Score(key, label, unit, statistic, np.where(counted, values.astype(float), np.nan), int(eligible.sum()))


def _own_error(quantity: str, unit: str, error: np.ndarray) -> OwnError:
    seen = error[np.isfinite(error)]
    median, p90 = np.quantile(seen, [0.5, 0.9]) if len(seen) else (np.nan, np.nan)
    return OwnError(quantity, unit, float(median), float(p90), len(error), float(1 - len(seen) / max(1, len(error))))
