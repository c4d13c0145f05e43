"""The registry of the judge's suites, one line each; all code that lists, runs or shows suites uses it."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from worldling.errors import JudgeError, nearest

if TYPE_CHECKING:
    from worldling.judge.case import Case
    from worldling.judge.results import SuiteResult
    from worldling.report.sections import Section


@dataclass(frozen=True)
class Suite:
    """One suite, loaded when it is asked for.

    package: holds suite.py, whose `run(case)` returns a `SuiteResult`, and page.py, whose `page(result)` returns its
    `Section` of the report. needs: what it needs of the world and the data, a name in `needs.NEEDS`.
    """

    package: str
    needs: str

    def run(self, case: Case) -> SuiteResult:
        """Measure the world of `case`."""
        result: SuiteResult = import_module(f"{self.package}.suite").run(case)
        return result

    def page(self, result: SuiteResult) -> Section:
        """Return the result's section of the report."""
        section: Section = import_module(f"{self.package}.page").page(result)
        return section


#: Suites by name, in the order of the report. A new suite is one line here and its folder.
SUITES: dict[str, Suite] = {
    "fidelity": Suite("worldling.judge.fidelity", needs="data"),
    "stability": Suite("worldling.judge.stability", needs="data"),
    "play": Suite("worldling.judge.play", needs="start"),
    "ocp": Suite("worldling.judge.ocp", needs="physics"),
    "surprise": Suite("worldling.judge.surprise", needs="physics"),
    "control": Suite("worldling.judge.control", needs="physics"),
    "horizon": Suite("worldling.judge.horizon", needs="physics"),
    "chaos": Suite("worldling.judge.chaos", needs="chaos"),
    "physion": Suite("worldling.judge.physion", needs="stimuli"),
    "speed": Suite("worldling.judge.speed", needs="clips"),
    "cost": Suite("worldling.judge.cost", needs="clips"),
}


def suites_that_need(needs: str) -> tuple[str, ...]:
    """Name the suites that need this of the world and the data."""
    return tuple(name for name, suite in SUITES.items() if suite.needs == needs)


def find_suite(name: str) -> Suite:
    """Return the suite called `name`. Raises `JudgeError` that names the nearest one."""
    if name not in SUITES:
        raise JudgeError(f"`suites` must be known suites, got {name!r}. {nearest(name, SUITES)}")
    return SUITES[name]
