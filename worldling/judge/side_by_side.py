"""Several worlds put through the same suites, side by side on one page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from worldling.judge.judgement import DEFAULT_SUITES, check_task, judge_world
from worldling.judge.judgement_page import judgement_html
from worldling.judge.report import Judgement
from worldling.judge.report_files import check_out, write_report
from worldling.protocol import WorldModel, name_of
from worldling.report.figures import interval_chart
from worldling.report.page import page_html
from worldling.report.sections import Block, Figure, Section, Table
from worldling.report.values import NOTHING, Interval


def judge_side_by_side(
    worlds: Sequence[WorldModel],
    dataset_path: str | Path | None = None,
    out: str | Path | None = None,
    suites: Sequence[str] = DEFAULT_SUITES,
    quiet: bool = False,
    **settings: Any,
) -> dict[str, Any]:
    """Judge every world as `judge` does, with the same settings; returns `{"worlds": {name: its report.json}}`.

    out: folder of report.html and report.json, in which each world's own report lies in a folder of its name; what
    was judged before an interruption is there. Raises what `judge` raises.
    """
    if out is not None:
        check_out(out)
    for world in worlds:  # before hours go into the first
        check_task(world, dataset_path, suites, settings)
    judgements: dict[str, Judgement] = {}
    for name, world in zip(names_of(worlds), worlds, strict=True):
        judgements[name] = judge_world(world, dataset_path, suites, quiet, settings)
        if out is not None:
            write_report(judgements[name].report(), judgement_html(judgements[name]), Path(out) / name)
    report = {"worlds": {name: judgement.report() for name, judgement in judgements.items()}}
    if out is not None:
        write_report(report, render(judgements), out)
    return report


def names_of(worlds: Sequence[WorldModel]) -> list[str]:
    """Call each world by its folder or its card's name, numbered where two share it."""
    plain = [name_of(world) for world in worlds]
    return [name if plain.count(name) == 1 else f"{name}-{plain[: i + 1].count(name)}" for i, name in enumerate(plain)]


def render(judgements: Mapping[str, Judgement]) -> str:
    """Lay judgements by world's name side by side: one HTML page without outside references."""
    first = next(iter(judgements.values()))
    intro = (
        "These worlds went through the same suites, with the same questions where both predict the same scenes. A "
        "difference counts where intervals do not overlap. Each world's own report, with its film strips, lies in the "
        "folder of its name."
    )
    facts = [
        ("Worlds", ", ".join(f"{name} ({judgement.about.backend})" for name, judgement in judgements.items())),
        ("Seed", str(first.about.settings.seed)),
    ]
    blocks: list[Block] = [_headlines(judgements)]
    shares = _measures(judgements)
    if shares:
        note = "A dot is the figure, the bar its 95 % interval; more is better."
        blocks.insert(0, Figure("In shares", interval_chart(shares, "share"), note))
    sections = [Section("What each report says first", blocks=blocks)]
    return page_html(" and ".join(judgements) + ", side by side", intro, sections, facts)


def _measures(judgements: Mapping[str, Judgement]) -> list[tuple[str, list[tuple[str, Interval]]]]:
    """Collect the measures in shares that the worlds' self-checks name, in the first world's order."""
    found: dict[str, dict[str, Interval]] = {}
    for name, judgement in judgements.items():
        for row in judgement.self_check.rows if judgement.self_check else ():
            if row.unit == "share" and row.world is not None:
                found.setdefault(f"{row.suite}: {row.measure}", {})[name] = row.world
    return [(words, [(name, by.get(name, NOTHING)) for name in judgements]) for words, by in found.items()]


def _headlines(judgements: Mapping[str, Judgement]) -> Table:
    rows: dict[str, dict[str, str]] = {}
    for name, judgement in judgements.items():
        for suite, section in judgement.sections.items():
            for line in section.headlines:
                rows.setdefault(f"{suite}: {line.label}", {})[name] = f"{line.figure} ({line.comparison})"
    cells = [[words, *(by.get(name, "not judged") for name in judgements)] for words, by in rows.items()]
    return Table("All figures", ["", *judgements], cells)
