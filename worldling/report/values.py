"""Figures with their uncertainty, and the one place that turns results into JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
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


#: Metadata of a dataclass field that is not written to JSON, such as pictures.
HIDDEN: Mapping[str, Any] = {"key": None}
#: Metadata of a field, a dict, a dataclass or None, whose items are written beside the other fields.
SPREAD: Mapping[str, Any] = {"spread": True}
#: Metadata of a field that is left out of JSON where it is None.
IF_KNOWN: Mapping[str, Any] = {"if_known": True}


def named(key: str) -> Mapping[str, Any]:
    """Return metadata of a field that is called `key` in JSON."""
    return {"key": key}


def to_json(value: Any) -> Any:
    """Turn results into JSON values.

    Dataclasses become objects by their fields (see `HIDDEN`, `named`, `SPREAD`, `IF_KNOWN`), arrays and tuples become
    lists, keys become strings, NaN and infinity become null, floats keep 6 digits.
    """
    if is_dataclass(value) and not isinstance(value, type):
        found: dict[str, Any] = {}
        for part in fields(value):
            key, item = part.metadata.get("key", part.name), getattr(value, part.name)
            if part.metadata.get("spread"):
                found.update({} if item is None else to_json(item))
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
