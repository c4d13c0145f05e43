"""Reads the ball and both paddles of ALE Pong from frames of any size.

Pong draws with four flat colours, and the frame is an average of them. Each pixel of the playing field
is therefore split by least squares into how much of it is ball and background and, in the few columns
where a paddle can be, paddle. Scores and walls lie outside the field and are never looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import numpy as np

from worldling.judge.readers.reader import OwnError, Reading, Score, State

BACKGROUND = np.array([144.0, 72.0, 17.0])
BALL = np.array([236.0, 236.0, 236.0]) - BACKGROUND
PADDLES = {"own": np.array([92.0, 186.0, 92.0]) - BACKGROUND, "enemy": np.array([213.0, 130.0, 74.0]) - BACKGROUND}

# The ALE screen: 210 rows of 160; the field is between the walls; the ball is 2 wide and 4 high.
SCREEN_H, SCREEN_W = 210, 160
FIELD_TOP, FIELD_BOTTOM = 34, 194
BALL_AREA, PADDLE_H, PADDLE_AREA = 2 * 4, 16, 4 * 16
PADDLE_X = {"own": 142.0, "enemy": 18.0}
RAM_BALL_X, RAM_BALL_Y, RAM_OWN_Y, RAM_ENEMY_Y = 49, 54, 51, 50

#: A ball is seen where this share of its area is found in one 3 x 3 neighbourhood (64 px frames).
STRICT, LOOSE = 0.5, 0.25
#: A paddle is seen with this share of its area: at the walls only a part of it is in the field.
PADDLE_SEEN = 0.15
#: Coverage below this is noise of the picture and not a thing.
FLOOR = 0.06


@dataclass
class PongReader:
    """Positions in pixels of a 64 px frame, whatever the size of the frames; NaN = not seen.

    maps: for each quantity, slope and offset from the ALE's memory to pixels.
    """

    size_px: int
    maps: dict[str, tuple[float, float]]
    name: str = "Pong: ball and paddles"
    about: str = (
        "Each pixel of the playing field is split into ball, own paddle, enemy paddle and background by "
        "colour. The ball is the 3 x 3 neighbourhood with most ball in it; it counts as seen with half of "
        "its area there (strict) or a quarter (looser). Positions are centres of gravity, in pixels of a "
        "64 px frame. “Same rally” counts only starts from which the ball stayed in play, so that no new "
        "serve had to be guessed."
    )

    @classmethod
    def fit(cls, frames: np.ndarray, state: State) -> PongReader:
        """Fit the maps from RAM `[n, 128]` to pixels on real frames uint8 `[n, H, W, 3]`."""
        reader = cls(frames.shape[1], {})
        seen, ram = reader.read(frames), np.asarray(state["ram"], np.float64)
        ball = np.isfinite(seen["ball_strict"][:, 0]) & (ram[:, RAM_BALL_Y] > 0)
        whole = PADDLE_H / SCREEN_H * 64 / 2 + 0.5
        top, bottom = FIELD_TOP / SCREEN_H * 64 + whole, FIELD_BOTTOM / SCREEN_H * 64 - whole
        fits = {
            "ball_x": (ram[:, RAM_BALL_X], seen["ball_strict"][:, 0], ball),
            "ball_y": (ram[:, RAM_BALL_Y], seen["ball_strict"][:, 1], ball),
            **{
                f"{side}_y": (ram[:, byte], seen[side], (seen[side] > top) & (seen[side] < bottom))
                for side, byte in (("own", RAM_OWN_Y), ("enemy", RAM_ENEMY_Y))
            },
        }
        reader.maps = {key: _fit_line(x[use], y[use]) for key, (x, y, use) in fits.items()}
        return reader

    @property
    def headlines(self) -> tuple[str, ...]:
        """The scores that say most."""
        return "ball_within_3px_strict", "own_paddle_within_2px"

    def read(self, frames: np.ndarray) -> Reading:
        """Read uint8 frames `[n, H, W, 3]`: ball_strict, ball_loose `[n, 2]` (x, y); own, enemy `[n]` (y)."""
        unit = frames.shape[1] / 64.0  # pixels of this frame per pixel of a 64 px frame
        top = int(np.ceil(FIELD_TOP * frames.shape[1] / SCREEN_H))
        bottom = int(np.floor(FIELD_BOTTOM * frames.shape[1] / SCREEN_H))
        above = frames[:, top:bottom].astype(np.float32) - BACKGROUND.astype(np.float32)
        ball_cover = _cover(above, BALL[None])[..., 0]
        reading = {}
        for side, x in PADDLE_X.items():
            middle, half = x / SCREEN_W * frames.shape[2], 3.0 / SCREEN_W * frames.shape[2]
            columns = slice(int(np.floor(middle - half)), int(np.ceil(middle + half)))
            both = _cover(above[:, :, columns], np.stack([BALL, PADDLES[side]]))
            ball_cover[:, :, columns] = both[..., 0]
            reading[side] = (_paddle(both[..., 1], frames.shape[1:3]) + top + 0.5) / unit - 0.5
        ball, mass = _brightest_spot(ball_cover, reach=max(1, round(unit)))
        ball = (ball + np.array([0.5, top + 0.5])) / unit - 0.5
        share = mass / (BALL_AREA / (SCREEN_H * SCREEN_W) * frames.shape[1] * frames.shape[2])
        reading["ball_strict"] = np.where(share[:, None] >= STRICT, ball, np.nan)
        reading["ball_loose"] = np.where(share[:, None] >= LOOSE, ball, np.nan)
        return reading

    def own_error(self, frames: np.ndarray, state: State) -> list[OwnError]:
        """Compare with the ALE's memory, mapped to pixels; a paddle half behind a wall is expected there."""
        seen, ram = self.read(frames), np.asarray(state["ram"], np.float64)
        there = ram[:, RAM_BALL_Y] > 0
        expected = np.stack(
            [_line(self.maps["ball_x"], ram[:, RAM_BALL_X]), _line(self.maps["ball_y"], ram[:, RAM_BALL_Y])], axis=1
        )
        rows = [
            _own_error(f"ball ({kind})", np.hypot(*(seen[f"ball_{kind}"] - expected)[there].T))
            for kind in ("strict", "loose")
        ]
        top, bottom, half = (v / SCREEN_H * 64 for v in (FIELD_TOP, FIELD_BOTTOM, PADDLE_H / 2))
        for side, byte in (("own", RAM_OWN_Y), ("enemy", RAM_ENEMY_Y)):
            middle = _line(self.maps[f"{side}_y"], ram[:, byte]) + 0.5
            visible = np.clip(middle + half, top, bottom) - np.clip(middle - half, top, bottom)
            centre = (np.clip(middle + half, top, bottom) + np.clip(middle - half, top, bottom)) / 2 - 0.5
            shown = visible > half
            rows.append(_own_error(f"{side} paddle", np.abs(seen[side] - centre)[shown]))
        return rows

    def in_play(self, state: State) -> np.ndarray:
        """True where the simulator has a ball in play: bool `[T]`."""
        return np.asarray(state["ram"])[:, RAM_BALL_Y] > 0

    def score(self, start: Reading, truth: Reading, other: Reading, unbroken: np.ndarray) -> list[Score]:
        """Score the ball within 3 px and the paddles within 2 px of the truth; missing is a failure."""
        at_start = np.isfinite(start["ball_strict"][:, 0])
        counted = at_start & np.isfinite(truth["ball_strict"][:, 0])
        scores = []
        for kind, words in (("strict", "strict"), ("loose", "looser")):
            far = np.hypot(*(other[f"ball_{kind}"] - truth["ball_strict"]).T)
            near, gone = np.nan_to_num(far, nan=np.inf) <= 3.0, np.isnan(far)
            scores += [
                _share(f"ball_within_3px_{kind}", f"ball within 3 px ({words})", near, counted, at_start),
                _share(f"ball_missing_{kind}", f"ball not seen at all ({words})", gone, counted, at_start),
            ]
            if kind == "strict":
                label = "ball within 3 px (strict), same rally"
                scores.append(_share("ball_within_3px_rally", label, near, counted & unbroken, at_start & unbroken))
        for side in ("own", "enemy"):
            there = np.isfinite(truth[side])
            miss = np.where(np.isnan(other[side]), 64.0, np.abs(other[side] - truth[side]))
            scores += [
                _share(f"{side}_paddle_within_2px", f"{side} paddle within 2 px", miss <= 2.0, there, there),
                Score(
                    f"{side}_paddle_error_px",
                    f"{side} paddle, median error",
                    "px",
                    "median",
                    np.where(there, miss, np.nan),
                    int(there.sum()),
                ),
            ]
        return scores


