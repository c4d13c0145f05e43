"""The judge's check of itself says so when a measure cannot tell good from bad."""

import pytest

from worldling.judge.self_check import self_check, verdict
from worldling.report.sections import Anchored, Section, render_html


def between(low, high):
    return {"value": (low + high) / 2, "low": low, "high": high, "n": 10}


GOOD = {
    "broken": between(0.45, 0.55),
    "copy_last": between(0.4, 0.6),
    "world": between(0.6, 0.7),
    "simulator": between(0.9, 1.0),
}


def measure(place="guess", guess=0.5, **rows):
    return Anchored("a measure", {**GOOD, **rows}, place, guess)


def test_a_measure_that_tells_good_from_bad_holds():
    assert verdict(measure()).holds


@pytest.mark.parametrize(
    "rows,wrong",
    [
        ({"broken": between(0.6, 0.7)}, "broken"),  # knows more than nothing
        ({"broken": between(0.4, 0.95)}, "broken"),  # not to be told from the simulator
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
    rows = {"broken": None, "copy_last": {"value": None, "low": None, "high": None, "n": 0}}
    found = verdict(measure(**rows))
    assert found.broken is None and found.copy_last is None and found.holds


def render(*measures):
    about = {"world": "w", "env_id": "e", "size_px": 64, "data": None, "backend": "b", "settings": {}}
    section = self_check({"one": Section("One", {}, anchors=list(measures)), "two": Section("Two", {})})
    return render_html({"about": about, "timing": {"date": "", "machine": "", "seconds": 0.0}}, [section])


def test_the_report_names_a_measure_that_fails():
    good, bad = measure(), measure(broken=between(0.6, 0.7))
    section = self_check({"one": Section("One", {}, anchors=[good, bad]), "two": Section("Two", {})})
    assert section.values["hold"] == 1 and [row["suite"] for row in section.values["rows"]] == ["one", "one"]
    page = render(good, bad)
    assert "1 of 2" in page and "NO: random weights" in page


def test_suites_without_anchors_are_not_checked():
    assert self_check({"one": Section("One", {})}) is None
