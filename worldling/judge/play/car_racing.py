"""What is known of CarRacing, and checked in its dreams: one car in its place, a road, and a view that moves with it.

A dream invents the road ahead, so it leaves the truth at the first bend and may still be right. The road is compared
with the real one only by whether it is there and whether the car is on it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from worldling.judge.measures.view_motion import Moves, unexplained
from worldling.judge.play.checks import Check, Seen
from worldling.judge.readers.car_racing import BAR, CAR_X, CAR_Y, METRES, SIDE, CarRacingReader, Inspection, ground
from worldling.judge.readers.reader import State

#: The car is whole if this much of the real one is there. Real frames: from .93 on, encoded and decoded from .77.
WHOLE = 0.75
#: And if no more than this, in shares of it, is red or dark around it. Real frames on a kerb reach .57.
SPILLED = 0.80
#: It is there once if no other place overlaps so much. Real frames: kerbs reach .46, encoded and decoded .49.
SECOND = 0.60
#: Narrowest and widest tenth along a road, metres: it is 13.3 wide, and wider in bends. Real frames: 11.6 to 15.6.
NARROW, WIDE = 9.0, 18.0
#: The road passes near the car within so many metres of its middle: its own width.
NEAR = 13.3
#: Real frames show a road of at least so many pixels of 64 x 64, for it to be looked for in dreams.
SHOWN = 40
#: Pixels of 64 x 64 of other colours. Real frames reach 3, encoded and decoded 4.5.
MOST_EXTRA = 6.0
#: Share of the real steps within the limits of what is plausible.
USUAL_STEP = 0.999
#: What reading adds to them: levels of green, metres, radians.
READING, READING_WAY, READING_TURN = 2.0, 0.5, 0.02


@dataclass(frozen=True)
class CarRacingThings:
    """Looks for the car and the road, with a reader fitted on real frames."""

    reader: CarRacingReader

    @classmethod
    def fit(cls, sample: np.ndarray) -> CarRacingThings:
        """Learn the car's picture from real frames uint8 `[m, H, W, 3]`."""
        return cls(CarRacingReader.fit(sample))

    def track(self, frames: np.ndarray) -> np.ndarray:
        """Return the ground of frames `[n, H, W, 3]`, to follow the view's moves: `[n, 896]`, see `ground`."""
        return ground(frames).reshape(len(frames), -1)

    def check(self, seen: Seen, tracks: np.ndarray) -> dict[str, Check]:
        """Check n players at k moments; tracks `[n, k, L, 896]`: `track` of the L frames up to each moment."""
        dream = self._inspect(seen.dream)
        real = None if seen.real is None else self._inspect(seen.real)

        checks = {
            "car_whole": seen.check(
                "the car is whole",
                f"where the camera keeps it, more than {WHOLE:g} of the car of the median real frame is there (its "
                f"share of each pixel and its red) and at most {SPILLED:g} of it more; nowhere else the overlap of "
                f"both is {SECOND:g} or more",
                _whole(dream),
                None if real is None else _whole(real),
            ),
            "nothing_extra": seen.check(
                "nothing is there that should not be",
                f"above the bar, at most {MOST_EXTRA:g} px of 64 x 64 are no mixture of grass, road, white and red, or "
                "are dark outside the car, or are red or white away from the road",
                dream.extra <= MOST_EXTRA,
                None if real is None else real.extra <= MOST_EXTRA,
            ),
        }
        if real is None:
            return checks
        checks["road_whole"] = seen.check(
            "a road is there and connected",
            "there is road; no piece of it ends inside the picture; where seen from side to side it "
            f"is {NARROW:g} to {WIDE:g} m wide from its narrowest to its widest tenth (real: 13.3 m); it passes within "
            f"{NEAR:g} m of the car if the real one does. Counted where the real frame shows a road",
            *(np.where(real.road >= SHOWN, _road_holds(real, found), np.nan) for found in (dream, real)),
        )
        if seen.window is None:
            return checks
        before = self._inspect(seen.window[:, :, -2])
        checks["on_road"] = seen.check(
            "on the road where the real car is",
            "road or kerb lies at three or four of the car's corners. Counted where the same is so in the real frame "
            "(real: in the frame before it)",
            *(np.where(real.on_road, found.on_road, np.nan) for found in (dream, before)),
        )
        return checks | {"plausible": _plausible(seen, tracks, self._tracked(seen.window))}

    def _tracked(self, window: np.ndarray) -> np.ndarray:
        return self.track(window.reshape(-1, *window.shape[3:])).reshape(*window.shape[:3], -1)

    def _inspect(self, frames: np.ndarray) -> Inspection:
        return self.reader.inspect(frames.reshape(-1, *frames.shape[2:]))


