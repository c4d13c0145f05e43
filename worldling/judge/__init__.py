"""Judge a world, ours or anybody's: how true, how lasting, how fast and how dear, as report.json and report.html."""

from worldling.judge.judge import SUITES, judge

__all__ = ["SUITES", "judge"]
