"""The picture of Bricks: where things are, their colours, and drawing them at any size.

Places are in units of which the picture has 64 a side, x to the right and y down, so that at 64 px a unit is a pixel
and every straight edge at rest lies between two pixels. A token of 8 x 8 px holds two bricks, one above the other. Left
and right are alike in picture and rules, so that training may mirror them: `--mirror x:1=2`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Bool, UInt8

SIDE = 64.0
ROWS, COLUMNS = 5, 8
BRICK_WIDTH, BRICK_HEIGHT = SIDE / COLUMNS, 4.0
#: Upper and lower edge of the wall of bricks; the lower edge of the bar at the top, from which the ball bounces.
WALL_TOP, WALL_BOTTOM, CEILING = 16.0, 16.0 + ROWS * BRICK_HEIGHT, 8.0
BALL_RADIUS = 2.0
PADDLE_WIDTH, PADDLE_HEIGHT, PADDLE_TOP = 14.0, 3.0, 57.0
#: Balls of a game; radius, height and distance of the dots in the middle of the bar that show those that are left.
LIVES, DOT_RADIUS, DOT_Y, DOT_STEP = 3, 2.0, 3.0, 6.0

FIELD, BAR, BAR_EDGE = (17.0, 19.0, 40.0), (30.0, 33.0, 62.0), (66.0, 72.0, 116.0)
BALL, DOT = (255.0, 255.0, 255.0), (236.0, 238.0, 250.0)
PADDLE, PADDLE_SHINE = (40.0, 196.0, 214.0), (150.0, 240.0, 246.0)
#: Of the rows of bricks, from the top.
BRICKS = ((236.0, 74.0, 98.0), (244.0, 136.0, 62.0), (248.0, 204.0, 76.0), (82.0, 200.0, 116.0), (84.0, 134.0, 246.0))
_SHINE, _SHADE = 0.28, 0.52  # of a brick's upper edge towards white; of its other edges, times its colour
_EDGE = 1.0  # width of these edges, units


@dataclass(frozen=True)
class Scene:
    """What one picture of Bricks shows.

    bricks bool `[5, 8]`: those that are there, rows from the top; lives: 0 to 3; paddle: x of its middle, units, or
    None; ball `[2]`: x, y of its middle, units, or None.
    """

    bricks: Bool[np.ndarray, "5 8"]
    lives: int
    paddle: float | None
    ball: np.ndarray | None


def draw(scene: Scene, size_px: int) -> UInt8[np.ndarray, "{size_px} {size_px} 3"]:
    """Draw a scene with smooth edges at any size: uint8 `[size_px, size_px, 3]`. Cost: some 50 us."""
    picture = board(scene.bricks.tobytes(), scene.lives, size_px).copy()
    if scene.paddle is not None:
        _paint_paddle(picture, scene.paddle)
    if scene.ball is not None:
        _paint_disc(picture, float(scene.ball[0]), float(scene.ball[1]), BALL_RADIUS, BALL)
    return picture


@lru_cache(maxsize=8)
def board(bricks: bytes, lives: int, size_px: int) -> np.ndarray:
    """Draw what stands still: uint8 `[size_px, size_px, 3]`, not to be changed.

    bricks: the bytes of a bool array `[5, 8]`; lives: number of dots.
    """
    picture = _empty(size_px).copy()
    for number in range(lives):
        _paint_disc(picture, SIDE / 2 + DOT_STEP * (number - (lives - 1) / 2), DOT_Y, DOT_RADIUS, DOT)
    for there, (rows, columns, painted) in zip(np.frombuffer(bricks, bool), _bricks(size_px), strict=True):
        if there:
            picture[rows, columns] += painted
    still: np.ndarray = np.rint(picture).astype(np.uint8)
    still.setflags(write=False)
    return still


def brick_box(row: int, column: int) -> tuple[float, float, float, float]:
    """Return a brick's left, top, right and bottom, units."""
    left, top = column * BRICK_WIDTH, WALL_TOP + row * BRICK_HEIGHT
    return left, top, left + BRICK_WIDTH, top + BRICK_HEIGHT


@lru_cache(maxsize=4)
def _empty(size_px: int) -> np.ndarray:
    """Draw the field and the bar at its top: float32 `[size_px, size_px, 3]`."""
    picture = np.empty((size_px, size_px, 3), np.float32)
    picture[:] = FIELD
    bar, edge = span(0.0, CEILING, size_px), span(CEILING - 2.0, CEILING, size_px)
    picture += bar[:, None, None] * np.subtract(BAR, FIELD, dtype=np.float32)
    picture += edge[:, None, None] * np.subtract(BAR_EDGE, BAR, dtype=np.float32)
    return picture


