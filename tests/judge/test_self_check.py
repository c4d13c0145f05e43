"""The judge's check of itself says so when a measure cannot tell good from bad."""

import pytest

from worldling.judge.results import Anchored, SuiteResult
from worldling.judge.self_check import check_measures, page, verdict
from worldling.report.page import page_html
from worldling.report.values import NOTHING, Interval, to_json


def between(low, high):
    return Interval((low + high) / 2, low, high, 10)


GOOD = {
    "random_weights": between(0.45, 0.55),
    "copy_last": between(0.4, 0.6),
    "world": between(0.6, 0.7),
    "simulator": between(0.9, 1.0),
}


def measure(place="guess", guess=0.5, **rows):
    return Anchored.of("a measure", {**GOOD, **rows}, place, guess)


def test_a_measure_that_tells_good_from_bad_holds():
    assert verdict(measure()).holds


@pytest.mark.parametrize(
    "rows,wrong",
    [
        ({"random_weights": between(0.6, 0.7)}, "random_weights"),  # knows more than nothing
        ({"random_weights": between(0.4, 0.95)}, "random_weights"),  # not to be told from the simulator
        ({"copy_last": between(0.7, 0.8)}, "copy_last"),
        ({"simulator": between(0.5, 0.58)}, "simulator"),  # the world does better
    ],
)
def test_what_lies_elsewhere_is_named(rows, wrong):
    found = verdict(measure(**rows))
    assert not found.holds and getattr(found, wrong) is False


@pytest.mark.parametrize(
    "place,low,high,holds",
    [
        ("above", 0.6, 0.7, True),
        ("above", 0.45, 0.6, False),
        ("below", 0.7, 0.8, True),
        ("below", 0.7, 0.95, False),
        ("top", 0.85, 0.95, True),
        ("top", 0.6, 0.7, False),
        ("guess", 0.45, 0.6, True),
        ("guess", 0.55, 0.6, False),
    ],
)
def test_the_last_frame_held_still_lies_where_each_measure_says(place, low, high, holds):
    assert verdict(measure(place, copy_last=between(low, high))).copy_last is holds


def test_what_was_not_run_is_not_held_against_a_measure():
    found = verdict(measure(random_weights=None, copy_last=NOTHING))
    assert found.random_weights is None and found.copy_last is None and found.holds


def checked(*measures):
    return check_measures({"one": SuiteResult(timing=None, anchored=measures), "two": SuiteResult(timing=None)})


def test_the_report_names_a_measure_that_fails():
    found = checked(measure(), measure(random_weights=between(0.6, 0.7)))
    assert (found.measures, found.hold) == (2, 1) and [row.suite for row in found.rows] == ["one", "one"]
    html = page_html("", "", [page(found)], [])
    assert "1 of 2" in html and "NO: random weights" in html


def test_a_checked_measure_is_written_whole():
    row = to_json(checked(measure(simulator=None)))["rows"][0]
    assert row["simulator"] is None and row["world"] == {"value": 0.65, "low": 0.6, "high": 0.7, "n": 10}
    assert row["as_it_must"] == {"random_weights": True, "copy_last": True, "simulator": None}


def test_suites_without_anchors_are_not_checked():
    assert checked() is None
