"""How the play suite's figures are shown to people."""

from __future__ import annotations

from itertools import chain

import numpy as np

from worldling.judge.play.result import CheckResult, PlayResult
from worldling.report.figures import Line, line_chart, moving_picture
from worldling.report.preview import write_preview
from worldling.report.sections import Block, Cell, Figure, Headline, Section, Table, Text, show
from worldling.report.values import Interval


def page(result: PlayResult) -> Section:
    """Lay out a curve and a table of each check, the hands apart, and a film of each."""
    hands = ", ".join(f"{count} {kind}" for kind, count in result.hands.items())
    longest = max(chain.from_iterable(check.dream for check in result.checks.values()))
    intro = (
        f"{result.n} scripted players ({hands}) drive the dream for {longest:g} seconds at {result.fps:g} frames a "
        f"second, open loop: the hand does not see the picture. Starts: {result.starts}. Beside: {result.beside}. "
        "Each figure is the share of players for whom something holds at that moment; the ceiling is the same of real "
        "frames."
    )
    headlines = [
        Headline(f"{check.label[:1].upper()}{check.label[1:]}", _figures(check), "after " + _times(check))
        for check in result.checks.values()
    ]
    blocks: list[Block] = [Text(intro)]
    for check in result.checks.values():
        blocks += [_curve(check), _table(check)]
    blocks += [_film(film.label, write_preview(film.frames, film.fps, most_px=320)) for film in result.films]
    return Section("Play: does the dream hold under a hand?", headlines, blocks)


def _shown(check: CheckResult) -> list[float]:
    times = list(check.dream)
    return sorted({times[0], times[len(times) // 2], times[-1]})


def _figures(check: CheckResult) -> str:
    return " / ".join(show(check.dream[s].value, "share", named=s == _shown(check)[-1]) for s in _shown(check))


def _times(check: CheckResult) -> str:
    real = "" if check.real is None else f"; real frames {show(_last(check.real).value, 'share')}"
    return " / ".join(f"{s:g}" for s in _shown(check)) + " s" + real


def _last(row: dict[float, Interval]) -> Interval:
    return next((found for found in reversed(row.values()) if found.value is not None), next(iter(row.values())))


def _line(label: str, row: dict[float, Interval], dashed: bool = False) -> Line:
    value, low, high = (
        np.array([getattr(found, name) for found in row.values()], float) for name in ("value", "low", "high")
    )
    return Line(label, list(row), value, low, high, dashed, dots=True)


def _curve(check: CheckResult) -> Figure:
    lines = [_line("dream", check.dream)]
    if check.real is not None:
        lines.append(_line("real frames", check.real, dashed=True))
    drawing = line_chart(lines, "seconds played", "share of players")
    return Figure(f"{check.label[:1].upper()}{check.label[1:]}", drawing, f"What counts: {check.definition}.")


def _table(check: CheckResult) -> Table:
    rows: list[list[Cell]] = [["dream", *check.dream.values()]]
    if check.real is not None:
        rows.append(["real frames", *check.real.values()])
    rows += [[f"dream, {kind}", *row.values()] for kind, row in check.by_hand.items()]
    return Table(check.label, ["after", *(f"{s:g} s" for s in check.dream)], rows, unit="share", folded=True)


def _film(label: str, film: bytes) -> Figure:
    return Figure(f"Film: {label}", moving_picture(film), "Left, where there are two: the real environment.")
