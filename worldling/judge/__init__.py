"""Judge a world: fidelity, stability, speed and cost, as report.json and report.html."""

from worldling.judge.judge import SUITES, judge

__all__ = ["SUITES", "judge"]
