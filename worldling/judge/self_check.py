"""The judge's check of itself: do those of whom it is known beforehand how they must do land where they must?

Random weights know nothing, the last frame held still knows only what was shown, and the simulator, a little jolted, knows all
that can be known. A measure that cannot tell these apart can say nothing about a world; so every suite of the
physics scenes and of chaos hands its measures' anchors here, and the report says whether each lies where it must.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from worldling.report.sections import Anchored, Section, Table, Text, show

#: The anchors, in the words of the report, from the bottom up.
ANCHORS = {
    "broken": "random weights",
    "copy_last": "last frame held still",
    "world": "this world",
    "simulator": "the simulator",
}
#: Where the last frame held still must lie, in the words of the report.
PLACES = {
    "guess": "at guessing",
    "above": "above guessing",
    "below": "below the simulator",
    "top": "with the simulator",
}


@dataclass(frozen=True)
class Verdict:
    """What of one measure lies where it must: of each anchor True, False, or None if it was not run."""

    broken: bool | None
    copy_last: bool | None
    simulator: bool | None

    @property
    def holds(self) -> bool:
        """Whether nothing lies elsewhere."""
        return False not in (self.broken, self.copy_last, self.simulator)


def verdict(measure: Anchored) -> Verdict:
    """Lay a measure's intervals beside each other: what must be the same may not lie apart, and what must differ has to.

    The simulator: nobody does clearly better. Random weights: clearly below the simulator, and not clearly above guessing,
    where there is a guess. The last frame held still: as `measure.copy_last` says. So a measure on too few trials fails: it
    cannot tell.
    """
    found = {name: row for name, row in measure.rows.items() if row and row["value"] is not None}
    best, worst, held = (found.get(name) for name in ("simulator", "broken", "copy_last"))
    top = None if best is None else all(row["low"] <= best["high"] for row in found.values())
    bottom = None
    if worst is not None:
        bottom = (measure.guess is None or worst["low"] <= measure.guess) and (
            best is None or worst["high"] < best["low"]
        )
    place = None
    if held is not None:
        place = {
            "guess": measure.guess is not None and held["low"] <= measure.guess <= held["high"],
            "above": measure.guess is not None and held["low"] > measure.guess,
            "below": best is not None and held["high"] < best["low"],
            "top": best is not None and held["high"] >= best["low"],
        }[measure.copy_last]
    return Verdict(bottom, place, top)


def self_check(sections: dict[str, Section]) -> Section | None:
    """Sum up the anchors of all suites (`{name: section}`); None if none has any."""
    measures = [(name, measure) for name, section in sections.items() for measure in section.anchors]
    if not measures:
        return None
    verdicts = [verdict(measure) for _, measure in measures]
    wrong = sum(not v.holds for v in verdicts)
    values = {
        "measures": len(measures),
        "hold": len(measures) - wrong,
        "rows": [
            {
                "suite": suite,
                "measure": m.words,
                "unit": m.unit,
                "guess": m.guess,
                "copy_last_must_be": m.copy_last,
                **m.rows,
                "as_it_must": vars(v),
            }
            for (suite, m), v in zip(measures, verdicts)
        ],
    }
    return Section(
        "Self-check: does the judge tell good from bad?",
        values,
        headlines=[
            (
                "Measures that tell good from bad",
                f"{len(measures) - wrong} of {len(measures)}",
                "see the self-check at the end",
            )
        ],
        blocks=[_intro(len(measures), wrong), _table(measures, verdicts)],
    )


def _intro(count: int, wrong: int) -> Text:
    found = "all do" if not wrong else f"{wrong} do not: trust {'it' if wrong == 1 else 'them'} less"
    return Text(
        "Three worlds of which we know beforehand how they must do went through the same suites: this world's networks with random weights "
        "must land at the bottom, the last frame held still where each row says, and the simulator, jolted where its own truth would be no "
        f"test, at the top. Of {count} measures {found}.",
        warning=bool(wrong),
    )


def _table(measures: Sequence[tuple[str, Anchored]], verdicts: Sequence[Verdict]) -> Table:
    rows = []
    for (suite, m), v in zip(measures, verdicts):
        cells = [{**row, "unit": m.unit} if (row := m.rows.get(name)) else "not run" for name in ANCHORS]
        guess = "-" if m.guess is None else show(m.guess, m.unit)
        rows.append(
            [f"{suite}: {m.words}", guess, *cells, PLACES[m.copy_last], "yes" if v.holds else f"NO: {_what(v)}"]
        )
    return Table(
        "Known worlds on every measure",
        ["measure", "guessing", *ANCHORS.values(), "the frame held still must lie", "as it must"],
        rows,
        "More is better in every row. What must be the same may not lie intervals apart; what must differ has to, so too few trials fail a measure.",
    )


def _what(v: Verdict) -> str:
    return ", ".join(words for name, words in ANCHORS.items() if getattr(v, name, None) is False)