@lru_cache(maxsize=4)
def _bricks(size_px: int) -> list[tuple[slice, slice, np.ndarray]]:
    """Return rows and columns of the pixels of each brick, and what it adds to them, float32 `[h, w, 3]`."""
    painted = []
    for row in range(ROWS):
        colour = np.array(BRICKS[row])
        for column in range(COLUMNS):
            left, top, right, bottom = brick_box(row, column)
            rows, columns = _pixels(top, bottom, size_px), _pixels(left, right, size_px)
            part = np.zeros((rows.stop - rows.start, columns.stop - columns.start, 3), np.float32)
            for x0, y0, x1, y1, tone in (
                (left, top, right, bottom, colour * _SHADE),
                (left + _EDGE, top, right - _EDGE, bottom - _EDGE, colour * (1 - _SHADE)),
                (left + _EDGE, top, right - _EDGE, top + _EDGE, (255.0 - colour) * _SHINE),
            ):
                cover = span(y0, y1, size_px)[rows, None] * span(x0, x1, size_px)[columns]
                part += cover[..., None] * tone.astype(np.float32)
            whole = span(top, bottom, size_px)[rows, None] * span(left, right, size_px)[columns]
            painted.append((rows, columns, part - whole[..., None] * np.array(FIELD, np.float32)))
    return painted


def _paint_paddle(picture: np.ndarray, middle: float) -> None:
    """Paint the paddle, round at its ends and lighter at its upper edge."""
    size = len(picture)
    half, radius = PADDLE_WIDTH / 2, PADDLE_HEIGHT / 2
    rows, columns = _pixels(PADDLE_TOP, PADDLE_TOP + PADDLE_HEIGHT, size), _pixels(middle - half, middle + half, size)
    y, x = _centres(rows, size) - PADDLE_TOP - radius, _centres(columns, size) - middle
    across = np.maximum(np.abs(x) - (half - radius), 0.0)
    cover = _soft(radius - np.hypot(y[:, None], across), size)
    shine = span(PADDLE_TOP, PADDLE_TOP + _EDGE, size)[rows, None, None]
    colour = np.array(PADDLE) + shine * np.subtract(PADDLE_SHINE, PADDLE)
    _mix(picture, rows, columns, cover, colour)


def _paint_disc(picture: np.ndarray, x: float, y: float, radius: float, colour: tuple[float, ...]) -> None:
    """Paint a disc, or the part of it that lies in the picture."""
    size = len(picture)
    rows, columns = _pixels(y - radius, y + radius, size), _pixels(x - radius, x + radius, size)
    far = np.hypot(_centres(rows, size)[:, None] - y, _centres(columns, size) - x)
    _mix(picture, rows, columns, _soft(radius - far, size), np.array(colour))


def _mix(picture: np.ndarray, rows: slice, columns: slice, cover: np.ndarray, colour: np.ndarray) -> None:
    """Paint a colour over part of a picture, as far as it covers the pixels, `[h, w]`."""
    part = picture[rows, columns]
    picture[rows, columns] = np.rint(part + cover[..., None] * (colour - part))


def _soft(inside: np.ndarray, size_px: int) -> np.ndarray:
    """Return how much of each pixel is covered, 0 to 1, from how far its middle is inside an edge, units."""
    return np.clip(inside * (size_px / SIDE) + 0.5, 0.0, 1.0)


def span(low: float, high: float, size_px: int) -> np.ndarray:
    """Return which part of each of `size_px` pixels lies between two places, units: float32 `[size_px]`, 0 to 1."""
    scale, at = size_px / SIDE, np.arange(size_px)
    return np.clip(np.minimum(high * scale, at + 1) - np.maximum(low * scale, at), 0.0, 1.0).astype(np.float32)


def _pixels(low: float, high: float, size_px: int) -> slice:
    """Return the pixels between two places, units, and those that a soft edge there touches."""
    scale = size_px / SIDE
    first = min(max(0, int(np.floor(low * scale - 0.5))), size_px)
    return slice(first, max(first, min(size_px, int(np.ceil(high * scale + 0.5)))))


def _centres(pixels: slice, size_px: int) -> np.ndarray:
    """Return the middles of pixels, units."""
    return (np.arange(pixels.start, pixels.stop) + 0.5) * (SIDE / size_px)
