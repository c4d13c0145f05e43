"""Bricks: a game of a paddle, a ball and a wall of forty bricks, in numpy alone, 30 frames a second.

    import gymnasium, worldling.scenes
    env = gymnasium.make("worldling/Bricks-v0")

Action: 0 stay, 1 left, 2 right. Each brick gives a reward of 1. The paddle speeds up and brakes in a few frames. Where
the ball meets it decides how it bounces: straight up from the middle, 60 degrees aside from the ends. The ball is 8 %
faster for each row without bricks. Three balls are a game; the next one sinks slowly on to the paddle, which carries
it, and flies off where they touch, 10 to 40 degrees aside: that angle is the only chance, and the seed decides it.
An episode ends with the last ball or the last brick.

For world models: two successive pictures, three after a bounce, show all that decides the next one but for the angle of
a serve. No clock is hidden: how high a ball floats says when it is served, the bricks how fast it flies, dots how many
are left.

An episode in two (`late_share`) begins late in a game: with 1 to 39 bricks, few more often than many, fewer balls and
the paddle anywhere. So that a recording holds all stages of the game; with `late_share=0` all games begin whole.
"""

from __future__ import annotations

import math
from typing import Any

import gymnasium
import numpy as np
from jaxtyping import Bool

from worldling.errors import EnvError, nearest
from worldling.scenes.bricks_picture import (
    BALL_RADIUS,
    BRICK_HEIGHT,
    BRICK_WIDTH,
    CEILING,
    COLUMNS,
    LIVES,
    PADDLE_HEIGHT,
    PADDLE_TOP,
    PADDLE_WIDTH,
    ROWS,
    SIDE,
    WALL_BOTTOM,
    WALL_TOP,
    Scene,
    brick_box,
    draw,
)

FPS = 30.0
ACTIONS = ("STAY", "LEFT", "RIGHT")
#: Raised whenever seeds come to mean other episodes.
VERSION = "1"
#: Units a frame: the ball's speed with all rows there, and what each row without bricks adds, as a share.
BALL_SPEED, FASTER = 1.2, 0.08
#: Units a frame, and units a frame that are gained or lost in a frame.
PADDLE_SPEED, PADDLE_PULL = 2.4, 0.6
#: Degrees from the vertical: at the paddle's ends, and of a serve, least and most.
STEEPEST, SERVE = 60.0, (10.0, 40.0)
#: How high a new ball floats above the paddle, and how fast it sinks, units a frame: 24 frames.
FLOAT_HEIGHT, SINK_SPEED = 7.2, 0.3
_PARTS = 4  # of a frame, in each of which the ball goes in x and then in y
_LEFTMOST = PADDLE_WIDTH / 2
_ON_PADDLE = PADDLE_TOP - BALL_RADIUS  # y of a ball that lies on the paddle
_KEPT = ("lives", "score", "floating", "paddle", "paddle_velocity")  # by `get_state`, beside what is copied


