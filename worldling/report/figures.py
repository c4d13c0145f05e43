"""Pictures for reports, drawn as plain SVG and PNG text that needs no other file."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle

import numpy as np

from worldling.report.values import Interval

#: Colours that stay apart for colour-blind readers and on light and dark paper.
PALETTE = ("#3b6fd4", "#d9822b", "#7b8794", "#2a9d8f", "#b5489a", "#8c6d1f")
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 320, 58, 16, 14, 44


#: Numbers along a curve `[n]`; None or NaN is a gap.
Points = Sequence[float] | Sequence[float | None] | np.ndarray


@dataclass(frozen=True)
class Line:
    """One curve: x, y `[n]`, perhaps its interval low, high `[n]`; dashed: for things to compare with."""

    label: str
    x: Points
    y: Points
    low: Points | None = None
    high: Points | None = None
    dashed: bool = False
    dots: bool = False


def line_chart(lines: Sequence[Line], x_label: str, y_label: str, band: tuple[float, float] | None = None) -> str:
    """Draw curves with their intervals as SVG with a legend; band: a shaded range of y.

    Labels are plain text and are escaped here.
    """
    x_label, y_label = html.escape(x_label), html.escape(y_label)
    xs = np.concatenate([np.asarray(line.x, float) for line in lines])
    ys = np.concatenate(
        [np.asarray(v, float) for line in lines for v in (line.y, line.low, line.high) if v is not None]
    )
    ys = np.concatenate([ys[np.isfinite(ys)], np.asarray(band or (), float)])
    ys = ys if len(ys) else np.zeros(1)
    x_ticks, y_ticks = _ticks(xs.min(), xs.max(), 8), _ticks(ys.min(), ys.max(), 6)
    x_low, x_high = min(xs.min(), x_ticks[0]), max(xs.max(), x_ticks[-1])
    y_low, y_high = min(ys.min(), y_ticks[0]), max(ys.max(), y_ticks[-1])

    def px(x: float) -> float:
        return float(LEFT + (x - x_low) / (x_high - x_low) * (WIDTH - LEFT - RIGHT))

    def py(y: float) -> float:
        return float(HEIGHT - BOTTOM - (y - y_low) / (y_high - y_low) * (HEIGHT - TOP - BOTTOM))

    def path(x: np.ndarray, y: np.ndarray) -> str:
        return " ".join(f"{px(a):.1f},{py(b):.1f}" for a, b in zip(x, y, strict=True) if np.isfinite(b))

    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{y_label} over {x_label}">']
    if band:
        parts.append(
            f'<rect x="{LEFT}" y="{py(band[1]):.1f}" width="{WIDTH - LEFT - RIGHT}" '
            f'height="{py(band[0]) - py(band[1]):.1f}" class="band"/>'
        )
    for tick in y_ticks:
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{py(tick):.1f}" y2="{py(tick):.1f}" class="grid"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{py(tick) + 4:.1f}" text-anchor="end">{_number(tick)}</text>')
    for tick in x_ticks:
        parts.append(f'<text x="{px(tick):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{_number(tick)}</text>')
    parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{HEIGHT - BOTTOM}" y2="{HEIGHT - BOTTOM}" class="axis"/>')
    parts.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 6}" text-anchor="middle">{x_label}</text>')
    middle = (TOP + HEIGHT - BOTTOM) / 2
    parts.append(f'<text transform="translate(14 {middle}) rotate(-90)" text-anchor="middle">{y_label}</text>')
    for line, colour in zip(lines, cycle(PALETTE)):
        if line.low is not None and line.high is not None:
            x, low, high = (np.asarray(points, float) for points in (line.x, line.low, line.high))
            outline = f"{path(x, low)} {path(x[::-1], high[::-1])}"
            parts.append(f'<polygon points="{outline}" fill="{colour}" opacity="0.18"/>')
    for line, colour in zip(lines, cycle(PALETTE)):
        x, y = np.asarray(line.x, float), np.asarray(line.y, float)
        dash = ' stroke-dasharray="6 4"' if line.dashed else ""
        style = f'fill="none" stroke="{colour}" stroke-width="2.2"{dash}'
        parts.append(f'<polyline points="{path(x, y)}" {style}/>')
        if line.dots:
            parts += [
                f'<circle cx="{px(a):.1f}" cy="{py(b):.1f}" r="3.4" fill="{colour}"/>'
                for a, b in zip(x, y, strict=True)
                if np.isfinite(b)
            ]
    legend = "".join(
        f'<span><i style="border-top:3px {"dashed" if line.dashed else "solid"} {colour}"></i>'
        f"{html.escape(line.label)}</span>"
        for line, colour in zip(lines, cycle(PALETTE))
    )
    return "".join(parts) + f'</svg><div class="legend">{legend}</div>'


def interval_chart(rows: Sequence[tuple[str, Sequence[tuple[str, Interval]]]], x_label: str) -> str:
    """Draw shares with their intervals as SVG with a legend.

    rows: (label, [(name, interval)]), drawn as a dot and a bar per name. All rows name the same things in the
    same order; an interval of no value leaves its place empty.
    """
    names = [name for name, _ in rows[0][1]]
    step, left = 15, 300
    group = step * len(names) + 16
    bottom = TOP + group * len(rows)

    def px(share: float) -> float:
        return left + share * (WIDTH - left - RIGHT)

    parts = [f'<svg viewBox="0 0 {WIDTH} {bottom + BOTTOM}" role="img" aria-label="{html.escape(x_label)}">']
    for share in (0, 0.25, 0.5, 0.75, 1):
        parts.append(f'<line x1="{px(share):.1f}" x2="{px(share):.1f}" y1="{TOP}" y2="{bottom}" class="grid"/>')
        parts.append(f'<text x="{px(share):.1f}" y="{bottom + 18}" text-anchor="middle">{100 * share:g} %</text>')
    for number, (label, found) in enumerate(rows):
        middle = TOP + group * (number + 0.5)
        parts.append(f'<text x="{left - 12}" y="{middle + 4:.1f}" text-anchor="end">{html.escape(label)}</text>')
        for place, ((_, row), colour) in enumerate(zip(found, cycle(PALETTE))):
            if row.value is None or row.low is None or row.high is None:
                continue
            y = middle + step * (place - (len(names) - 1) / 2)
            low, high = px(row.low), px(row.high)
            parts.append(
                f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{y:.1f}" y2="{y:.1f}" '
                f'stroke="{colour}" stroke-width="3" opacity="0.45"/>'
            )
            parts.append(f'<circle cx="{px(row.value):.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>')
    legend = "".join(
        f'<span><i style="border-top:3px solid {colour}"></i>{html.escape(name)}</span>'
        for name, colour in zip(names, cycle(PALETTE))
    )
    return "".join(parts) + f'</svg><div class="legend">{legend}</div>'


def film(rows: Sequence[tuple[str, np.ndarray]], columns: Sequence[str]) -> str:
    """Lay rows of frames (label, uint8 `[k, H, W, 3]`) under each other below k column headings."""
    side = max(56, min(140, 740 // max(1, len(columns)) - 5))
    heads = "".join(f"<th>{html.escape(column)}</th>" for column in columns)
    body = "".join(
        f"<tr><th>{html.escape(label)}</th>"
        + "".join(f'<td><img width="{side}" height="{side}" alt="" src="{png_url(frame)}"></td>' for frame in frames)
        + "</tr>"
        for label, frames in rows
    )
    return f'<table class="film"><tr><td></td>{heads}</tr>{body}</table>'


def moving_picture(webp: bytes) -> str:
    """Show an animated WebP, such as `preview.write_preview` makes."""
    url = "data:image/webp;base64," + base64.b64encode(webp).decode()
    return f'<img alt="" style="image-rendering:pixelated;width:min(100%,480px)" src="{url}">'


def png_url(picture: np.ndarray) -> str:
    """Write a uint8 `[H, W, 3]` picture as a data: URL, losslessly up to 256 px, halved and so on above."""
    from PIL import Image

    buffer = io.BytesIO()
    picture = picture[:: -(-len(picture) // 256), :: -(-len(picture) // 256)]
    Image.fromarray(np.ascontiguousarray(picture)).save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def _ticks(low: float, high: float, about: int) -> list[float]:
    """Round numbers that cover low to high."""
    if high - low < 1e-9:
        low, high = low - 0.5, high + 0.5
    raw = (high - low) / max(1, about - 1)
    power = 10.0 ** np.floor(np.log10(raw))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw - 1e-12)
    return [float(k * step) for k in range(int(np.floor(low / step + 1e-9)), int(np.ceil(high / step - 1e-9)) + 1)]


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:g}" if abs(value) > 1e-12 else "0"
