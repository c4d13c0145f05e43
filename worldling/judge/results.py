"""What a suite returns: figures for report.json, timing, and the measures that the judge checks itself by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from worldling.report.values import HIDDEN, Interval

#: Where the copy-last baseline must lie on a measure: see `self_check.PLACES`.
Place = Literal["guess", "above", "below", "top"]


@dataclass(frozen=True)
class Elapsed:
    """What of a result depends on the machine and the moment. seconds: that the suite took."""

    seconds: float


@dataclass(frozen=True, kw_only=True)
class Anchored:
    """A measure, more of which is better, on the world and on baselines of which it is known how they must do.

    random_weights: the same networks untrained; copy_last: the last frame shown, repeated; simulator: the ground
    truth's own simulator; None if not run. copy_last_must_be: where `copy_last` must lie. guess: what guessing
    gives, or None. unit: of all of them.
    """

    measure: str
    world: Interval | None
    random_weights: Interval | None = None
    copy_last: Interval | None = None
    simulator: Interval | None = None
    copy_last_must_be: Place
    guess: float | None = None
    unit: str = "share"

    @classmethod
    def of(
        cls, measure: str, rows: Mapping[str, Interval], place: Place, guess: float | None = None, unit: str = "share"
    ) -> Anchored:
        """Take the figures of the world and its baselines from `rows`, by name; others are left out."""
        return cls(
            measure=measure,
            **{name: rows.get(name) for name in ("world", "random_weights", "copy_last", "simulator")},
            copy_last_must_be=place,
            guess=guess,
            unit=unit,
        )


@dataclass(frozen=True, kw_only=True)
class SuiteResult:
    """What every suite returns; each adds its figures, which become report.json and are the same for the same seed.

    timing: a dataclass of what depends on the machine and the moment; anchored: measures for the self-check.
    """

    timing: object = field(metadata=HIDDEN)
    anchored: tuple[Anchored, ...] = field(default=(), metadata=HIDDEN)
