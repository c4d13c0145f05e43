"""What judging a world gave, and the one place in which it becomes report.json."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from worldling.judge.results import SuiteResult
from worldling.judge.self_check import SelfCheck
from worldling.judge.settings import Settings
from worldling.report.sections import Section
from worldling.report.values import to_json


@dataclass(frozen=True)
class JudgedData:
    """The data set judged on.

    path: its folder; episodes, frames: how many; policy, seed: of its recording; held_out: whether the world was
    trained on others, None if its card does not say.
    """

    path: str
    episodes: int
    frames: int
    policy: str
    seed: int
    held_out: bool | None


@dataclass(frozen=True)
class About:
    """What was judged, and how: the same for the same call.

    world, backend: their names; env_id: the environment the world was trained on; size_px: side of its frames;
    data: None if no suite needed any; suites: in the order of the report.
    """

    world: str
    backend: str
    env_id: str
    size_px: int
    data: JudgedData | None
    suites: list[str]
    settings: Settings


@dataclass(frozen=True)
class Judgement:
    """What judging one world gave.

    results, sections: by suite, in the order of the report; self_check: None if no suite gave anything to check.
    date: local time, YYYY-MM-DD HH:MM; machine: operating system and processor; seconds: that it all took.
    """

    about: About
    results: dict[str, SuiteResult]
    sections: dict[str, Section]
    self_check: SelfCheck | None
    date: str
    machine: str
    seconds: float

    def report(self) -> dict[str, Any]:
        """Return it as JSON values: the one place in which results become report.json."""
        checked = {"self_check": self.self_check} if self.self_check else {}
        headlines = {
            name: [(line.label, line.figure, line.comparison) for line in section.headlines]
            for name, section in self.sections.items()
        }
        timing = {"date": self.date, "machine": self.machine, "seconds": self.seconds, "headlines": headlines}
        report: dict[str, Any] = to_json(
            {
                "about": self.about,
                "suites": self.results,
                **checked,
                "timing": {**timing, **{name: result.timing for name, result in self.results.items()}},
            }
        )
        return report
