"""Lays sections out as one HTML page without outside references."""

from __future__ import annotations

import html
from collections.abc import Sequence

from worldling.report.sections import Block, Cell, Figure, Measured, Section, Text, show
from worldling.report.values import Interval


def page_html(
    title: str, intro: str, sections: Sequence[Section], facts: Sequence[tuple[str, str]], warning: str = ""
) -> str:
    """Lay sections out as one HTML page without outside references; facts: (name, text) of how it was measured."""
    listed = "".join(f"<dt>{html.escape(k)}</dt><dd>{html.escape(v)}</dd>" for k, v in facts)
    tiles = "".join(
        f'<div class="tile"><p>{html.escape(line.label)}</p><b>{html.escape(line.figure)}</b>'
        f"<small>{html.escape(line.comparison)}</small></div>"
        for section in sections
        for line in section.headlines
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


def _block(block: Block) -> str:
    if isinstance(block, Text):
        return f"<p{' class=warning' if block.warning else ''}>{html.escape(block.text)}</p>"
    note = f'<p class="note">{html.escape(block.note)}</p>' if block.note else ""
    if isinstance(block, Figure):
        return f"<h3>{html.escape(block.title)}</h3>{note}<figure>{block.drawing}</figure>"
    heads = "".join(f"<th>{html.escape(c)}</th>" if c else "<td></td>" for c in block.columns)
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


def _cell(cell: Cell, unit: str) -> str:
    if isinstance(cell, Measured):
        return _cell(cell.interval, cell.unit)
    if not isinstance(cell, Interval):
        return html.escape(str(cell))
    if cell.value is None:
        return "<span class=none>none counted</span>"
    low, high = (show(limit, unit, named=False) for limit in (cell.low, cell.high))
    return f"{show(cell.value, unit)}<small>{low} to {high}</small>"


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
