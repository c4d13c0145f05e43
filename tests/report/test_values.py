"""Results become JSON in one way, whatever they hold."""

import json
from dataclasses import dataclass, field

import numpy as np
import pytest

from worldling.report.values import HIDDEN, IF_KNOWN, NOTHING, SPREAD, Curve, Interval, named, to_json


@dataclass(frozen=True)
class Result:
    """Every kind of field."""

    count: int
    origin: str = field(metadata=named("from"))
    film: np.ndarray = field(metadata=HIDDEN)
    why: str | None = field(default=None, metadata=IF_KNOWN)
    by: dict[int, Interval] = field(default_factory=dict, metadata=SPREAD)


def test_fields_are_written_as_they_are_declared():
    found = to_json(Result(3, "card", np.zeros(4), by={10: Interval(0.5, 0.25, 1.0, 8)}))
    assert found == {"count": 3, "from": "card", "10": {"value": 0.5, "low": 0.25, "high": 1.0, "n": 8}}
    assert to_json(Result(3, "card", np.zeros(4), why="not measured"))["why"] == "not measured"


def test_everything_is_plain_json():
    value = {1: (np.float32(1 / 3), np.int64(2), np.bool_(True)), "a": np.array([np.nan, np.inf, 2.0]), "b": None}
    found = to_json(value)
    assert found == {"1": [0.333333, 2, True], "a": [None, None, 2.0], "b": None}
    assert json.loads(json.dumps(found)) == found


def test_an_interval_is_scaled_or_nothing():
    assert Interval(2.0, 1.0, 3.0, 5).times(0.5) == Interval(1.0, 0.5, 1.5, 5)
    assert Interval(2.0, 1.0, 3.0, 5).times(None).value is None and NOTHING.times(2.0).value is None


def test_a_curve_has_gaps_where_nothing_was_counted():
    value, low, high = Curve.of([Interval(0.5, 0.4, 0.6, 3), NOTHING]).array(100.0)
    assert value[0] == pytest.approx(50.0) and low[0] == pytest.approx(40.0) and high[0] == pytest.approx(60.0)
    assert np.isnan([value[1], low[1], high[1]]).all()
