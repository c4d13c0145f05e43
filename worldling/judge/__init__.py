"""Judge a world, ours or anybody's: how true, how lasting, how fast and how dear, as report.json and report.html."""

from worldling.judge.adapter import ForeignWorld
from worldling.judge.judge import SUITES, judge
from worldling.judge.judged_world import JudgedWorld

__all__ = ["SUITES", "ForeignWorld", "JudgedWorld", "judge"]
