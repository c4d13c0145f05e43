"""Figures are text that needs no other file, and escape what they are given."""

from worldling.report.figures import interval_chart


def test_intervals_are_drawn_where_there_are_any():
    some, none = {"value": 0.5, "low": 0.4, "high": 0.6}, {"value": None, "low": None, "high": None}
    drawn = interval_chart([("row", [("<a>", some), ("b", none)])], "share")
    assert drawn.count("<circle") == 1 and "&lt;a&gt;" in drawn
