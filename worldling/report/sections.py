"""What a page is made of: sections of text, tables and figures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from worldling.report.values import Interval


@dataclass(frozen=True)
class Text:
    """A paragraph of plain text; warning: set apart in colour."""

    text: str
    warning: bool = False


@dataclass(frozen=True)
class Measured:
    """A cell of a table: an interval in a unit of its own."""

    interval: Interval
    unit: str


#: A cell: text, a count, or an interval in the unit of its table or one of its own.
Cell = str | int | Interval | Measured


@dataclass(frozen=True)
class Table:
    """A table: `columns` are headings, each row a list of cells.

    unit: of the intervals; "share" is shown in percent. folded: closed at first.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""
    unit: str = ""
    folded: bool = False


@dataclass(frozen=True)
class Figure:
    """A drawing, as made by `figures`, with a title and a sentence that says how to read it."""

    title: str
    drawing: str
    note: str = ""


Block = Text | Table | Figure


@dataclass(frozen=True)
class Headline:
    """A figure shown at the top of a page: what it is, the figure, and what to compare it with."""

    label: str
    figure: str
    comparison: str


@dataclass(frozen=True)
class Section:
    """A part of a page. headlines: shown at the top of the page; blocks: in order."""

    title: str
    headlines: Sequence[Headline] = ()
    blocks: Sequence[Block] = field(default_factory=list)


def show(value: float | None, unit: str = "", named: bool = True) -> str:
    """Write a number for people.

    Shares in percent, decibels with one digit, others with three figures, without unit three decimals.
    named: write the unit after it (decibels never carry theirs; their table says it).
    """
    if value is None or math.isnan(value):
        return "none"
    if unit == "share":
        text, unit = ("100" if value == 1 else f"{value * 100:.1f}"), "%"
    elif unit == "dB":
        return f"{value:.1f}"
    else:
        text = f"{value:.3f}" if unit == "" else f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{text} {unit}".rstrip() if named else text
