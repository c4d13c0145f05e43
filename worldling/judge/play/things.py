"""Which known things are looked for in the dreams of which environment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from worldling.judge.play.checks import Check, Seen
from worldling.judge.play.push_t import PushTThings


class Things(Protocol):
    """What is known of an environment: how its things look and move."""

    def track(self, frames: np.ndarray) -> np.ndarray:
        """Say where things are in frames uint8 `[n, H, W, 3]`: `[n, F]`, NaN where they are not seen."""
        ...

    def check(self, seen: Seen, tracks: np.ndarray) -> dict[str, Check]:
        """Check n players at k moments; tracks `[n, k, L, F]`: `track` of the L frames up to each moment."""
        ...


def things_of(env_id: str, sample: np.ndarray) -> Things | None:
    """Return what is known of an environment, None if nothing is; sample uint8 `[m, H, W, 3]`: real frames."""
    return next((fit(sample) for name, fit in _KNOWN.items() if name in env_id.lower()), None)


def _bricks(sample: np.ndarray) -> Things:
    from worldling.judge.play.bricks import BricksThings  # which needs gymnasium

    return BricksThings.fit(sample)


#: Part of the environment's id in lower case, and what is known of its things.
_KNOWN: dict[str, Callable[[np.ndarray], Things]] = {"pusht": PushTThings.fit, "worldling/bricks": _bricks}
