"""Writes report.json for scripts and report.html for people: one file, no outside references."""

from __future__ import annotations

import html
import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from worldling.config import write_atomic
from worldling.errors import JudgeError


@dataclass(frozen=True)
class Text:
    """A paragraph of plain text; warning: set apart in colour."""

    text: str
    warning: bool = False


@dataclass(frozen=True)
class Table:
    """A table: `columns` are headings, each row a list of cells; a cell is text or an interval dict.

    unit: written after the numbers of intervals; "share" is shown in percent. folded: closed at first.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    note: str = ""
    unit: str = ""
    folded: bool = False


@dataclass(frozen=True)
class Figure:
    """A drawing, as made by `figures`, with a title and a sentence that says how to read it."""

    title: str
    drawing: str
    note: str = ""


@dataclass(frozen=True)
class Anchored:
    """A measure, more of which is better, on the world and on those of whom it is known how they must do (self_check.py).

    rows: intervals of "broken" (random weights), "copy_last" (the last frame held still), "world" and "simulator", those that
    were run; guess: what guessing gives, or None; copy_last: where it must lie: "guess", "above" (guessing), "below" (the
    simulator) or "top" (with it).
    """

    words: str
    rows: dict[str, Any]
    copy_last: str
    guess: float | None = None
    unit: str = "share"


@dataclass
class Section:
    """What one suite hands back.

    values: json values for report.json, the same for the same seed. timing: json values that depend on
    the machine and the moment. headlines: (words, figure, comparison) shown at the top. blocks: the
    page, in order. anchors: its measures that the judge checks itself by.
    """

    title: str
    values: dict[str, Any]
    timing: dict[str, Any] = field(default_factory=dict)
    headlines: list[tuple[str, str, str]] = field(default_factory=list)
    blocks: list[Text | Table | Figure] = field(default_factory=list)
    anchors: list[Anchored] = field(default_factory=list)


def plain(value: Any) -> Any:
    """Turn numpy and tuples into json values; NaN and infinity become null; floats keep 6 digits."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain(item) for item in value]
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value


def in_words(report: dict[str, Any]) -> dict[str, list[str]]:
    """Say what stands at the top of a report's page, a line each, by suite."""
    return {
        name: [f"{words}: {figure} ({than})" for words, figure, than in lines] or ["see the report"]
        for name, lines in report["timing"]["headlines"].items()
    }


