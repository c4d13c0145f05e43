"""The results of `worldling ladder` as a text table and as a page."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence

from worldling.compress.rungs import Ladder, Rung
from worldling.cost.ledger import HOURS_A_MONTH, compute
from worldling.cost.tables import amount
from worldling.report.page import page_html
from worldling.report.sections import Cell, Figure, Headline, Measured, Section, Table
from worldling.report.values import Interval

LETTERS = "abcdefgh"
#: Size of the drawing, and its margins.
WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 720, 300, 70, 46, 16


def ladder_text(found: Ladder) -> str:
    """Return the table as text."""
    measures = [name for name in found.rungs[0].lost if name != "PSNR"]
    wide = max(len(row.name) for row in found.rungs)
    columns = {"MB": 6, "GFLOP": 6, "FPS x1": 7, "p99 ms": 7, "x16": 7, "x64": 7, "times": 6, "PSNR": 6}
    head = " " * (wide + 2) + "".join(f" {name:>{size}}" for name, size in columns.items())
    lines = [head + "".join(f"  {letter}" + " " * 16 for letter in LETTERS[: len(measures)])]
    first = found.rungs[0].speed[1].fps_p50
    for row in found.rungs:
        one, some, many = (row.speed[batch] for batch in (1, 16, 64))
        mark = " " if row.within else "*"
        lines.append(
            f"{row.name:{wide}} {mark} {row.file_mb:6.2f} {row.gflop:6.2f} {one.fps_p50:7,.0f} {one.p99_ms:7.2f} "
            f"{some.fps_p50:7,.0f} {many.fps_p50:7,.0f} {many.fps_p50 / first:6.1f} {_short(row.value['PSNR'], 1):>6}"
            + "".join(f"  {_points(row.lost[name]):17}" for name in measures)
        )
    lines += [
        f"{letter}: points lost of {name!r}, with its interval" for letter, name in zip(LETTERS, measures, strict=False)
    ]
    lines.append(f"*: may lose {found.target_drop:g} points or more; best of the others: {found.best.name}")
    lines.append(f"times: frames/s in all at 64 sessions, against the first row at one; {found.starts} starts, "
                 f"{found.horizon} frames ahead")  # fmt: skip
    return "\n".join(lines)


def _short(interval: Interval, digits: int) -> str:
    return "none" if interval.value is None else f"{interval.value:.{digits}f}"


def _points(interval: Interval) -> str:
    if interval.value is None or interval.low is None or interval.high is None:
        return "none"
    return f"{100 * interval.value:+.2f} ({100 * interval.low:+.1f}, {100 * interval.high:+.1f})"


def ladder_html(found: Ladder) -> str:
    """Return the page."""
    first, last = found.rungs[0], found.best
    times = last.speed[64].fps_p50 / first.speed[1].fps_p50
    headlines = [
        Headline("Frames a second in all, 64 sessions", f"{times:.1f} times", f"those of {first.name}, one session"),
        Headline("File", f"{first.file_mb / last.file_mb:.1f} times smaller", f"{last.file_mb:.2f} MB"),
    ]
    columns = ["", "MB", "GFLOP a frame", "frames/s, 1", "p99 ms, 1", "frames/s, 16", "frames/s, 64", "MB resident",
               "a user-hour", "a user-month"]  # fmt: skip
    cost = Table("Cost", columns, [_cost(row) for row in found.rungs], "Frames a second of all sessions together.")
    names = list(first.value)
    truth = Table(
        "Truth", ["", *names], [[row.name, *(_cell(name, row.value[name]) for name in names)] for row in found.rungs]
    )
    lost = Table(
        f"Lost against {first.name}, paired by start", ["", *names],
        [[row.name, *(_cell(name, row.lost[name]) for name in names)] for row in found.rungs[1:]],
        f"Below 0 where it is better. Within {found.target_drop:g} points, by the upper ends of all shares: "
        f"{', '.join(row.name for row in found.rungs if row.within)}.",
    )  # fmt: skip
    chart = Figure("Truth against cost", pareto(found.rungs), "To the right is faster, up is truer.")
    about = [
        ("World", found.world),
        ("Roll-outs", f"{found.starts} held-out starts, {found.horizon} frames ahead, under the recorded actions"),
        ("Reader", found.reader),
        ("Machine", ", ".join(f"{key} {value}" for key, value in found.machine.items() if value is not None)),
        ("Versions", ", ".join(f"{key} {value}" for key, value in found.versions.items())),
        ("Commit", found.commit or "none"),
    ]
    intro = "One world made cheaper step by step; every speed-up beside what it costs in truth."
    section = Section("Rows", headlines, [chart, cost, lost, truth])
    return page_html(f"The ladder of {found.world}", intro, [section], about)


def _cost(row: Rung) -> list[Cell]:
    one, some, many = (row.speed[batch] for batch in (1, 16, 64))
    hour = row.cost_per_user_hour
    month = compute(hour.unit, lambda h: h * HOURS_A_MONTH, hour)
    return [row.name, f"{row.file_mb:.2f}", f"{row.gflop:.3f}", f"{one.fps_p50:,.0f}", f"{one.p99_ms:.2f}",
            f"{some.fps_p50:,.0f}", f"{many.fps_p50:,.0f}", f"{many.memory_mb:,.0f}",
            amount(hour), amount(month)]  # fmt: skip


def _cell(name: str, interval: Interval) -> Measured:
    return Measured(interval, "dB" if name == "PSNR" else "share")


def pareto(rungs: Sequence[Rung]) -> str:
    """Draw each row's PSNR against its frames a second at 64 sessions, on a scale of powers, as SVG."""
    points = [(math.log10(row.speed[64].fps_p50), row.value["PSNR"]) for row in rungs]
    known = [interval for _, interval in points if interval.low is not None and interval.high is not None]
    low = math.floor(min(i.low for i in known if i.low is not None) - 0.5)
    high = math.ceil(max(i.high for i in known if i.high is not None) + 0.5)
    left = (math.floor(10 * min(x for x, _ in points)) - 1) / 10
    right = (math.ceil(10 * max(x for x, _ in points)) + 3) / 10

    def px(x: float) -> float:
        return LEFT + (x - left) / (right - left) * (WIDTH - LEFT - 20)

    def py(y: float) -> float:
        return HEIGHT - BOTTOM - (y - low) / (high - low) * (HEIGHT - TOP - BOTTOM)

    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="PSNR against frames a second">']
    step = max(1, (high - low) // 5)
    for level in range(low, high + 1, step):
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - 20}" y1="{py(level):.1f}" y2="{py(level):.1f}" class="grid"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{py(level) + 4:.1f}" text-anchor="end">{level} dB</text>')
    for power in range(math.floor(left), math.ceil(right) + 1):
        for digit in (1, 2, 5):
            if left <= (x := power + math.log10(digit)) <= right:
                text = f"{digit * 10**power:,.0f}"
                parts.append(f'<text x="{px(x):.1f}" y="{HEIGHT - 24}" text-anchor="middle">{text}</text>')
    label = "frames a second in all, 64 sessions"
    parts.append(f'<text x="{WIDTH - 20}" y="{HEIGHT - 6}" text-anchor="end">{label}</text>')
    for row, (x, interval) in zip(rungs, points, strict=True):
        if interval.value is None or interval.low is None or interval.high is None:
            continue
        ends = f'y1="{py(interval.low):.1f}" y2="{py(interval.high):.1f}"'
        parts.append(
            f'<line x1="{px(x):.1f}" x2="{px(x):.1f}" {ends} stroke="#2a6f97" stroke-width="3" opacity="0.45"/>'
        )
        parts.append(f'<circle cx="{px(x):.1f}" cy="{py(interval.value):.1f}" r="4" fill="#2a6f97"/>')
        parts.append(f'<text x="{px(x) + 7:.1f}" y="{py(interval.value) - 7:.1f}">{html.escape(row.name)}</text>')
    return "".join(parts) + "</svg>"