def _whole(found: Inspection) -> np.ndarray:
    return (found.car > WHOLE) & (found.spilled <= SPILLED) & (found.second < SECOND)


def _road_holds(real: Inspection, found: Inspection) -> np.ndarray:
    """Say whether a road is there, whole, of the right width, and near the car if the real one is: bool `[n]`."""
    wrong_width = (found.narrow < NARROW) | (found.wide > WIDE)  # False where it is nowhere seen from side to side
    away = (real.near <= NEAR) & (found.near > NEAR)
    return (found.road >= SHOWN / 2) & (found.loose == 0) & ~wrong_width & ~away


def moves_of(state: State) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return how far the car goes ahead and aside (to the right) and turns (to the left) in each step.

    state `[n, T, ...]`: the engine's. `[n, T - 1]` each, metres and radians.
    """
    angle = state["angle"].reshape(state["position"].shape[:2]).astype(float)
    way, at = np.diff(state["position"], axis=1), angle[:, :-1]
    ahead = np.cos(at) * way[..., 1] - np.sin(at) * way[..., 0]
    aside = np.cos(at) * way[..., 0] + np.sin(at) * way[..., 1]
    return ahead, aside, np.diff(angle, axis=1)


def _plausible(seen: Seen, tracks: np.ndarray, real: np.ndarray) -> Check:
    """Check that in the second before each moment the view moves as the real one can."""
    n, k, length = tracks.shape[:3]
    tail = (1 - USUAL_STEP) / 2
    limits = [tuple(float(q) for q in np.quantile(values, (tail, 1 - tail))) for values in moves_of(seen.state)]
    (back, ahead), (left, right), (low, high) = limits
    moves = Moves(
        metres=(2 * METRES[0], 2 * METRES[1]),
        pivot=(CAR_X / 2, CAR_Y / 2),
        ahead=(back - READING_WAY, ahead + READING_WAY),
        aside=(left - READING_WAY, right + READING_WAY),
        turn=(low - READING_TURN, high + READING_TURN),
    )

    def jumps(values: np.ndarray) -> np.ndarray:
        return unexplained(values.reshape(n * k, length, BAR // 2, SIDE // 2), moves).reshape(n, k, -1)

    dreamed, found = jumps(tracks), jumps(real)
    limit = float(np.nanquantile(found[seen.reached], USUAL_STEP, method="higher")) + READING
    definition = (
        f"each frame of the {length - 1} steps before is the one before it, seen from where a car comes in a step: "
        f"{back:.1f} to {ahead:.1f} m ahead, {left:.1f} to {right:.1f} m aside, turned by {np.degrees(low):.0f} to "
        f"{np.degrees(high):.0f} degrees, as {USUAL_STEP * 100:g} % of the real steps; what the best such move leaves "
        f"of the green is at most {limit:.1f} levels, {READING:g} more than in {USUAL_STEP * 100:g} % of real steps"
    )

    def holds(left_over: np.ndarray) -> np.ndarray:
        return np.where(seen.reached, (left_over <= limit).all(axis=-1).astype(float), np.nan)

    return Check("the view moves as it can", definition, holds(dreamed), holds(found))
