"""Judge a world, ours or anybody's: accuracy, stability, control, speed and cost, as report.json and report.html."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from worldling.plugin import make_callable

if TYPE_CHECKING:
    from worldling.judge.judgement import judge
    from worldling.judge.registry import SUITES

__all__ = ["SUITES", "judge"]
make_callable(__name__, "worldling.judge.by_name:judge_by_name")


def __getattr__(name: str) -> Any:
    # Late, so that the command line can ask the registry for names without loading torch.
    if name == "judge":
        from worldling.judge.judgement import judge

        return judge
    if name == "SUITES":
        from worldling.judge.registry import SUITES

        return SUITES
    raise AttributeError(f"module 'worldling.judge' has no attribute {name!r}")
