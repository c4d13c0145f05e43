"""What is checked in the dreams of any world: colours and edges, and whether they answer their input.

A check gives one value for each player and moment: 1 where it holds, 0 where not, NaN where it is not counted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from worldling.alarm import MIN_CLIPS, DriftAlarm, frame_features, reconstruct
from worldling.judge.play.watch import Watched
from worldling.judge.readers.reader import State
from worldling.protocol import WorldModel

#: Share of real frames that look like real frames, of real players that move as real ones and of those without an
#: alarm, by definition of the limits.
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

    moments: in frames ahead; dream uint8 `[n, k, H, W, 3]`; real: the real environment's under the same actions, or
    None; state `[n, T, ...]`: its engine's in every frame; reached bool `[n, k]`: the real episode had not ended;
    window uint8 `[n, k, L, H, W, 3]`: the real frames up to each moment, for things that read them, else None.
    """

    moments: list[int]
    dream: np.ndarray
    real: np.ndarray | None
    state: State
    reached: np.ndarray
    window: np.ndarray | None = None

    def check(self, label: str, definition: str, holds: np.ndarray, ceiling: np.ndarray | None) -> Check:
        """Make a check of values of `[n, k]` or flat, of the dream and, unless None, of reality; NaN: not counted.

        What is behind the end of an episode is not counted.
        """

        def row(values: np.ndarray) -> np.ndarray:
            return np.where(self.reached, values.reshape(self.reached.shape).astype(float), np.nan)

        return Check(label, definition, row(holds), None if ceiling is None else row(ceiling))


def difference(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the mean absolute difference of frames `[n, H, W, 3]`, in grey levels: `[n]`."""
    found: np.ndarray = np.abs(one.astype(np.int16) - other).mean(axis=(1, 2, 3))
    return found


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


def moves_as_real(dream: Watched, real: Watched, reached: np.ndarray, kinds: np.ndarray) -> dict[str, Check]:
    """Check that the picture moves as much in the second before each moment as under real hands of the same kind.

    kinds `[n]`: of hand. Fails where a dream stands still, or flickers, and the real pictures never do.
    """
    moved, known = dream.moved, np.where(reached, real.moved, np.nan)
    holds, ceiling = np.full(moved.shape, np.nan), np.full(moved.shape, np.nan)
    for kind in np.unique(kinds):
        mine = kinds == kind
        values = known[mine][np.isfinite(known[mine])]
        if not len(values):
            continue
        low = np.quantile(values, (1 - USUAL) / 2, method="lower")
        high = np.quantile(values, (1 + USUAL) / 2, method="higher")
        for one, kept in ((moved, holds), (known, ceiling)):
            kept[mine] = np.where(np.isfinite(known[mine]), (one[mine] >= low) & (one[mine] <= high), np.nan)
    definition = (
        "mean absolute difference from frame to frame in the second before (of the green; real frames encoded and "
        f"decoded), within the central {USUAL * 100:g} % of real players under the same kind of hand, at all moments"
    )
    return {"moves_as_real": Check("the picture moves as much as real ones", definition, holds, ceiling)}


def no_drift(dream: Watched, real: Watched, reached: np.ndarray) -> dict[str, Check]:
    """Check that the drift alarm has not been raised up to each moment; none with fewer than `MIN_CLIPS` players.

    The alarm (`worldling.alarm`) is fitted to the real players, and each player is compared with the others.
    """
    if len(reached) < MIN_CLIPS:
        return {}
    alarm = DriftAlarm.fit_features(real.features, real.changes, 1 - USUAL, by_clip=True)
    silent = [
        np.logical_and.accumulate(alarm.left_out(one.features, one.changes) <= alarm.limit, axis=1)[:, one.at]
        for one in (dream, real)
    ]
    definition = (
        "the drift alarm (hues, greys, edges and change, by how far they go from the start) has not been raised in the "
        f"frames looked at, a second before each moment; fitted so that {USUAL * 100:g} % of real players, each left "
        "out in turn, never raise it"
    )
    holds = [np.where(reached, one.astype(float), np.nan) for one in silent]
    return {"no_drift": Check("no drift alarm", definition, *holds)}