def _share(key: str, label: str, hit: np.ndarray, counted: np.ndarray, eligible: np.ndarray) -> Score:
    return Score(key, label, "share", "share", np.where(counted, hit.astype(float), np.nan), int(eligible.sum()))


def _cover(above: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """Split pixels `[..., 3]` above the background into `colours` `[k, 3]`: cover `[..., k]`, 0 to 1.

    What the colours cannot explain is taken off again, so that a wrong colour does not pass for a thing.
    """
    cover = above @ np.linalg.pinv(colours).astype(np.float32)
    unexplained = np.linalg.norm(above - cover @ colours.astype(np.float32), axis=-1, keepdims=True)
    cover -= unexplained / np.linalg.norm(colours, axis=1).astype(np.float32)
    cover[cover < FLOOR] = 0.0
    shares: np.ndarray = np.minimum(cover, 1.0, out=cover)
    return shares


def _brightest_spot(cover: np.ndarray, reach: int) -> tuple[np.ndarray, np.ndarray]:
    """Find the square of 2 reach + 1 pixels with most cover `[n, h, w]`: centre `[n, 2]`, mass `[n]`."""
    n, side = len(cover), 2 * reach + 1
    padded = np.pad(cover, ((0, 0), (reach, reach), (reach, reach)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (side, side), axis=(1, 2))
    rows = reduce(np.add, (padded[:, i : i + cover.shape[1]] for i in range(side)))
    sums = reduce(np.add, (rows[:, :, j : j + cover.shape[2]] for j in range(side))).reshape(n, -1)
    best = sums.argmax(axis=1)
    y, x = np.divmod(best, cover.shape[2])
    spot = windows[np.arange(n), y, x]  # [n, side, side]
    mass = np.maximum(spot.sum(axis=(1, 2)), 1e-9)
    offset = np.arange(-reach, reach + 1)
    return (
        np.stack([x + (spot.sum(axis=1) @ offset) / mass, y + (spot.sum(axis=2) @ offset) / mass], axis=1),
        spot.sum(axis=(1, 2)),
    )


def _paddle(cover: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Centre row `[n]` of a paddle in its columns `[n, h, w]`, NaN where too little of it is there."""
    rows = cover.sum(axis=2)
    reach = int(np.ceil(PADDLE_H / SCREEN_H * size[0] / 2))
    padded = np.pad(rows, ((0, 0), (reach, reach)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1, axis=1)
    best = windows.sum(axis=2).argmax(axis=1)
    spot = windows[np.arange(len(rows)), best]
    mass = spot.sum(axis=1)
    enough = mass >= PADDLE_SEEN * PADDLE_AREA / (SCREEN_H * SCREEN_W) * size[0] * size[1]
    centre = best + spot @ np.arange(-reach, reach + 1) / np.maximum(mass, 1e-9)
    return np.where(enough, centre, np.nan)


def _fit_line(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Fit y = slope x + offset, dropping what lies more than half a pixel off."""
    if len(np.unique(x)) < 2:
        return float("nan"), float("nan")
    keep = np.ones(len(x), bool)
    for _ in range(6):
        slope, offset = np.polyfit(x[keep], y[keep], 1)
        error = np.abs(slope * x + offset - y)
        keep = error <= max(0.5, float(np.median(error)))
    return float(slope), float(offset)


def _line(fit: tuple[float, float], x: np.ndarray) -> np.ndarray:
    return fit[0] * x + fit[1]


def _own_error(quantity: str, error: np.ndarray) -> OwnError:
    seen = error[np.isfinite(error)]
    median, p90 = np.quantile(seen, [0.5, 0.9]) if len(seen) else (np.nan, np.nan)
    return OwnError(quantity, "px", float(median), float(p90), len(error), float(1 - len(seen) / max(1, len(error))))
