"""Several worlds put through the same suites, and laid beside each other on one page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from worldling.config import write_atomic
from worldling.judge.judge import ON_DATA, check_task, judge
from worldling.protocol import WorldModel, name_of
from worldling.report.figures import interval_chart
from worldling.report.sections import Figure, Section, Table, Text, check_out, page_html


def judge_side_by_side(
    worlds: Sequence[WorldModel],
    dataset_path: str | Path | None = None,
    out: str | Path | None = None,
    suites: Sequence[str] = ON_DATA,
    quiet: bool = False,
    **dials: Any,
) -> dict[str, Any]:
    """Judge every world as `judge` does, with the same dials; returns `{"worlds": {name: its report}}`.

    out: folder of report.html and report.json, in which each world's own report lies in a folder of its name; what was
    judged before an interruption is there. Raises what `judge` raises.
    """
    if out is not None:
        check_out(out)
    for world in worlds:  # before hours go into the first
        check_task(world, dataset_path, suites, dials)
    reports: dict[str, Any] = {}
    for name, world in zip(names_of(worlds), worlds):
        reports[name] = judge(world, dataset_path, None if out is None else Path(out) / name, suites, quiet, **dials)
    report = {"worlds": reports}
    if out is not None:
        write_atomic(Path(out) / "report.html", render(reports))
        write_atomic(Path(out) / "report.json", json.dumps(report, indent=2) + "\n")
    return report


def names_of(worlds: Sequence[WorldModel]) -> list[str]:
    """Call each world by its folder or its card's name, numbered where two share it."""
    plain = [name_of(world) for world in worlds]
    return [name if plain.count(name) == 1 else f"{name}-{plain[: i + 1].count(name)}" for i, name in enumerate(plain)]


def render(reports: dict[str, Any]) -> str:
    """Lay reports by world's name beside each other: one HTML page without outside references."""
    settings = next(iter(reports.values()))["about"]["settings"]
    intro = (
        "These worlds went through the same suites, with the same questions where both dream the same scenes. A difference counts "
        "where intervals are apart. Each world's own report, with its film strips, lies in the folder of its name."
    )
    facts = [
        ("Worlds", ", ".join(f"{name} ({report['about']['backend']})" for name, report in reports.items())),
        ("Seed", settings["seed"]),
    ]
    blocks: list[Text | Table | Figure] = [_headlines(reports)]
    shares = _measures(reports)
    if shares:
        blocks.insert(
            0,
            Figure(
                "In shares",
                interval_chart(shares, "share"),
                "A dot is the figure, the bar its 95 % interval; more is better.",
            ),
        )
    return page_html(
        " and ".join(reports) + ", side by side",
        intro,
        [Section("What each report says first", {}, blocks=blocks)],
        facts,
    )


def _measures(reports: dict[str, Any]) -> list[tuple[str, list[tuple[str, dict[str, Any]]]]]:
    """Collect the measures in shares that the worlds' self-checks name, in the first world's order."""
    nothing = {"value": None, "low": None, "high": None}
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for name, report in reports.items():
        for row in report.get("self_check", {}).get("rows", []):
            if row["unit"] == "share" and row["world"]:
                found.setdefault(f"{row['suite']}: {row['measure']}", {})[name] = row["world"]
    return [(words, [(name, by.get(name, nothing)) for name in reports]) for words, by in found.items()]


def _headlines(reports: dict[str, Any]) -> Table:
    rows: dict[str, dict[str, str]] = {}
    for name, report in reports.items():
        for suite, lines in report["timing"]["headlines"].items():
            for words, figure, than in lines:
                rows.setdefault(f"{suite}: {words}", {})[name] = f"{figure} ({than})"
    cells = [[words, *(by.get(name, "not judged") for name in reports)] for words, by in rows.items()]
    return Table("All figures", ["", *reports], cells)
