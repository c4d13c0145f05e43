"""What is known of the physics scenes, and checked in their dreams: a red and a yellow thing that last and keep shape.

Which things there are, and their shapes, is read in the real frames of the same episode. The other things have other
colours in every scene, and are looked at only as colours: see `unseen_colours`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from worldling.judge.measures.permanence import VISIBLE, Found, find, is_there, kept, sensible_area
from worldling.judge.play.checks import Check, Seen
from worldling.judge.readers.silhouettes import best_overlap, silhouettes
from worldling.scenes.seen import SEEN, read

#: A thing has its shape if its outline overlaps this much with one of the real frames. Real frames: 98 % above .65.
SHAPE = 0.60
#: A thing is seen whole, and its outline is compared, if the real one covers this much of its usual (median) area.
WHOLE = 0.7
#: Real frames so near to a moment, in steps, are not compared with the real frame of that moment.
TOO_NEAR = 2
#: Red is where it should be within this share of the picture; it has moved if it went so far in the steps watched.
PLACE, MOVED = 0.05, 0.05
#: It follows if it goes at least this share of the real way, along it.
FOLLOWS = 1 / 3
#: Pixels of 64 x 64 of red or yellow beside the largest piece. Real frames reach 1.1.
MOST_STRAY = 4.0
#: Pixels of 64 x 64 of colours that are this far (levels of a channel) from all of the episode. Real frames reach 10.
UNSEEN, MOST_UNSEEN = 32, 16.0
#: Yellow moves if it goes by this share of the picture in a step: half a pixel at 64 px.
STARTS = 0.012
#: Share of the real steps within the limits of what is plausible, and what reading adds to them, shares of the picture.
USUAL_STEP, READING = 0.999, 0.02

# Columns of a track; the outlines of red and yellow follow.
PLACES, AREAS, PIECES, GAP, OUTLINES = slice(0, 4), slice(4, 6), slice(6, 8), 8, 9


@dataclass(frozen=True)
class SceneThings:
    """Looks for red and yellow."""

    @classmethod
    def fit(cls, sample: np.ndarray) -> SceneThings:
        """Return the same whatever the sample: nothing is learned."""
        return cls()

    def track(self, frames: np.ndarray) -> np.ndarray:
        """Read red and yellow in frames `[n, H, W, 3]`: `[n, 1161]`, NaN where not seen.

        Places x and y of both, their areas, the shares of their largest pieces, the gap between them (shares of the
        picture), and their outlines: see `silhouettes`.
        """
        found, gap = find(frames), read(frames).gap
        outlines = silhouettes(frames, found.place).reshape(len(frames), -1)
        return np.column_stack([found.place.reshape(-1, 4), found.area, found.piece, gap, outlines])

    def check(self, seen: Seen, tracks: np.ndarray) -> dict[str, Check]:
        """Check n players at k moments; tracks `[n, k, L, 1161]`: `track` of the L frames up to each moment.

        Without real frames nothing is known of what should be there: no checks.
        """
        if seen.real is None or seen.window is None:
            return {}
        n, k, length = tracks.shape[:3]
        flat = seen.window.reshape(-1, *seen.window.shape[3:])
        real = self.track(flat).reshape(n, k, length, -1)
        engine = _engine(seen, length)
        sensible = sensible_area(_found(real.reshape(n, k * length, -1)))
        there = {name: is_there(_found(t[:, :, -1]), sensible) for name, t in (("dream", tracks), ("truth", real))}
        held, found = kept(there, engine[:, :, -1, :, 2] >= VISIBLE)
        should = np.isfinite(held["dream"])
        areas = real[..., AREAS]
        whole = areas[:, :, -1] >= WHOLE * np.median(areas.reshape(n, -1, 2), axis=1)[:, None]

        red = should[..., 0]
        return {
            "there": seen.check(
                "red and yellow are there if they really are",
                f"each that the engine sees on at least {VISIBLE * 64**2:.0f} px of 64 x 64, and the reader in the "
                "real frame, is there in one piece, .4 to 2.5 times its usual size (real: each that the engine sees)",
                _all(held["dream"]),
                _all(found),
            ),
            "in_shape": seen.check(
                "their shapes are right",
                f"the outline of each that should be there overlaps by more than {SHAPE:g} with one of a real frame of "
                f"the episode, centred (real: of a frame more than {TOO_NEAR} steps away). Counted where the real one "
                f"covers at least {WHOLE:g} of its median area: not where others hide it",
                *(_all(np.where(should & whole, shape > SHAPE, np.nan)) for shape in _shapes(tracks, real)),
            ),
            "red_right": seen.check(
                "red is where it should be",
                f"within {PLACE * 100:g} % of the picture of the reading of the real frame (real: of the engine's)",
                *(
                    np.where(red, near, np.nan)
                    for near in (_near(tracks, real[..., :2]), _near(real, engine[..., 0, :2]))
                ),
            ),
            "red_follows": seen.check(
                "red follows the push",
                f"in the {length - 1} steps before it goes at least a third as far, in the same direction, as red in "
                f"the real frames (real: as the engine's). Counted where that is {MOVED * 100:g} % of the picture",
                *(
                    np.where(red, way, np.nan)
                    for way in (_follows(tracks, real[..., :2]), _follows(real, engine[..., 0, :2]))
                ),
            ),
            "nothing_extra": seen.check(
                "nothing is there that should not be",
                f"at most {MOST_STRAY:g} px of 64 x 64 of red and of yellow lie outside the largest piece, and at most "
                f"{MOST_UNSEEN:g} px are more than {UNSEEN} levels from every colour of the episode's real frames "
                "(real: of those at other moments)",
                *_nothing_extra(seen, seen.real, seen.window, tracks, real),
            ),
            "plausible": _plausible(seen, tracks, real),
        }


def _engine(seen: Seen, length: int) -> np.ndarray:
    """Return what the engine says is seen of red and yellow up to each moment: `[n, k, L, 2, 3]`, x, y and area."""
    both = np.stack([seen.state["agent_seen"], seen.state["patient_seen"]], axis=2)
    return np.stack([both[:, m - length + 1 : m + 1] for m in seen.moments], axis=1)


def _found(tracks: np.ndarray) -> Found:
    """Return what `find` gave, from tracks `[n, T, F]`."""
    return Found(tracks[..., PLACES].reshape(*tracks.shape[:-1], 2, 2), tracks[..., AREAS], tracks[..., PIECES])


def _all(values: np.ndarray) -> np.ndarray:
    """Say whether all of two things `[n, k, 2]` hold that are counted: `[n, k]`, NaN if none is."""
    counted = np.isfinite(values)
    return np.where(counted.any(axis=-1), ((values == 1) | ~counted).all(axis=-1), np.nan)


def _shapes(dream: np.ndarray, real: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the best overlap of red's and yellow's outlines with the real ones, of dream and reality: `[n, k, 2]`."""
    n, k, length = real.shape[:3]
    outlines = [tracks[..., OUTLINES:].reshape(n, k, length, 2, -1) for tracks in (dream, real)]
    found = np.zeros((2, n, k, 2))
    for row, moment, thing in np.ndindex(n, k, 2):
        ours, theirs = (which[row, ..., thing, :] for which in outlines)
        near = theirs.reshape(k * length, -1)
        last = (moment + 1) * length - 1
        apart = np.delete(near, range(last - min(TOO_NEAR, length - 1), last + 1), axis=0)
        found[0, row, moment, thing] = best_overlap(ours[moment, -1:], near)[0]
        found[1, row, moment, thing] = best_overlap(theirs[moment, -1:], apart)[0]
    return found[0], found[1]


