"""Figures with their uncertainty, and the one place that turns results into JSON."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Interval:
    """A figure and its confidence interval.

    value, low, high: in the unit of what was measured, None if nothing was counted; n: items counted.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int

    def times(self, factor: float | None) -> Interval:
        """Return it in another unit; of no value if the factor is None."""
        if factor is None or self.value is None or self.low is None or self.high is None:
            return Interval(None, None, None, self.n)
        return Interval(self.value * factor, self.low * factor, self.high * factor, self.n)


#: Where nothing was counted.
NOTHING = Interval(None, None, None, 0)


@dataclass(frozen=True)
class Curve:
    """Figures in a row, such as one a frame, with their intervals; each `[n]`, None where nothing was counted."""

    value: list[float | None]
    low: list[float | None]
    high: list[float | None]

    @classmethod
    def of(cls, points: list[Interval]) -> Curve:
        """Put intervals in a row."""
        return cls([p.value for p in points], [p.low for p in points], [p.high for p in points])

    def array(self, factor: float = 1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return value, low and high times `factor`, each float `[n]` with NaN where nothing was counted."""
        value, low, high = (factor * np.array(points, float) for points in (self.value, self.low, self.high))
        return value, low, high


def hidden(**options: Any) -> Any:
    """Declare a dataclass field that is not written to JSON, such as pictures; options: of `dataclasses.field`."""
    return field(metadata={"json": None}, **options)


def named(key: str, **options: Any) -> Any:
    """Declare a dataclass field that is called `key` in JSON."""
    return field(metadata={"json": key}, **options)


def spread(**options: Any) -> Any:
    """Declare a dataclass field that holds a dict whose items are written beside the other fields."""
    return field(metadata={"spread": True}, **options)


def if_known(**options: Any) -> Any:
    """Declare a dataclass field that is left out of JSON where it is None."""
    return field(metadata={"if_known": True}, **options)


def to_json(value: Any) -> Any:
    """Turn results into JSON values.

    Dataclasses become objects by their fields (see `hidden`, `named`, `spread`, `if_known`), arrays and tuples become
    lists, keys become strings, NaN and infinity become null, floats keep 6 digits.
    """
    if is_dataclass(value) and not isinstance(value, type):
        found = {}
        for part in fields(value):
            key, item = part.metadata.get("json", part.name), getattr(value, part.name)
            if part.metadata.get("spread"):
                found.update(to_json(item))
            elif key is not None and not (item is None and part.metadata.get("if_known")):
                found[key] = to_json(item)
        return found
    if isinstance(value, dict):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [to_json(item) for item in value]
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value
