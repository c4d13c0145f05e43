"""Scripted hands, as functions of time: what people do with a pointer, keys and sticks, at any control rate.

A hand is drawn from a seed and knows nothing of what it drives, so the same hand can drive a world and the environment
it was recorded from. Pointers move on a board 512 units wide, whatever the bounds of the action space.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from worldling.errors import ConfigError, nearest
from worldling.types import ActionSpace

BOARD = 512.0
#: Speeds of a sweep in board units a second, drawn log-uniformly.
SLOWEST, FASTEST = 100.0, 900.0
#: Share of the goals that lie near what the hand is interested in, and how near (standard deviation, board units).
NEAR_SHARE, NEAR = 0.6, 110.0
#: Share of the pieces of a sweeping path that are rests.
REST_SHARE = 0.15
#: Seconds in which a pointer comes up to its path from where the agent is.
RAMP_S = 0.5

POINTER, KEYS, STICKS = ("sweeps", "flicks", "circles"), ("hold", "tap", "mash", "opposite"), ("slow", "full")
#: What more is done with keys of which two turn to the left and to the right.
TURNING = ("look",)


@dataclass(frozen=True)
class Piece:
    """A part of a path: how long it takes, and where it is at a share from 0 to 1 of that time."""

    seconds: float
    at: Callable[[float], np.ndarray]


class Path:
    """A path over time, of pieces drawn when they are needed.

    draw: gives the next pieces, at least one of more than no time, from where the last one ended.
    """

    def __init__(self, start: np.ndarray, draw: Callable[[np.ndarray], Iterable[Piece]]) -> None:
        self._end, self._draw = np.asarray(start, float), draw
        self._pieces: list[Piece] = []
        self._begun = 0.0  # seconds, of the first piece that is kept

    def at(self, seconds: float) -> np.ndarray:
        """Return the place at a time, which never goes back from call to call."""
        while True:
            while self._pieces and seconds > self._begun + self._pieces[0].seconds:
                done = self._pieces.pop(0)
                self._begun, self._end = self._begun + done.seconds, done.at(1.0)
            if self._pieces:
                piece = self._pieces[0]
                return piece.at(min(1.0, max(0.0, (seconds - self._begun) / piece.seconds)))
            self._pieces.extend(piece for piece in self._draw(self._end) if piece.seconds > 0)


def rest(place: np.ndarray, seconds: float) -> Piece:
    """Stay in a place."""
    return Piece(seconds, lambda share: place)


def curve(rng: np.random.Generator, start: np.ndarray, end: np.ndarray, bend: float, speed: float) -> Piece:
    """Move along a quadratic curve whose middle lies up to `bend` of its length aside; speed: units a second."""
    away = end - start
    middle = (start + end) / 2 + np.array([-away[1], away[0]]) * rng.uniform(-bend, bend)
    length = float(np.linalg.norm(middle - start) + np.linalg.norm(end - middle))
    return Piece(length / speed, lambda t: (1 - t) ** 2 * start + 2 * t * (1 - t) * middle + t**2 * end)


def circle(rng: np.random.Generator, start: np.ndarray, centre: np.ndarray, speed: float) -> list[Piece]:
    """Move to a circle round a centre and half to two times round it."""
    radius = rng.uniform(30, 180)
    first, turn = rng.uniform(0, 2 * math.pi), rng.choice([-1, 1]) * rng.uniform(0.5, 2) * 2 * math.pi

    def at(share: float) -> np.ndarray:
        angle = first + turn * share
        return np.asarray(centre + radius * np.array([math.cos(angle), math.sin(angle)]))

    return [curve(rng, start, at(0.0), 0.3, speed), Piece(abs(turn) * radius / speed, at)]


def sweep_speed(rng: np.random.Generator) -> float:
    """Draw the speed of a sweep, units a second."""
    return float(SLOWEST * (FASTEST / SLOWEST) ** rng.random())


def goal(rng: np.random.Generator, near: np.ndarray) -> np.ndarray:
    """Draw where to go: often near something, else anywhere on the board."""
    return near + rng.normal(0, NEAR, 2) if rng.random() < NEAR_SHARE else rng.uniform(0, BOARD, 2)


def is_pointer(space: ActionSpace) -> bool:
    """Return whether actions are positions in the picture (a box of x and y), set with a mouse or a finger."""
    return space.kind == "box" and tuple(name.lower() for name in space.names) == ("x", "y")


@dataclass(frozen=True)
class Turning:
    """Raw actions that turn to the left and to the right, and that walk straight on, None where none does so alone."""

    left: np.ndarray
    right: np.ndarray
    forward: np.ndarray | None


def turning(space: ActionSpace) -> Turning | None:
    """Find the keys that turn, by their names (TURN LEFT, turn_right, MOVE_FORWARD); None if there are none."""
    if space.kind not in ("discrete", "multi_binary"):
        return None
    plain = ["".join(filter(str.isalpha, name.upper())) for name in space.names]
    alone = np.arange(len(plain)) if space.kind == "discrete" else np.eye(len(plain), dtype=np.int64)
    by_name = dict(zip(plain, map(np.asarray, alone), strict=True))
    left, right = by_name.get("TURNLEFT"), by_name.get("TURNRIGHT")
    if left is None or right is None:
        return None
    return Turning(left, right, by_name.get("FORWARD", by_name.get("MOVEFORWARD")))


def hands_for(space: ActionSpace) -> tuple[str, ...]:
    """Name the hands that fit an action space; none where there are no actions."""
    if space.kind == "none":
        return ()
    if space.kind == "box":
        return POINTER if is_pointer(space) else STICKS
    return KEYS if turning(space) is None else (*KEYS, *TURNING)


def check_hands(space: ActionSpace, names: Iterable[str]) -> tuple[str, ...]:
    """Return the hands to use: those named, or all that fit. Raises `ConfigError` if one does not fit."""
    fit = hands_for(space)
    for name in names:
        if name not in fit:
            said = nearest(name, fit) if fit else "Leave it out."
            raise ConfigError(f"`hands` must fit the world's actions ({space.kind}), got {name!r}. {said}")
    return tuple(names) or fit


def play_hand(
    space: ActionSpace,
    name: str,
    seed: int | list[int],
    times_s: np.ndarray,
    start: np.ndarray | None = None,
    near: np.ndarray | None = None,
) -> np.ndarray:
    """Return the raw actions `[n, ...]` of a hand at ascending times `[n]`, in seconds, at least 0.

    start: the raw action it comes from, of a pointer; near: what a pointer is interested in, a raw action; both the
    middle where they are not known. The same seed at other times is the same hand.
    """
    if not len(times_s):
        return np.zeros((0, *space.shape), space.dtype)
    rng = np.random.default_rng(seed)
    if is_pointer(space):
        return _pointer(space, name, rng, times_s, start, near)
    draw, actions = _HELD[name](space, rng), []
    seconds, held = next(draw)
    begun = 0.0
    for t in times_s:
        while t >= begun + seconds:
            begun += seconds
            seconds, held = next(draw)
        actions.append(held((t - begun) / seconds))
    return np.stack(actions).astype(space.dtype)


def _pointer(
    space: ActionSpace,
    name: str,
    rng: np.random.Generator,
    times_s: np.ndarray,
    start: np.ndarray | None,
    near: np.ndarray | None,
) -> np.ndarray:
    low, span = np.asarray(space.low), np.subtract(space.high, space.low)

    def on_board(action: np.ndarray | None) -> np.ndarray:
        known = action is not None and np.isfinite(action).all()
        return (np.asarray(action, float) - low) / span * BOARD if known else np.full(2, BOARD / 2)

    begin, middle = on_board(start), on_board(near)

    def draw(place: np.ndarray) -> list[Piece]:
        if name == "flicks":
            return [rest(goal(rng, middle), rng.uniform(0.2, 0.8))]
        if name == "circles":
            return circle(rng, place, goal(rng, middle), sweep_speed(rng))
        if rng.random() < REST_SHARE:
            return [rest(place, rng.uniform(0.2, 1.0))]
        return [curve(rng, place, goal(rng, middle), 0.6, sweep_speed(rng))]

    path = Path(begin, draw)
    places = np.stack([begin + (path.at(float(t)) - begin) * min(1.0, t / RAMP_S) for t in times_s])
    return (low + np.clip(places, 0, BOARD) / BOARD * span).astype(np.float32)


#: What is held for some seconds: they, and the raw action at a share from 0 to 1 of them.
Held = Iterator[tuple[float, Callable[[float], np.ndarray]]]


def _still(action: np.ndarray) -> Callable[[float], np.ndarray]:
    return lambda share: action


def _slow(space: ActionSpace, rng: np.random.Generator) -> Held:
    """A stick that glides from one place to another, with rests."""
    low, high = np.asarray(space.low), np.asarray(space.high)
    place = np.asarray(space.noop, float)
    while True:
        begin, place = place, np.asarray(space.noop, float) if rng.random() < 0.25 else rng.uniform(low, high)

        def glide(share: float, a: np.ndarray = begin, b: np.ndarray = place) -> np.ndarray:
            return a + (b - a) * (1 - math.cos(math.pi * share)) / 2

        yield rng.uniform(0.4, 1.5), glide


def _full(space: ActionSpace, rng: np.random.Generator) -> Held:
    """A stick thrown to its ends: each axis at its lowest, at rest or at its highest."""
    ends = np.stack([np.asarray(space.low), np.asarray(space.noop), np.asarray(space.high)])
    while True:
        yield rng.uniform(0.2, 1.0), _still(ends[rng.integers(3, size=ends.shape[1]), np.arange(ends.shape[1])])


def _choice(space: ActionSpace, rng: np.random.Generator) -> np.ndarray:
    top = (2,) * len(space.nvec) if space.kind == "multi_binary" else space.nvec
    drawn = rng.integers(top)
    return drawn[0] if space.kind == "discrete" else drawn


def _opposite_of(space: ActionSpace, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two choices, opposite ones by their names if there are any."""
    pairs = [
        (names.index(one), names.index(other))
        for names in [[name.lower().replace("_", " ") for name in space.names]]
        for one, other in (("left", "right"), ("up", "down"), ("forward", "back"), ("turn left", "turn right"))
        if one in names and other in names
    ]
    if space.kind == "discrete" and pairs:
        one, other = pairs[rng.integers(len(pairs))]
        return np.asarray(one), np.asarray(other)
    return _choice(space, rng), _choice(space, rng)