def _near(tracks: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Say whether red is near the truth `[n, k, L, 2]` at the end: bool `[n, k]`."""
    near: np.ndarray = np.hypot(*np.moveaxis(tracks[:, :, -1, :2] - truth[:, :, -1], -1, 0)) <= PLACE
    return near


def _follows(tracks: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Say whether red goes along the way of the truth `[n, k, L, 2]`: `[n, k]`, NaN where that hardly moves."""
    way, real = (places[:, :, -1] - places[:, :, 0] for places in (tracks[..., :2], truth))
    far = np.hypot(*np.moveaxis(real, -1, 0))
    return np.where(far >= MOVED, (way * real).sum(axis=-1) >= FOLLOWS * far**2, np.nan)


def unseen_colours(frame: np.ndarray, others: np.ndarray) -> float:
    """Count the pixels of a frame uint8 `[H, W, 3]`, of 64 x 64, whose colours are far from all of `[m, H, W, 3]`."""
    known = np.unique(others.reshape(-1, 3) >> 3, axis=0).astype(np.int16) * 8 + 4
    colours, count = np.unique(frame.reshape(-1, 3), axis=0, return_counts=True)
    nearest = np.full(len(colours), 255, np.int16)
    for colour in known:
        nearest = np.minimum(nearest, np.abs(colours - colour).max(axis=1))
    return float(count[nearest > UNSEEN].sum() * 64**2 / count.sum())


def _nothing_extra(
    seen: Seen, frames: np.ndarray, window: np.ndarray, dream: np.ndarray, real: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Say of dream and reality whether there is no second red or yellow and no unseen colour: `[n, k]` each.

    frames, window: `seen.real` and `seen.window`; dream, real: tracks.
    """
    n, k = seen.reached.shape
    unseen = np.zeros((2, n, k))
    for row, moment in np.ndindex(n, k):
        others = np.delete(frames[row], moment, axis=0) if k > 1 else window[row, 0, :-1]
        unseen[0, row, moment] = unseen_colours(seen.dream[row, moment], frames[row])
        unseen[1, row, moment] = unseen_colours(frames[row, moment], others)
    stray = [(t[:, :, -1, AREAS] * (1 - t[:, :, -1, PIECES]) * 64**2).max(axis=-1) for t in (dream, real)]
    holds = [(s <= MOST_STRAY) & (u <= MOST_UNSEEN) for s, u in zip(stray, unseen, strict=True)]
    return holds[0], holds[1]


def _plausible(seen: Seen, dream: np.ndarray, real: np.ndarray) -> Check:
    """Check that red and yellow move as they do in reality, in the frames up to each moment."""
    fastest = [np.nanquantile(steps, USUAL_STEP) + READING for steps in np.moveaxis(steps_of(real), -1, 0)]
    gaps = _starts(real)
    gaps = gaps[np.isfinite(gaps)]
    furthest = float(np.quantile(gaps, USUAL_STEP)) + READING if len(gaps) else 1.0
    definition = (
        f"in the {dream.shape[2] - 1} steps before, neither vanishes, red goes at most {fastest[0] * 100:.0f} % and "
        f"yellow {fastest[1] * 100:.0f} % of the picture in a step; yellow starts (by {STARTS * 100:g} % in a step) "
        f"only within {furthest * 100:.0f} % of red: what {USUAL_STEP * 100:g} % of the real steps keep to. Other "
        "things may hit it, so the last says little"
    )

    def holds(tracks: np.ndarray) -> np.ndarray:
        area = tracks[..., AREAS]
        vanished = ((area[:, :, :-1] >= VISIBLE) & (area[:, :, 1:] < SEEN)).any(axis=-1)
        broken = vanished | (steps_of(tracks) > fastest).any(axis=-1) | (_starts(tracks) > furthest)
        return np.where(seen.reached, (~broken.any(axis=-1)).astype(float), np.nan)

    return Check("things move as they can", definition, holds(dream), holds(real))


def steps_of(tracks: np.ndarray) -> np.ndarray:
    """Return how far red and yellow go in each step of tracks `[n, k, L, F]`: `[n, k, L - 1, 2]`, NaN if not seen."""
    places = tracks[..., PLACES].reshape(*tracks.shape[:3], 2, 2)
    return np.asarray(np.linalg.norm(np.diff(places, axis=2), axis=-1))


def _starts(tracks: np.ndarray) -> np.ndarray:
    """Return the gap between red and yellow where yellow starts to move: `[n, k, L - 1]`, NaN in other steps."""
    moves = steps_of(tracks)[..., 1] > STARTS
    starts = moves & ~np.concatenate([np.ones_like(moves[..., :1]), moves[..., :-1]], axis=-1)
    gap = np.fmin(tracks[:, :, :-1, GAP], tracks[:, :, 1:, GAP])
    return np.where(starts, gap, np.nan)
