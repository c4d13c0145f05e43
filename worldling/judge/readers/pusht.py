"""Reads the agent and the pose of the T in Push-T, in units of its 512 wide board, from frames of any size.

The background (board, goal, walls) never moves, so each pixel is split by least squares into background,
grey block and blue agent. The agent is the centre of its blue; the block is found by laying the known T
over the grey, from four angles, and sliding it until the squared difference is smallest (Gauss-Newton).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from worldling.judge.readers.reader import OwnError, Reading, Score, State

BOARD = 512.0
BLOCK_COLOUR = np.array([143.0, 163.0, 184.0])  # LightSlateGray, lightened by the drawing code
AGENT_COLOUR = np.array([65.0, 105.0, 225.0])  # RoyalBlue
AGENT_AREA = np.pi * 15.0**2

# The T in its own frame: (centre x, centre y, half width, half height); the drawn outline adds 2 all round.
BAR, STEM = (0.0, 15.0, 60.0, 15.0), (0.0, 75.0, 15.0, 45.0)
OUTLINE = 2.0
T_AREA = 124.0 * 34.0 + 34.0 * 90.0
T_CENTROID = np.array([0.0, (15.0 * 3600 + 75.0 * 2700) / 6300])
T_REACH = 90.0  # no point of the T is further from its centroid

SEEN = 0.5  # share of the true area that must be there
FLOOR = 0.15  # cover below this is noise of the picture
OTHER_LEVELS = 40.0  # a pixel this far from any mixture of board, block and agent is something else
FIT_PX = 64  # larger frames are averaged down to about this size before the T is fitted


@dataclass(frozen=True)
class Shape:
    """What is on each of n boards, beside what `PushTReader.read` gives.

    reading: of the same frames. overlap `[n]`: intersection over union of the grey of the whole frame and the T drawn
    at its fitted pose, 0 where no T is seen; outline `[n]`: the same of what is more than half covered, finely drawn,
    so that halos and soft edges do not count. grey, blue `[n]`: how much of either colour there is, over what the T and
    the agent have. other `[n]`: area of what is neither, over the T's.
    """

    reading: Reading
    overlap: np.ndarray
    outline: np.ndarray
    grey: np.ndarray
    blue: np.ndarray
    other: np.ndarray


@dataclass
class PushTReader:
    """Positions in board units (512 = the board's side), angles in radians; NaN = not seen."""

    background: np.ndarray = field(repr=False)  # float32 [H, W, 3]
    name: str = "Push-T: agent and block"
    about: str = (
        "Each pixel is split into background, grey block and blue agent by colour. The agent is the centre "
        "of gravity of its blue; the block's place and angle come from laying the known T shape over the "
        "grey. Errors are in percent of the board's side; something that cannot be seen counts as 100 % or "
        "180 degrees off."
    )

    @classmethod
    def fit(cls, frames: np.ndarray) -> PushTReader:
        """Learn the background from real frames uint8 `[n, H, W, 3]`: the median where nothing stands."""
        sample = frames[:: max(1, len(frames) // 100)].astype(np.float32)
        white, green = np.full(3, 255.0), np.array([144.0, 238.0, 144.0])
        palette = np.stack([white, green, np.full(3, 211.0), BLOCK_COLOUR, BLOCK_COLOUR / 1.2, AGENT_COLOUR])
        palette = palette.astype(np.float32)
        nearest = (np.square(palette).sum(axis=1) - 2 * sample @ palette.T).argmin(axis=-1)
        empty = np.where((nearest <= 2)[..., None], sample, np.nan)
        empty[:, np.isnan(empty).all(axis=(0, 3))] = 255.0
        return cls(np.nanmedian(empty, axis=0).astype(np.float32))

    @property
    def headlines(self) -> tuple[str, ...]:
        """The scores that say most."""
        return "agent_within_2pct", "block_within_3pct_10deg"

    def read(self, frames: np.ndarray) -> Reading:
        """Read uint8 frames `[n, H, W, 3]`: agent `[n, 2]` (x, y), block `[n, 2]` (x, y), angle `[n]`."""
        parts = [self._read_chunk(frames[i : i + 128]) for i in range(0, len(frames), 128)]
        if not parts:
            return {"agent": np.zeros((0, 2)), "block": np.zeros((0, 2)), "angle": np.zeros(0)}
        return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}

    def own_error(self, frames: np.ndarray, state: State) -> list[OwnError]:
        """Compare with the simulator's agent_pos `[n, 2]` and block_pose `[n, 3]`."""
        seen, pose = self.read(frames), np.asarray(state["block_pose"], np.float64)
        return [
            _own_error("agent", "%", _percent(seen["agent"], np.asarray(state["agent_pos"], np.float64))),
            _own_error("block position", "%", _percent(seen["block"], pose[:, :2])),
            _own_error("block angle", "degrees", _degrees(seen["angle"], pose[:, 2])),
        ]

    def in_play(self, state: State) -> None:
        """Nothing ever leaves: None."""
        return None

    def score(self, start: Reading, truth: Reading, other: Reading, unbroken: np.ndarray) -> list[Score]:
        """Score agent (2 % of the board) and block (3 %, 10 degrees) against the truth."""
        agent_there, block_there = np.isfinite(truth["agent"][:, 0]), np.isfinite(truth["angle"])
        agent = np.nan_to_num(_percent(other["agent"], truth["agent"]), nan=100.0)
        place = np.nan_to_num(_percent(other["block"], truth["block"]), nan=100.0)
        turn = np.nan_to_num(_degrees(other["angle"], truth["angle"]), nan=180.0)

        def row(key: str, label: str, unit: str, statistic: str, values: np.ndarray, there: np.ndarray) -> Score:
            return Score(key, label, unit, statistic, np.where(there, values, np.nan), int(there.sum()))

        both = (place <= 3.0) & (turn <= 10.0)
        return [
            row("agent_within_2pct", "agent within 2 % of the board", "share", "share", agent <= 2.0, agent_there),
            row("agent_error_median", "agent, median error", "%", "median", agent, agent_there),
            row("agent_error_p90", "agent, 9 in 10 err less than", "%", "p90", agent, agent_there),
            row("block_within_3pct_10deg", "block within 3 % and 10 degrees", "share", "share", both, block_there),
            row("block_within_3pct", "block within 3 % of the board", "share", "share", place <= 3.0, block_there),
            row("block_within_10deg", "block within 10 degrees", "share", "share", turn <= 10.0, block_there),
            row("block_error_median", "block place, median error", "%", "median", place, block_there),
            row("block_error_p90", "block place, 9 in 10 err less than", "%", "p90", place, block_there),
            row("block_angle_median", "block angle, median error", "degrees", "median", turn, block_there),
            row("block_angle_p90", "block angle, 9 in 10 err less than", "degrees", "p90", turn, block_there),
        ]

    def inspect(self, frames: np.ndarray) -> Shape:
        """Say of uint8 frames `[n, H, W, 3]`, at least one, whether the T is one T, and what else is there."""
        parts = [self._inspect_chunk(frames[i : i + 128]) for i in range(0, len(frames), 128)]
        reading = {key: np.concatenate([part.reading[key] for part in parts]) for key in parts[0].reading}
        figures = ("overlap", "outline", "grey", "blue", "other")
        return Shape(reading, *(np.concatenate([getattr(part, name) for part in parts]) for name in figures))

    def track(self, frames: np.ndarray) -> np.ndarray:
        """Say of uint8 frames `[n, H, W, 3]` where the agent and the centre of all grey are, whatever its shape.

        Board units `[n, 4]`; NaN where there is less than half of the agent or a quarter of the T.
        """
        grey, blue = _split(self.background - frames, self.background)
        unit = BOARD / frames.shape[1]
        places = []
        for cover, least in ((blue, SEEN * AGENT_AREA), (np.where(grey > 0.4, grey, 0.0), T_AREA / 4)):
            mass, at = cover.sum(axis=(1, 2)), np.arange(cover.shape[1]) + 0.5
            centre = np.stack([cover.sum(axis=axis) @ at for axis in (1, 2)], axis=1)
            centre = centre / np.maximum(mass, 1e-9)[:, None] * unit
            places.append(np.where(mass[:, None] * unit**2 >= least, centre, np.nan))
        return np.concatenate(places, axis=1)

    def _read_chunk(self, frames: np.ndarray) -> Reading:
        return self._reading(*_split(self.background - frames, self.background))

    def _reading(self, grey: np.ndarray, blue: np.ndarray) -> Reading:
        unit = BOARD / grey.shape[1]
        agent, mass = _gather(blue, reach=int(np.ceil(20.0 / unit)))
        agent = np.where(mass[:, None] * unit**2 >= SEEN * AGENT_AREA, (agent + 0.5) * unit, np.nan)
        grey = _pool(grey)
        pose, seen = _fit_tee(grey, BOARD / grey.shape[1])
        pose = np.where(seen[:, None], pose, np.nan)
        return {"agent": agent, "block": pose[:, :2], "angle": pose[:, 2]}

    def _inspect_chunk(self, frames: np.ndarray) -> Shape:
        above = self.background - frames
        grey, blue = _split(above, self.background)
        reading = self._reading(grey, blue)
        colours = np.stack([self.background - BLOCK_COLOUR, self.background - AGENT_COLOUR]).astype(np.float32)
        rest = np.abs(above - np.einsum("knhw,khwc->nhwc", np.stack([grey, blue]), colours)).mean(axis=-1)
        pixel = (BOARD / frames.shape[1]) ** 2
        pose, soft = np.column_stack([reading["block"], reading["angle"]]), _pool(grey)
        sharp = (_refine(soft) > 0.5).astype(np.float32)
        return Shape(
            reading,
            overlap=_overlap(_draw(pose, soft.shape[1]), soft),
            outline=_overlap((_draw(pose, sharp.shape[1]) > 0.5).astype(np.float32), sharp),
            grey=grey.sum(axis=(1, 2)) * pixel / T_AREA,
            blue=blue.sum(axis=(1, 2)) * pixel / AGENT_AREA,
            other=(rest > OTHER_LEVELS).sum(axis=(1, 2)) * pixel / T_AREA,
        )


def _draw(pose: np.ndarray, size: int) -> np.ndarray:
    """Draw the T on whole boards of `size` pixels a side: `[n, size, size]`, nothing at poses of NaN."""
    unit = BOARD / size
    side = np.broadcast_to((np.arange(size) + 0.5) * unit, (len(pose), size))
    return np.nan_to_num(_tee(pose, side[:, None, :], side[:, :, None], unit))


def _overlap(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Intersection over union of covers `[n, h, w]`: `[n]`, 0 of nothing."""
    union = np.maximum(one, other).sum(axis=(1, 2))
    overlap: np.ndarray = np.minimum(one, other).sum(axis=(1, 2)) / np.maximum(union, 1e-9)
    return overlap


def _refine(cover: np.ndarray, times: int = 3) -> np.ndarray:
    """Interpolate cover `[n, h, w]` linearly between the middles of its pixels, to `times` as many a side."""
    for axis in (1, 2):
        size = cover.shape[axis]
        at = np.clip((np.arange(size * times) + 0.5) / times - 0.5, 0, size - 1)
        low = np.minimum(at.astype(int), size - 2)
        share = (at - low).astype(cover.dtype).reshape((-1, 1) if axis == 1 else (-1,))
        cover = cover.take(low, axis) * (1 - share) + cover.take(low + 1, axis) * share
    return cover


def _pool(cover: np.ndarray) -> np.ndarray:
    """Average cover `[n, h, w]` down to about `FIT_PX` a side."""
    size = cover.shape[1]
    pool = max(1, size // FIT_PX)
    cover = cover[:, : size // pool * pool, : size // pool * pool]
    pooled: np.ndarray = cover.reshape(len(cover), size // pool, pool, size // pool, pool).mean(axis=(2, 4))
    return pooled


def _split(above: np.ndarray, background: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Split background minus frames `[n, H, W, 3]` into cover of block and agent, `[n, H, W]` each."""
    colours = np.stack([background - BLOCK_COLOUR, background - AGENT_COLOUR], axis=-2)  # [H, W, 2, 3]
    cover = np.einsum("nhwc,hwck->knhw", above, np.linalg.pinv(colours).astype(np.float32), optimize=True)
    cover[cover < FLOOR] = 0.0
    return tuple(np.minimum(cover, 1.0))


def _gather(cover: np.ndarray, reach: int) -> tuple[np.ndarray, np.ndarray]:
    """Find the square of 2 reach + 1 pixels with most cover `[n, h, w]`: centre `[n, 2]`, mass `[n]`."""
    padded = np.pad(cover, ((0, 0), (reach, reach), (reach, reach)))
    total = padded.cumsum(axis=1, dtype=np.float64).cumsum(axis=2)
    total = np.pad(total, ((0, 0), (1, 0), (1, 0)))
    side = 2 * reach + 1
    sums = total[:, side:, side:] - total[:, :-side, side:] - total[:, side:, :-side] + total[:, :-side, :-side]
    y, x = np.divmod(sums.reshape(len(cover), -1).argmax(axis=1), cover.shape[2])
    windows = np.lib.stride_tricks.sliding_window_view(padded, (side, side), axis=(1, 2))
    spot = windows[np.arange(len(cover)), y, x]
    mass, offset = spot.sum(axis=(1, 2)), np.arange(-reach, reach + 1)
    scale = np.maximum(mass, 1e-9)
    return np.stack([x + (spot.sum(axis=1) @ offset) / scale, y + (spot.sum(axis=2) @ offset) / scale], axis=1), mass


def _fit_tee(grey: np.ndarray, unit: float) -> tuple[np.ndarray, np.ndarray]:
    """Fit the T to cover `[n, h, w]` of pixels `unit` board units wide: pose `[n, 3]`, seen `[n]`."""
    reach = int(np.ceil(T_REACH / unit)) + 2
    solid = np.where(grey > 0.4, grey, 0.0)  # faint grey all over the board would pull the first guess aside
    centre, mass = _gather(solid, reach)
    seen = mass * unit**2 >= SEEN * T_AREA
    corner = np.rint(centre).astype(int) - reach
    padded = np.pad(grey, ((0, 0), (2 * reach, 2 * reach), (2 * reach, 2 * reach)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (2 * reach + 1, 2 * reach + 1), axis=(1, 2))
    patch = windows[np.arange(len(grey)), corner[:, 1] + 2 * reach, corner[:, 0] + 2 * reach]
    side = np.arange(2 * reach + 1) + 0.5
    grid_x = ((corner[:, 0, None] + side) * unit)[:, None, :]
    grid_y = ((corner[:, 1, None] + side) * unit)[:, :, None]
    middle = (centre + 0.5) * unit
    best, least = np.zeros((len(grey), 3)), np.full(len(grey), np.inf)
    axis = _long_axis(np.where(patch > 0.4, patch, 0.0), grid_x, grid_y, middle)
    for turn in (0.0, np.pi, np.pi / 2, -np.pi / 2):
        angle = axis + turn
        pose = np.concatenate([middle - _rotate(angle, T_CENTROID), angle[:, None]], axis=1)
        pose = _slide(pose, patch, grid_x, grid_y, blur=3.0 * unit, steps=5)
        pose = _slide(pose, patch, grid_x, grid_y, blur=unit, steps=4)
        error = np.square(_tee(pose, grid_x, grid_y, unit) - patch).sum(axis=(1, 2))
        better = error < least
        best[better], least[better] = pose[better], error[better]
    best[:, 2] %= 2 * np.pi
    return best, seen


def _long_axis(patch: np.ndarray, grid_x: np.ndarray, grid_y: np.ndarray, middle: np.ndarray) -> np.ndarray:
    """Angle `[n]` that lays the T's stem along the longer axis of the grey, up to half a turn."""
    dx, dy = grid_x - middle[:, 0, None, None], grid_y - middle[:, 1, None, None]
    xx, yy, xy = ((patch * m).sum(axis=(1, 2)) for m in (dx * dx, dy * dy, dx * dy))
    angle: np.ndarray = 0.5 * np.arctan2(2 * xy, xx - yy) - np.pi / 2
    return angle


def _slide(
    pose: np.ndarray, patch: np.ndarray, grid_x: np.ndarray, grid_y: np.ndarray, blur: float, steps: int
) -> np.ndarray:
    """Improve poses `[n, 3]` by Gauss-Newton with numeric slopes; blur: width of the edges, board units."""
    nudge = np.array([blur / 4, blur / 4, blur / 4 / 60.0])
    for _ in range(steps):
        now = _tee(pose, grid_x, grid_y, blur)
        slopes = np.stack(
            [(_tee(pose + nudge * e, grid_x, grid_y, blur) - now) / n for e, n in zip(np.eye(3), nudge, strict=True)],
            axis=1,
        ).reshape(len(pose), 3, -1)
        rest = (patch - now).reshape(len(pose), -1, 1)
        curve = slopes @ slopes.transpose(0, 2, 1) + np.eye(3) * 1e-9
        move = np.linalg.solve(curve, slopes @ rest)[..., 0]
        pose = pose + np.clip(move, -nudge * 16, nudge * 16)
    return pose


def _tee(pose: np.ndarray, grid_x: np.ndarray, grid_y: np.ndarray, blur: float) -> np.ndarray:
    """Cover `[n, h, w]` of a T at `pose` `[n, 3]` with edges `blur` board units wide."""
    cos, sin = (f(pose[:, 2]).astype(np.float32)[:, None, None] for f in (np.cos, np.sin))
    dx, dy = (
        g.astype(np.float32) - p.astype(np.float32)[:, None, None]
        for g, p in ((grid_x, pose[:, 0]), (grid_y, pose[:, 1]))
    )
    x, y = cos * dx + sin * dy, cos * dy - sin * dx
    outside = [np.maximum(np.abs(x - cx) - hw, np.abs(y - cy) - hh) for cx, cy, hw, hh in (BAR, STEM)]
    covered: np.ndarray = np.clip(0.5 - (np.minimum(*outside) - np.float32(OUTLINE)) / np.float32(blur), 0.0, 1.0)
    return covered


def _rotate(angle: np.ndarray, vector: np.ndarray) -> np.ndarray:
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack([cos * vector[0] - sin * vector[1], sin * vector[0] + cos * vector[1]], axis=1)


def _percent(seen: np.ndarray, truth: np.ndarray) -> np.ndarray:
    percent: np.ndarray = np.hypot(*(seen - truth).T) / BOARD * 100.0
    return percent


def _degrees(seen: np.ndarray, truth: np.ndarray) -> np.ndarray:
    degrees: np.ndarray = np.abs(np.degrees(np.angle(np.exp(1j * (seen - truth)))))
    return degrees


def centre_of(pose: np.ndarray) -> np.ndarray:
    """Return the T's centre of gravity `[n, 2]` at poses `[n, 3]`."""
    return np.asarray(pose[:, :2] + _rotate(pose[:, 2], T_CENTROID))


def _own_error(quantity: str, unit: str, error: np.ndarray) -> OwnError:
    found = error[np.isfinite(error)]
    median, p90 = np.quantile(found, [0.5, 0.9]) if len(found) else (np.nan, np.nan)
    return OwnError(quantity, unit, float(median), float(p90), len(error), float(1 - len(found) / max(1, len(error))))