class BricksEnv(gymnasium.Env):
    """Keep the ball up with the paddle until every brick is hit; three balls are a game.

    late_share: share of the episodes, 0 to 1, that begin late in a game; obs_type: "pixels" (uint8
    `[size_px, size_px, 3]`) or "state" (float32 `[48]`: ball x, y, its velocity x, y, paddle x, its velocity, lives,
    whether a ball is floating, 40 bricks; units of 1/64 of the side, a frame; a ball that is not there is at 0, 0).
    Raises `EnvError` for an argument out of range.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": FPS, "version": VERSION}  # noqa: RUF012 - as Gymnasium does

    def __init__(
        self,
        late_share: float = 0.5,
        obs_type: str = "pixels",
        size_px: int = 64,
        render_mode: str | None = "rgb_array",
    ) -> None:
        if obs_type not in ("pixels", "state"):
            raise EnvError(f"`obs_type` must be pixels or state, got {obs_type!r}. Use pixels.")
        if not 0 <= late_share <= 1:
            raise EnvError(f"`late_share` must be from 0 to 1, got {late_share!r}. Use 0 for whole games alone.")
        self.late_share, self.obs_type, self.size_px, self.render_mode = late_share, obs_type, size_px, render_mode
        self.action_space = gymnasium.spaces.Discrete(len(ACTIONS))
        pixels = gymnasium.spaces.Box(0, 255, (size_px, size_px, 3), np.uint8)
        state = gymnasium.spaces.Box(-np.inf, np.inf, (8 + ROWS * COLUMNS,), np.float32)
        self.observation_space = pixels if obs_type == "pixels" else state
        self.bricks: Bool[np.ndarray, "5 8"] = np.ones((ROWS, COLUMNS), bool)
        self.lives, self.score, self.floating = LIVES, 0, True
        self.paddle, self.paddle_velocity = SIDE / 2, 0.0
        self.ball: list[float] | None = None
        self.velocity = [0.0, 0.0]

    def get_action_meanings(self) -> list[str]:
        """Name the actions."""
        return list(ACTIONS)

    @property
    def over(self) -> bool:
        """Whether the last ball is lost or the last brick hit."""
        return self.lives == 0 or not self.bricks.any()

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin an episode with a ball that floats above the paddle.

        options: "bricks", bool `[5, 8]` with at least one brick, and "lives", 1 to 3, choose the board; then the paddle
        stands in the middle. Raises `EnvError` if they are others, or named otherwise.
        """
        super().reset(seed=seed)
        chosen = dict(options or {})
        for name in chosen:
            if name not in ("bricks", "lives"):
                raise EnvError(
                    f"`options` must be bricks and lives, got {name!r}. {nearest(name, ('bricks', 'lives'))}"
                )
        late = bool(self.np_random.random() < self.late_share) and not chosen
        self.bricks, self.lives, self.paddle = np.ones((ROWS, COLUMNS), bool), LIVES, SIDE / 2
        if late:
            self.bricks, self.lives = late_board(self.np_random), int(self.np_random.integers(1, LIVES + 1))
            self.paddle = float(self.np_random.uniform(_LEFTMOST, SIDE - _LEFTMOST))
        if "bricks" in chosen:
            self.bricks = _checked_board(chosen["bricks"])
        if "lives" in chosen:
            self.lives = _checked_lives(chosen["lives"])
        self.score, self.paddle_velocity = 0, 0.0
        self._next_ball()
        return self._observe(), self._info()

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Play 1/30 s; the reward is the number of bricks hit. Raises `EnvError` for an action that is none of three.

        After the end nothing moves until `reset`.
        """
        if int(action) not in range(len(ACTIONS)):
            raise EnvError(f"`action` must be 0 (stay), 1 (left) or 2 (right), got {action!r}. Give one of these.")
        before = self.score
        if not self.over:
            self._move_paddle((0, -1, 1)[int(action)])
            if self.floating:
                self._sink()
            else:
                self._fly()
        return self._observe(), float(self.score - before), self.over, False, self._info()

    def render(self) -> np.ndarray:
        """Draw the game: uint8 `[size_px, size_px, 3]`."""
        return self.draw(self.size_px)

    def draw(self, size_px: int) -> np.ndarray:
        """Draw the game at any size: uint8 `[size_px, size_px, 3]`."""
        ball = None if self.ball is None else np.array(self.ball)
        return draw(Scene(self.bricks, self.lives, self.paddle, ball), size_px)

    def record(self) -> dict[str, np.ndarray]:
        """Return what a recording keeps of every frame, in units of 1/64 of the side, velocities a frame.

        ball `[2]`: x, y of its middle, NaN once there is none; ball_velocity `[2]`; paddle: x of its middle;
        paddle_velocity; bricks bool `[5, 8]`: those that are there, rows from the top; lives: balls left, that in play
        included; floating: the ball sinks on to the paddle, to be served.
        """
        return {
            "ball": np.array(self.ball or [np.nan, np.nan], np.float32),
            "ball_velocity": np.array(self.velocity, np.float32),
            "paddle": np.array(self.paddle, np.float32),
            "paddle_velocity": np.array(self.paddle_velocity, np.float32),
            "bricks": self.bricks.copy(),
            "lives": np.array(self.lives, np.int8),
            "floating": np.array(self.floating),
        }

    def get_state(self) -> dict[str, Any]:
        """Return all that `set_state` needs to go on from here, the chance of serves to come included."""
        kept = {name: getattr(self, name) for name in _KEPT}
        kept |= {"bricks": self.bricks.copy(), "ball": self.ball and list(self.ball), "velocity": list(self.velocity)}
        return kept | {"chance": self.np_random.bit_generator.state}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go back to a state."""
        for name in _KEPT:
            setattr(self, name, state[name])
        self.bricks, self.velocity = state["bricks"].copy(), list(state["velocity"])
        self.ball = state["ball"] and list(state["ball"])
        self.np_random.bit_generator.state = state["chance"]

    def _info(self) -> dict[str, Any]:
        return {"score": self.score, "lives": self.lives, "bricks_left": int(self.bricks.sum())}

    def _observe(self) -> np.ndarray:
        if self.obs_type == "pixels":
            return self.draw(self.size_px)
        numbers = [*(self.ball or (0.0, 0.0)), *self.velocity, self.paddle, self.paddle_velocity, self.lives]
        return np.array([*numbers, self.floating, *self.bricks.ravel()], np.float32)

    def _move_paddle(self, way: int) -> None:
        """Speed the paddle up or brake it: towards full speed to one side, or rest."""
        wanted = way * PADDLE_SPEED - self.paddle_velocity
        self.paddle_velocity += min(max(wanted, -PADDLE_PULL), PADDLE_PULL)
        place = self.paddle + self.paddle_velocity
        self.paddle = min(max(place, _LEFTMOST), SIDE - _LEFTMOST)
        if self.paddle != place:
            self.paddle_velocity = 0.0

    def _next_ball(self) -> None:
        """Let a new ball float above the paddle."""
        self.floating, self.ball = True, [self.paddle, _ON_PADDLE - FLOAT_HEIGHT]
        self.velocity = [self.paddle_velocity, SINK_SPEED]

    def _sink(self) -> None:
        """Carry a floating ball along and let it sink; where it touches the paddle it is served."""
        assert self.ball is not None, "a ball floats"
        self.ball = [self.paddle, min(self.ball[1] + SINK_SPEED, _ON_PADDLE)]
        self.velocity = [self.paddle_velocity, SINK_SPEED]
        if self.ball[1] > _ON_PADDLE - SINK_SPEED / 2:
            self.floating, self.ball[1] = False, _ON_PADDLE
            self._send(float(self.np_random.choice([-1.0, 1.0]) * self.np_random.uniform(*SERVE)))

    def _send(self, degrees: float) -> None:
        """Send the ball up, so many degrees to the right of the vertical, at the speed of this board."""
        speed = ball_speed(self.bricks)
        self.velocity = [speed * math.sin(math.radians(degrees)), -speed * math.cos(math.radians(degrees))]

    def _fly(self) -> None:
        """Move the ball for a frame, in parts, and let it bounce; below the picture it is lost."""
        assert self.ball is not None, "a ball flies"
        for _ in range(_PARTS):
            for axis in (0, 1):
                self._go(self.ball, axis)
        if self.ball[1] > SIDE + BALL_RADIUS:
            self.lives, self.ball, self.velocity = self.lives - 1, None, [0.0, 0.0]
            if self.lives:
                self._next_ball()

    def _go(self, ball: list[float], axis: int) -> None:
        """Move the ball along one axis; what is in the way turns it round, and the ball stays where it was."""
        before = ball[axis]
        ball[axis] += self.velocity[axis] / _PARTS
        low, high = ((BALL_RADIUS, SIDE - BALL_RADIUS), (CEILING + BALL_RADIUS, math.inf))[axis]
        if not low <= ball[axis] <= high:
            self.velocity[axis], ball[axis] = -self.velocity[axis], min(max(ball[axis], low), high)
        brick = touched_brick(self.bricks, ball[0], ball[1])
        if brick is not None:
            self.bricks[brick] = False
            self.score += 1
            turned, length = -self.velocity[axis], math.hypot(*self.velocity)
            ball[axis], self.velocity[axis] = before, turned
            self.velocity = [part * ball_speed(self.bricks) / length for part in self.velocity]
        elif axis == 1 and self.velocity[1] > 0 and _meets_paddle(ball[0], ball[1], self.paddle):
            ball[axis] = before
            self._send(STEEPEST * (ball[0] - self.paddle) / (PADDLE_WIDTH / 2 + BALL_RADIUS))


