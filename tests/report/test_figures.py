"""Figures are text that needs no other file, and escape what they are given."""

from worldling.report.figures import interval_chart
from worldling.report.values import NOTHING, Interval


def test_intervals_are_drawn_where_there_are_any():
    some, none = Interval(0.5, 0.4, 0.6, 10), NOTHING
    drawn = interval_chart([("row", [("<a>", some), ("b", none)])], "share")
    assert drawn.count("<circle") == 1 and "&lt;a&gt;" in drawn
