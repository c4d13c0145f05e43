"""What is known of Push-T, and checked in its dreams: one T in its own shape, an agent, and how they move."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from worldling.judge.play.checks import Check, Seen
from worldling.judge.readers.pusht import BOARD, PushTReader, Shape, centre_of
from worldling.judge.readers.reader import Reading, State

#: The T is whole if it overlaps this much with a T drawn at its fitted pose. Real frames: .88 to .94 at 64 px.
OVERLAP = 0.70
#: It has its shape if the outlines overlap this much; a Y comes to .81. Real frames: .89 to .94 at 64 px.
OUTLINE = 0.82
#: Nothing is extra up to so much grey, blue and other colour. Real frames reach 1.13, 1.2 and 0.001; halos add .15.
MOST_GREY, MOST_BLUE, MOST_OTHER = 1.5, 1.5, 0.1
#: The T moves if its centre does by so much from frame to frame, in board units: 1.2 px at 64 px.
MOVED = 10.0
#: Share of the real steps within the limits of what is plausible, and what reading adds to them, in board units.
USUAL_STEP, READING = 0.999, 8.0


@dataclass(frozen=True)
class PushTThings:
    """Looks for the T and the agent, with a reader fitted on real frames."""

    reader: PushTReader

    @classmethod
    def fit(cls, sample: np.ndarray) -> PushTThings:
        """Learn the board from real frames uint8 `[m, H, W, 3]`."""
        return cls(PushTReader.fit(sample))

    def track(self, frames: np.ndarray) -> np.ndarray:
        """Say of frames `[n, H, W, 3]` where agent and grey are, board units `[n, 4]`; NaN where there is too little.

        Of the grey its centre, whatever its shape.
        """
        return self.reader.track(frames)

    def check(self, seen: Seen, tracks: np.ndarray) -> dict[str, Check]:
        """Check n players at k moments; tracks `[n, k, L, 4]`: `track` of the L frames up to each moment."""
        n, k = seen.dream.shape[:2]

        def inspect(frames: np.ndarray) -> Shape:
            return self.reader.inspect(frames.reshape(n * k, *frames.shape[2:]))

        dream, real = inspect(seen.dream), None if seen.real is None else inspect(seen.real)

        checks = {
            "whole": seen.check(
                "the T is whole",
                f"grey of the frame and the T drawn at its fitted pose: intersection over union above {OVERLAP:g}",
                dream.overlap > OVERLAP,
                None if real is None else real.overlap > OVERLAP,
            ),
            "in_shape": seen.check(
                "the T has its shape",
                f"the same of what is more than half grey, finely drawn, above {OUTLINE:g}: halos do not count",
                dream.outline > OUTLINE,
                None if real is None else real.outline > OUTLINE,
            ),
            "nothing_extra": seen.check(
                "nothing is there that should not be",
                f"grey at most {MOST_GREY:g} times the T's, blue {MOST_BLUE:g} times the agent's, other colours "
                f"{MOST_OTHER:g} times the T's area",
                _nothing_extra(dream),
                None if real is None else _nothing_extra(real),
            ),
        }
        if real is None:
            return checks
        at_moments = {name: values[:, seen.moments] for name, values in seen.state.items()}
        pose, agent = (at_moments[name].reshape(n * k, -1) for name in ("block_pose", "agent_pos"))
        engine = {"block": pose[:, :2], "angle": pose[:, 2], "agent": agent}
        pairs = [_right(self.reader, real.reading, dream.reading), _right(self.reader, engine, real.reading)]
        for ceiling, key in zip(pairs[1], ("block", "agent"), strict=True):  # dreams are counted where reality is read
            ceiling[np.isnan(real.reading[key][:, 0])] = np.nan
        checks["pose_right"] = seen.check(
            "the T is where it should be",
            "within 3 % of the board and 10 degrees of the reading of the real frame (real: of the engine's state)",
            *(block for block, _ in pairs),
        )
        checks["agent_right"] = seen.check(
            "the agent is where it should be",
            "within 2 % of the board of the reading of the real frame (real: of the engine's state)",
            *(dot for _, dot in pairs),
        )
        return checks | {"plausible": _plausible(seen, tracks)}


def _plausible(seen: Seen, tracks: np.ndarray) -> Check:
    """Check that things move as they do in reality, in the frames up to each moment."""
    n, k, length = tracks.shape[:3]
    real = engine_tracks(seen.state)
    moved, gap = steps_of(real)
    fastest = float(np.quantile(moved, USUAL_STEP)) + READING
    touching = gap[moved > MOVED]
    furthest = (float(np.quantile(touching, USUAL_STEP)) if len(touching) else 0.0) + READING
    windows = np.stack([real[:, m - length + 1 : m + 1] for m in seen.moments], axis=1)
    definition = (
        f"in the {length - 1} steps before, the T does not vanish, its centre goes at most "
        f"{fastest / BOARD * 100:.0f} % of the board in a step, and it goes more than {MOVED / BOARD * 100:.0f} % only "
        f"where the agent passes within {furthest / BOARD * 100:.0f} % of its centre: what {USUAL_STEP * 100:g} % of "
        "the real steps keep to"
    )

    def holds(tracked: np.ndarray) -> np.ndarray:
        moved, gap = steps_of(tracked.reshape(n * k, length, 4))
        there = np.isfinite(tracked[..., 2]).reshape(n * k, length)
        vanished = there[:, :-1] & ~there[:, 1:]
        broken = vanished | (moved > fastest) | ((moved > MOVED) & (gap > furthest))
        return np.where(seen.reached, (~broken.any(axis=1)).reshape(n, k).astype(float), np.nan)

    return Check("things move as they can", definition, holds(tracks), holds(windows))


def engine_tracks(state: State) -> np.ndarray:
    """Return what `track` gives, `[n, T, 4]`, from the engine's state `[n, T, ...]`."""
    pose = state["block_pose"]
    centre = centre_of(pose.reshape(-1, 3)).reshape(*pose.shape[:2], 2)
    return np.concatenate([state["agent_pos"], centre], axis=-1)


def steps_of(tracks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return how far the T's centre goes in each step, and how near to it the agent passes, `[n, T - 1]` each.

    tracks `[n, T, 4]`: see `PushTThings.track`. In board units; NaN where something is not seen. The agent is taken to
    go straight; the T's centre is where it was before, or after if that is nearer.
    """
    agent, centre = tracks[..., :2], tracks[..., 2:]
    moved = np.hypot(*np.moveaxis(np.diff(centre, axis=1), -1, 0))
    begin, way = agent[:, :-1], np.diff(agent, axis=1)
    gaps = []
    for place in (centre[:, :-1], centre[:, 1:]):
        share = ((place - begin) * way).sum(axis=-1) / np.maximum((way**2).sum(axis=-1), 1e-9)
        nearest = begin + np.clip(share, 0, 1)[..., None] * way
        gaps.append(np.hypot(*np.moveaxis(place - nearest, -1, 0)))
    return moved, np.minimum(*gaps)


def _nothing_extra(shape: Shape) -> np.ndarray:
    return (shape.grey <= MOST_GREY) & (shape.blue <= MOST_BLUE) & (shape.other <= MOST_OTHER)


def _right(reader: PushTReader, truth: Reading, other: Reading) -> tuple[np.ndarray, np.ndarray]:
    """Say where block and agent are as in the truth: `[n]` each; NaN where the truth does not show them."""
    rows = {score.key: score.values for score in reader.score(truth, truth, other, np.ones(len(truth["angle"]), bool))}
    return rows["block_within_3pct_10deg"].astype(float), rows["agent_within_2pct"].astype(float)
