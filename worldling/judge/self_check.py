"""The judge's check of itself: do baselines of which it is known how they must do land where they must?

The same networks with random weights know nothing, the last frame repeated knows only what was shown, and the
simulator with slightly perturbed velocities knows all that can be known. A measure that cannot tell these apart can
say nothing about a world; so suites hand over their measures of these (`Anchored`), and the report says whether each
lies where it must.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from worldling.judge.results import Anchored, Place, SuiteResult
from worldling.report.sections import Cell, Headline, Measured, Section, Table, Text, show
from worldling.report.values import Interval

#: The world and its baselines, in the words of the report, from the bottom up.
ANCHORS = {
    "random_weights": "random weights",
    "copy_last": "last frame repeated",
    "world": "this world",
    "simulator": "the simulator",
}
#: Where the last frame repeated must lie, in the words of the report.
PLACES: dict[Place, str] = {
    "guess": "at guessing",
    "above": "above guessing",
    "below": "below the simulator",
    "top": "with the simulator",
}


@dataclass(frozen=True)
class Verdict:
    """What of one measure lies where it must: of each baseline True, False, or None if it was not run."""

    random_weights: bool | None
    copy_last: bool | None
    simulator: bool | None

    @property
    def holds(self) -> bool:
        """Whether nothing lies elsewhere."""
        return False not in (self.random_weights, self.copy_last, self.simulator)


@dataclass(frozen=True, kw_only=True)
class CheckedMeasure(Anchored):
    """A measure that was checked. suite: whose it is; as_it_must: what lies where it must."""

    suite: str
    as_it_must: Verdict


@dataclass(frozen=True)
class SelfCheck:
    """The self-check of a judgement. measures: how many were checked; hold: how many lie as they must."""

    measures: int
    hold: int
    rows: list[CheckedMeasure]


def verdict(measure: Anchored) -> Verdict:
    """Compare a measure's intervals: what must be equal must overlap, and what must differ must not.

    The simulator: nothing does clearly better. Random weights: clearly below the simulator, and not clearly above
    guessing, where there is a guess. The last frame repeated: as `measure.copy_last_must_be` says. So a measure on
    too few trials fails: it cannot tell.
    """
    found = {name: limits for name in ANCHORS if (limits := _limits(getattr(measure, name))) is not None}
    best, worst, held = (found.get(name) for name in ("simulator", "random_weights", "copy_last"))
    top = None if best is None else all(low <= best[1] for low, _ in found.values())
    bottom = None
    if worst is not None:
        bottom = (measure.guess is None or worst[0] <= measure.guess) and (best is None or worst[1] < best[0])
    place = None if held is None else _in_place(measure, held, best)
    return Verdict(bottom, place, top)


def _limits(found: Interval | None) -> tuple[float, float] | None:
    """The lowest and highest of an interval, None if there is none."""
    return None if found is None or found.low is None or found.high is None else (found.low, found.high)


def _in_place(measure: Anchored, held: tuple[float, float], best: tuple[float, float] | None) -> bool:
    """Whether the copy-last baseline, within the limits `held`, lies where the measure says."""
    low, high = held
    return {
        "guess": measure.guess is not None and low <= measure.guess <= high,
        "above": measure.guess is not None and low > measure.guess,
        "below": best is not None and high < best[0],
        "top": best is not None and high >= best[0],
    }[measure.copy_last_must_be]


def check_measures(results: Mapping[str, SuiteResult]) -> SelfCheck | None:
    """Check the measures of all suites, by name; None if none has any."""
    rows = [
        CheckedMeasure(**vars(measure), suite=suite, as_it_must=verdict(measure))
        for suite, result in results.items()
        for measure in result.anchored
    ]
    return SelfCheck(len(rows), sum(row.as_it_must.holds for row in rows), rows) if rows else None


def page(checked: SelfCheck) -> Section:
    """Lay the self-check out for people."""
    return Section(
        "Self-check: does the judge tell good from bad?",
        [
            Headline(
                "Measures that tell good from bad",
                f"{checked.hold} of {checked.measures}",
                "see the self-check at the end",
            )
        ],
        [_intro(checked.measures, checked.measures - checked.hold), _table(checked)],
    )


def _intro(count: int, wrong: int) -> Text:
    found = "all do" if not wrong else f"{wrong} do not: trust {'it' if wrong == 1 else 'them'} less"
    return Text(
        "Three baselines of which we know beforehand how they must do went through the same suites: this world's "
        "networks with random weights must land at the bottom, the last frame repeated where each row says, and the "
        "simulator at the top, its velocities slightly perturbed where it would otherwise be its own ground truth. "
        f"Of {count} measures {found}.",
        warning=bool(wrong),
    )


def _table(checked: SelfCheck) -> Table:
    rows: list[list[Cell]] = []
    for row in checked.rows:
        figures = [getattr(row, name) for name in ANCHORS]
        rows.append(
            [
                f"{row.suite}: {row.measure}",
                "-" if row.guess is None else show(row.guess, row.unit),
                *("not run" if figure is None else Measured(figure, row.unit) for figure in figures),
                PLACES[row.copy_last_must_be],
                "yes" if row.as_it_must.holds else f"NO: {_what(row.as_it_must)}",
            ]
        )
    return Table(
        "Known baselines on every measure",
        ["measure", "guessing", *ANCHORS.values(), "the last frame repeated must lie", "as it must"],
        rows,
        "More is better in every row. Where two must be equal, their intervals must overlap; where they must differ, "
        "their intervals must not, so too few trials fail a measure.",
    )


def _what(found: Verdict) -> str:
    return ", ".join(words for name, words in ANCHORS.items() if getattr(found, name, None) is False)
