"""What a readout is given about a trial: where red and yellow were while it was shown, and what became of them."""

from __future__ import annotations

import numpy as np

from worldling.scenes.seen import HIDDEN, Things, last_seen

EVERY = 2  # frames between the moments of the future that are given as they are


def observed_features(things: Things) -> np.ndarray:
    """Describe the frames shown, `[n, T]` things: places, sizes, gap and touch in each; `[n, F]`."""
    columns = [
        _flat(things.agent),
        _flat(things.patient),
        things.agent_area,
        things.patient_area,
        np.nan_to_num(things.gap, nan=0.25),
        things.touch,
        _flat(np.diff(last_seen(things.agent), axis=1)),
        _flat(np.diff(last_seen(things.patient), axis=1)),
    ]
    return np.concatenate(columns, axis=1).astype(np.float64)


def future_features(shown: Things, future: Things) -> np.ndarray:
    """Describe what followed, true or predicted: `shown` `[n, S]`, the frames before it; `future` `[n, T]`; `[n, F]`.

    Moments every `EVERY` frames, and over the whole: the smallest gap and when, how long and how much they touch,
    how far yellow is moved and how suddenly, and how sharply red turns when they are nearest.
    """
    agent_path, patient_path = (
        last_seen(np.concatenate([before, after], axis=1))[:, before.shape[1] - 1 :]
        for before, after in ((shown.agent, future.agent), (shown.patient, future.patient))
    )
    agent, patient = agent_path[:, 1:], patient_path[:, 1:]
    gap = np.nan_to_num(future.gap, nan=0.25)
    rows, nearest = np.arange(len(gap)), gap.argmin(axis=1)
    moved = np.linalg.norm(patient - patient_path[:, :1], axis=-1)
    jerk = np.linalg.norm(np.diff(patient_path, axis=1), axis=-1)
    turn = np.linalg.norm(np.diff(agent_path, n=2, axis=1), axis=-1)
    turn = np.concatenate([turn, np.zeros_like(turn[:, :1])], axis=1)
    near = gap <= 1.0 / 64
    together = np.where(near, jerk, 0.0)
    whole = [
        gap.min(axis=1),
        np.sqrt(gap.min(axis=1)),
        nearest / gap.shape[1],
        gap[:, -1],
        near.mean(axis=1),
        near.any(axis=1),
        np.sqrt(near.mean(axis=1)),
        future.touch.max(axis=1),
        np.sqrt(future.touch.max(axis=1)),
        future.touch.mean(axis=1),
        moved[:, -1],
        np.minimum(moved[:, -1], 0.02),
        np.minimum(moved[:, -1], 0.05),
        moved.max(axis=1),
        jerk.max(axis=1),
        np.minimum(jerk.max(axis=1), 0.01),
        together.max(axis=1),
        np.minimum(together.max(axis=1), 0.01),
        turn[rows, nearest],
        np.where(near, turn, 0.0).max(axis=1),
        np.sqrt(np.maximum(together.max(axis=1), 0)),
        np.sqrt(np.maximum(jerk.max(axis=1), 0)),
    ]
    some = slice(EVERY - 1, None, EVERY)
    moments = [
        _flat(agent[:, some]),
        _flat(patient[:, some]),
        gap[:, some],
        future.touch[:, some],
        future.patient_area[:, some],
    ]
    return np.concatenate([np.stack(whole, axis=1), *moments], axis=1).astype(np.float64)


def _flat(places: np.ndarray) -> np.ndarray:
    flat: np.ndarray = np.nan_to_num(places, nan=HIDDEN).reshape(len(places), -1)
    return flat
