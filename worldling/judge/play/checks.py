"""What is checked in the frames of a dream: known things by a reader, and for any world its colours and edges.

A check gives one value for each player and moment: 1 where it holds, 0 where not, NaN where it is not counted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from worldling.alarm import frame_features, reconstruct
from worldling.judge.readers.pusht import PushTReader, Shape
from worldling.judge.readers.reader import Reading, State
from worldling.protocol import WorldModel

#: The T is whole if it overlaps this much with a T drawn at its fitted pose. Real frames: .88 to .94 at 64 px.
OVERLAP = 0.70
#: It has its shape if the outlines overlap this much; a Y comes to .81. Real frames: .89 to .94 at 64 px.
OUTLINE = 0.82
#: Nothing is extra up to so much grey, blue and other colour. Real frames reach 1.13, 1.2 and 0.001; halos add .15.
MOST_GREY, MOST_BLUE, MOST_OTHER = 1.5, 1.5, 0.1
#: Share of real frames that look like real frames, by definition of the limit.
USUAL = 0.98
#: A dream answers if its response to another hand is at least this share of what most real ones exceed, this many.
ALIVE_SHARE, MOST = 0.5, 0.9


@dataclass(frozen=True)
class Check:
    """One check. dream, real `[n, k]`: 1, 0 or NaN, for n players at k moments; real: None where it is not known."""

    label: str
    definition: str
    dream: np.ndarray
    real: np.ndarray | None


@dataclass(frozen=True)
class Seen:
    """What n players saw at k moments.

    dream uint8 `[n, k, H, W, 3]`; real: the real environment's under the same actions, or None; state `[n, k, ...]`:
    its engine's; reached bool `[n, k]`: the real episode had not ended; sample uint8 `[m, H, W, 3]`: real frames.
    """

    dream: np.ndarray
    real: np.ndarray | None
    state: State
    reached: np.ndarray
    sample: np.ndarray


def known_things(env_id: str, seen: Seen) -> dict[str, Check]:
    """Check the things that are known of an environment; nothing where none are."""
    for name, check in _KNOWN.items():
        if name in env_id.lower():
            return check(seen)
    return {}


def looks_real(world: WorldModel, seen: Seen) -> dict[str, Check]:
    """Check that colours and edges are like those of real frames at other moments of other players."""
    if seen.real is None:
        return {}
    n, k = seen.reached.shape
    real = frame_features(np.stack([reconstruct(world, frames) for frames in seen.real])).reshape(n * k, -1)
    dream = frame_features(seen.dream).reshape(n * k, -1)
    player = np.repeat(np.arange(n), k)
    other = player[:, None] != player[None, :]
    far = [
        np.where(other, np.abs(one[:, None] - real[None]).mean(axis=-1), np.inf).min(axis=1).reshape(n, k)
        for one in (dream, real)
    ]
    counted = seen.reached & np.isfinite(far[1])
    limit = np.quantile(far[1][counted], USUAL) if counted.any() else np.nan
    definition = (
        "shares of hues and greys, and edges, are as near to a real frame of another player's (encoded and decoded) as "
        f"{USUAL * 100:g} % of real ones are"
    )
    holds = [np.where(counted, (f <= limit).astype(float), np.nan) for f in far]
    return {"looks_real": Check("colours and edges of real frames", definition, *holds)}


def alive(responses: np.ndarray, real: np.ndarray | None) -> dict[str, Check]:
    """Check that the dream answers its input.

    responses `[n, k]`: mean absolute difference, in grey levels, that another hand makes in a second, from each moment
    on; real `[n]`: of the real environment, from the start on, or None; then the first moment is the scale.
    """
    limit = max(ALIVE_SHARE * float(np.quantile(responses[:, 0] if real is None else real, 1 - MOST)), 1e-3)
    definition = (
        "a second under another hand makes a picture that differs from this hand's by at least "
        f"{ALIVE_SHARE * 100:g} % of what {MOST * 100:g} % of the hands exceed "
        f"{'in the dream at the start' if real is None else 'in reality'}"
    )
    ceiling = None
    if real is not None:
        ceiling = np.full(responses.shape, np.nan)
        ceiling[:, 0] = real >= limit
    return {"alive": Check("answers the input", definition, (responses >= limit).astype(float), ceiling)}


def _push_t(seen: Seen) -> dict[str, Check]:
    reader = PushTReader.fit(seen.sample)
    n, k = seen.dream.shape[:2]

    def inspect(frames: np.ndarray) -> Shape:
        return reader.inspect(frames.reshape(n * k, *frames.shape[2:]))

    dream, real = inspect(seen.dream), None if seen.real is None else inspect(seen.real)
    counted = seen.reached.reshape(-1)

    def check(label: str, definition: str, holds: np.ndarray, ceiling: np.ndarray | None) -> Check:
        rows = [
            None if one is None else np.where(counted, one.astype(float), np.nan).reshape(n, k)
            for one in (holds, ceiling)
        ]
        return Check(label, definition, rows[0] if rows[0] is not None else holds, rows[1])

    checks = {
        "whole": check(
            "the T is whole",
            f"grey of the frame and the T drawn at its fitted pose: intersection over union above {OVERLAP:g}",
            dream.overlap > OVERLAP,
            None if real is None else real.overlap > OVERLAP,
        ),
        "in_shape": check(
            "the T has its shape",
            f"the same of what is more than half grey, finely drawn, above {OUTLINE:g}: halos do not count",
            dream.outline > OUTLINE,
            None if real is None else real.outline > OUTLINE,
        ),
        "nothing_extra": check(
            "nothing is there that should not be",
            f"grey at most {MOST_GREY:g} times the T's, blue {MOST_BLUE:g} times the agent's, other colours "
            f"{MOST_OTHER:g} times the T's area",
            _nothing_extra(dream),
            None if real is None else _nothing_extra(real),
        ),
    }
    if real is None:
        return checks
    truth = np.concatenate([seen.state["block_pose"], seen.state["agent_pos"]], axis=-1).reshape(n * k, -1)
    engine = {"block": truth[:, :2], "angle": truth[:, 2], "agent": truth[:, 3:5]}
    pairs = [_right(reader, real.reading, dream.reading), _right(reader, engine, real.reading)]
    for ceiling, key in zip(pairs[1], ("block", "agent"), strict=True):  # dreams are counted where reality is read
        ceiling[np.isnan(real.reading[key][:, 0])] = np.nan
    checks["pose_right"] = check(
        "the T is where it should be",
        "within 3 % of the board and 10 degrees of the reading of the real frame (real: of the engine's state)",
        *(pose for pose, _ in pairs),
    )
    checks["agent_right"] = check(
        "the agent is where it should be",
        "within 2 % of the board of the reading of the real frame (real: of the engine's state)",
        *(agent for _, agent in pairs),
    )
    return checks


def _nothing_extra(shape: Shape) -> np.ndarray:
    return (shape.grey <= MOST_GREY) & (shape.blue <= MOST_BLUE) & (shape.other <= MOST_OTHER)


def _right(reader: PushTReader, truth: Reading, other: Reading) -> tuple[np.ndarray, np.ndarray]:
    """Say where block and agent are as in the truth: `[n]` each; NaN where the truth does not show them."""
    rows = {score.key: score.values for score in reader.score(truth, truth, other, np.ones(len(truth["angle"]), bool))}
    return rows["block_within_3pct_10deg"], rows["agent_within_2pct"]


#: Part of the environment's id in lower case, and what is known of its things.
_KNOWN: dict[str, Callable[[Seen], dict[str, Check]]] = {"pusht": _push_t}