def check_out(out: str | Path) -> None:
    """Raise `JudgeError` now, not after the work, if the folder `out` cannot be written."""
    out = Path(out)
    there = next(path for path in (out, *out.absolute().parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise JudgeError(f"`out` must be a folder we can write, got {out}. Choose another.")


def write_report(report: dict[str, Any], sections: Sequence[Section], out: str | Path) -> None:
    """Write report.html and report.json into the folder `out`, each whole or not at all."""
    out = Path(out)
    check_out(out)
    out.mkdir(parents=True, exist_ok=True)
    write_atomic(out / "report.html", render_html(report, sections))
    write_atomic(out / "report.json", json.dumps(report, indent=2) + "\n")


def render_html(report: dict[str, Any], sections: Sequence[Section]) -> str:
    """Return the report as one HTML page."""
    about = report["about"]
    warning = ""
    if about["data"] and about["data"]["held_out"] is False:
        warning = "These data have the seed of the training data: the world may have seen them. Record others for a fair judgement."
    return page_html(f"{about['world']}, judged", _intro(about), sections, _facts(report), warning)


def page_html(
    title: str, intro: str, sections: Sequence[Section], facts: Sequence[tuple[str, Any]], warning: str = ""
) -> str:
    """Lay sections out as one HTML page without outside references; facts: (name, text) of how it was measured."""
    listed = "".join(f"<dt>{html.escape(k)}</dt><dd>{html.escape(str(v))}</dd>" for k, v in facts)
    tiles = "".join(
        f'<div class="tile"><p>{html.escape(words)}</p><b>{html.escape(figure)}</b>'
        f"<small>{html.escape(than)}</small></div>"
        for section in sections
        for words, figure, than in section.headlines
    )
    body = "".join(
        f"<section><h2>{html.escape(s.title)}</h2>{''.join(_block(b) for b in s.blocks)}</section>" for s in sections
    )
    title, warned = html.escape(title), f'<p class="warning">{html.escape(warning)}</p>' if warning else ""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body><main>'
        f"<header><h1>{title}</h1><p>{html.escape(intro)}</p>{warned}</header>"
        f'<div class="tiles">{tiles}</div>{body}'
        f"<section><h2>How this was measured</h2><dl>{listed}</dl></section></main></body></html>\n"
    )


def _intro(about: dict[str, Any]) -> str:
    data = about["data"]
    real = (
        f"real recordings ({data['frames']:,} frames in {data['episodes']} episodes)" if data else "what really happens"
    )
    return (
        f"A world model dreams {about['env_id']} at {about['size_px']} px. Here its dreams are laid beside "
        f"{real}. The small numbers under a figure give the range in which it would lie, 95 times in 100, had "
        "other starting points been drawn."
    )


def _facts(report: dict[str, Any]) -> list[tuple[str, Any]]:
    about, timing = report["about"], report["timing"]
    settings, data = about["settings"], about["data"]
    held_out = {
        True: "yes: another seed than the training data's",
        False: "no: the same seed, and so the same scenes, as the training data",
        None: "not known: the world's card does not say",
    }
    recorded = (
        [
            ("Data", f"{data['path']} (policy {data['policy']}, seed {data['seed']})"),
            ("Held out", held_out[data["held_out"]]),
        ]
        if data
        else []
    )
    return [
        ("World", f"{about['world']}, run by {about['backend']}"),
        *recorded,
        ("Settings", ", ".join(f"{key} {_listed(value)}" for key, value in settings.items())),
        ("Made", f"{timing['date']} on {timing['machine']}, {timing['seconds']:.0f} s"),
        (
            "Again",
            "The same world, data, settings and backend give the same report.json, except for its timing section.",
        ),
    ]


def _listed(value: Any) -> str:
    return "/".join(map(str, value)) if isinstance(value, list) else str(value)


def _block(block: Text | Table | Figure) -> str:
    if isinstance(block, Text):
        return f"<p{' class=warning' if block.warning else ''}>{html.escape(block.text)}</p>"
    note = f'<p class="note">{html.escape(block.note)}</p>' if block.note else ""
    if isinstance(block, Figure):
        return f"<h3>{html.escape(block.title)}</h3>{note}<figure>{block.drawing}</figure>"
    heads = "".join(f"<th>{html.escape(c)}</th>" for c in block.columns)
    rows = "".join(
        "<tr>"
        + "".join(
            f"<{'th' if i == 0 else 'td'}>{_cell(c, block.unit)}</{'th' if i == 0 else 'td'}>"
            for i, c in enumerate(row)
        )
        + "</tr>"
        for row in block.rows
    )
    table = f'{note}<div class="wide"><table><tr>{heads}</tr>{rows}</table></div>'
    if block.folded:
        return f"<details><summary>{html.escape(block.title)}</summary>{table}</details>"
    return f"<h3>{html.escape(block.title)}</h3>{table}"


def _cell(cell: Any, unit: str) -> str:
    if not isinstance(cell, dict):
        return html.escape(str(cell))
    unit = cell.get("unit", unit)
    if cell["value"] is None:
        return "<span class=none>none counted</span>"
    low, high = (show(cell[key], unit, named=False) for key in ("low", "high"))
    return f"{show(cell['value'], unit)}<small>{low} to {high}</small>"


def show(value: float | None, unit: str = "", named: bool = True) -> str:
    """Write a number for people: shares in percent, decibels with one digit, others with three figures, without unit three decimals.

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


_STYLE = """
:root{--ink:#1d2733;--soft:#5b6875;--line:#dfe4ea;--paper:#f5f7f9;--card:#fff;--mark:#3b6fd4;--warn:#9a4a00;
  --warnbg:#fff4e3}
@media(prefers-color-scheme:dark){:root{--ink:#e6ebf0;--soft:#9aa7b4;--line:#313b46;--paper:#12171c;
  --card:#1a2128;--mark:#7ba4f0;--warn:#ffc27a;--warnbg:#3a2a14}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);
  font:16px/1.55 system-ui,-apple-system,"Segoe UI",sans-serif}
main{max-width:960px;margin:0 auto;padding:32px 20px 64px}
h1{font-size:30px;margin:0 0 6px;line-height:1.2}h2{font-size:21px;margin:0 0 10px}
h3{font-size:16px;margin:28px 0 4px}
header p{color:var(--soft);margin:0 0 22px;max-width:70ch}p{max-width:78ch}
section{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:24px 26px;
  margin:22px 0}
.tiles{display:grid;grid-template-columns:repeat(auto-fill,minmax(172px,1fr));gap:12px}
.tile{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:14px 16px;display:flex;
  flex-direction:column}
.tile p{margin:0;color:var(--soft);font-size:14px;line-height:1.35}
.tile b{font-size:25px;font-weight:650;margin-top:4px}.tile small{color:var(--soft);margin-top:auto}
.note{color:var(--soft);font-size:14px;margin:2px 0 10px}
.warning{background:var(--warnbg);color:var(--warn);padding:10px 14px;border-radius:8px}
.wide{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums}
.wide table{width:100%}
.wide th,.wide td{padding:7px 12px 7px 0;text-align:right;border-bottom:1px solid var(--line);
  vertical-align:top;white-space:nowrap}
.wide th{font-weight:600;font-size:14px}
.wide th:first-child{text-align:left;white-space:normal;min-width:170px}
.wide tr:first-child th{color:var(--soft);font-weight:500}
td small{display:block;color:var(--soft);font-size:12px}.none{color:var(--soft);font-size:13px}
figure{margin:6px 0 0;overflow-x:auto}svg{width:100%;height:auto;display:block}
svg text{font:12px system-ui,sans-serif;fill:var(--soft)}
.grid{stroke:var(--line)}.axis{stroke:var(--soft)}.band{fill:#2a9d8f;opacity:.12}
.legend{display:flex;flex-wrap:wrap;gap:4px 20px;font-size:14px;padding:6px 0 0 58px}
.legend i{display:inline-block;width:22px;margin-right:7px;vertical-align:middle}
.film{margin-bottom:18px}
.film th{font-weight:400;font-size:13px;color:var(--soft);padding:0 2px 2px;white-space:nowrap}
.film th:first-child{text-align:right;padding-right:10px;min-width:88px}.film td{padding:0 3px 3px 0}
.film img{display:block;image-rendering:pixelated;border-radius:2px}
details{margin-top:18px}summary{cursor:pointer;color:var(--mark)}
dl{display:grid;grid-template-columns:auto 1fr;gap:4px 18px;margin:0}dt{color:var(--soft)}
dd{margin:0;overflow-wrap:anywhere}
@media(max-width:560px){section{padding:18px 14px}dl{grid-template-columns:1fr}dt{margin-top:8px}}
"""
