"""Judging made-up dreams as the play suite does, beside real films."""

import numpy as np

from worldling.judge.play.checks import Seen
from worldling.judge.play.things import things_of


def judge_of(env_id, films, state, moments, length, sample=None):
    """A function that judges dreams, films `[n, T, H, W, 3]` like the real ones, with or without these beside them."""
    things = things_of(env_id, films.reshape(-1, *films.shape[2:]) if sample is None else sample)

    def window(frames):
        return np.stack([frames[:, m - length + 1 : m + 1] for m in moments], axis=1)

    def check(dreams, beside=True):
        tracks = np.stack([things.track(film) for film in dreams])
        known = (films[:, moments], state) if beside else (None, {})
        reached = np.ones((len(films), len(moments)), bool)
        return things.check(
            Seen(moments, dreams[:, moments], *known, reached, window(films) if beside else None), window(tracks)
        )

    return check


def fails(checks, row):
    """The names of the checks that a player's dream fails."""
    return {name for name, check in checks.items() if (check.dream[row] == 0).any()}