def _keys(space: ActionSpace, rng: np.random.Generator, name: str) -> Held:
    idle = np.asarray(space.noop)
    while True:
        if name == "hold":
            yield rng.uniform(0.5, 3.0), _still(_choice(space, rng))
        elif name == "tap":
            yield rng.uniform(0.2, 0.8), _still(idle)
            yield rng.uniform(0.08, 0.15), _still(_choice(space, rng))
        elif name == "mash":
            yield rng.uniform(0.08, 0.2), _still(_choice(space, rng))
        else:
            pair = _opposite_of(space, rng)
            for turn in range(2 * int(rng.integers(2, 6))):
                yield rng.uniform(0.15, 0.6), _still(pair[turn % 2])


def _look(space: ActionSpace, rng: np.random.Generator) -> Held:
    """Turn to one side, and back for as long, and then walk on for a while."""
    keys = turning(space)
    assert keys is not None, "hands_for offers this hand only where two keys turn"
    on = np.asarray(space.noop) if keys.forward is None else keys.forward
    while True:
        seconds, sides = rng.uniform(0.3, 2.0), (keys.left, keys.right)
        first = int(rng.integers(2))
        yield seconds, _still(sides[first])
        yield seconds, _still(sides[1 - first])
        yield rng.uniform(0.3, 1.5), _still(on)


_HELD: dict[str, Callable[[ActionSpace, np.random.Generator], Held]] = {
    "slow": _slow,
    "full": _full,
    "hold": lambda space, rng: _keys(space, rng, "hold"),
    "tap": lambda space, rng: _keys(space, rng, "tap"),
    "mash": lambda space, rng: _keys(space, rng, "mash"),
    "opposite": lambda space, rng: _keys(space, rng, "opposite"),
    "look": _look,
}
