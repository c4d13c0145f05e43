"""Judge a world: fidelity and stability on held-out data, as report.json and report.html."""

from worldling.judge.judge import SUITES, judge

__all__ = ["SUITES", "judge"]