def ball_speed(bricks: np.ndarray) -> float:
    """Return the ball's speed over a board bool `[5, 8]`, units a frame: 1.2 to 1.68."""
    return BALL_SPEED * (1.0 + FASTER * (ROWS - int(bricks.any(axis=1).sum())))


def late_board(rng: np.random.Generator) -> np.ndarray:
    """Draw a board bool `[5, 8]` as it is late in a game: 1 to 39 bricks, mostly few, often the upper ones."""
    count = round(math.exp(rng.uniform(0.0, math.log(ROWS * COLUMNS - 1))))
    slope = rng.choice([0.0, 0.25, 0.6])  # how much sooner the lower rows are hit than the upper ones
    order = rng.random((ROWS, COLUMNS)) + slope * np.arange(ROWS)[:, None]
    return np.asarray(order.ravel().argsort().argsort().reshape(ROWS, COLUMNS) < count)


def touched_brick(bricks: np.ndarray, x: float, y: float) -> tuple[int, int] | None:
    """Return row and column of the brick that a ball at x, y overlaps most, or None."""
    if not WALL_TOP - BALL_RADIUS < y < WALL_BOTTOM + BALL_RADIUS:
        return None
    rows, columns = (
        range(max(0, int((at - BALL_RADIUS - low) // step)), min(count, int((at + BALL_RADIUS - low) // step) + 1))
        for at, low, step, count in ((y, WALL_TOP, BRICK_HEIGHT, ROWS), (x, 0.0, BRICK_WIDTH, COLUMNS))
    )
    near = []
    for row in rows:
        for column in columns:
            if bricks[row, column]:
                left, top, right, bottom = brick_box(row, column)
                off = math.hypot(x - min(max(x, left), right), y - min(max(y, top), bottom))
                near.append((off, math.hypot(x - (left + right) / 2, y - (top + bottom) / 2), row, column))
    best = min(near, default=None)
    return best[2:] if best is not None and best[0] < BALL_RADIUS else None


def _meets_paddle(x: float, y: float, paddle: float) -> bool:
    """Say whether a ball at x, y overlaps the paddle and its middle is above the paddle's."""
    half = PADDLE_WIDTH / 2
    off = math.hypot(
        x - min(max(x, paddle - half), paddle + half), y - min(max(y, PADDLE_TOP), PADDLE_TOP + PADDLE_HEIGHT)
    )
    return off < BALL_RADIUS and y < PADDLE_TOP + PADDLE_HEIGHT / 2


def _checked_board(bricks: Any) -> np.ndarray:
    board = np.array(bricks)
    if board.shape != (ROWS, COLUMNS) or board.dtype != bool or not board.any():
        raise EnvError(
            f"`options['bricks']` must be bool [{ROWS}, {COLUMNS}] with at least one brick, got {board.dtype} "
            f"{list(board.shape)} with {int(np.count_nonzero(board))}. Give np.ones(({ROWS}, {COLUMNS}), bool) for all."
        )
    return board


def _checked_lives(lives: Any) -> int:
    if lives not in range(1, LIVES + 1):
        raise EnvError(f"`options['lives']` must be 1 to {LIVES}, got {lives!r}. Leave it out for {LIVES}.")
    return int(lives)
