"""How the stability suite's figures are shown to people."""

from __future__ import annotations

import numpy as np

from worldling.judge.stability.suite import SpreadCurve, StabilityResult, StabilityTiming
from worldling.report.figures import Line, film, line_chart
from worldling.report.sections import Block, Cell, Figure, Headline, Measured, Section, Table, Text, show

#: The spread of the latents that counts as kept, as a ratio to the data's.
KEPT = (0.9, 1.1)

_ROWS = (
    (
        "latent_std_ratio",
        "spread of the latents, roll-out over data",
        "",
        "1 is right; less is washed out, more is noise",
    ),
    ("latent_mean_shift", "shift of the latents' mean, in spreads of the data", "", "0 is right"),
    ("motion_ratio", "motion from frame to frame, roll-out over data", "", "1 is right; 0 is frozen"),
    ("not_a_number", "roll-outs that became not a number", "share", ""),
    ("frozen", "roll-outs that froze", "share", ""),
    ("left_range_ever", "roll-outs that ever left the data's range", "share", ""),
    ("frames_out_of_range", "frames outside the data's range", "share", ""),
    ("out_of_range_at_end", "roll-outs outside it at the end", "share", ""),
)


def page(result: StabilityResult) -> Section:
    """Lay out film strips, the curve of the spread, and the tables."""
    longest = list(result.lengths)[-1]
    last = result.lengths[longest]
    intro = (
        f"{result.n} roll-outs of {longest:,} frames each ({_duration(longest / result.fps)} of real time), in one "
        "batch, under recorded action sequences put one after the other. Nothing real is shown to the world after the "
        "start, so there is no ground truth to compare with: a good roll-out keeps moving and looks like the data."
    )
    headlines = [
        Headline(
            f"Spread kept after {longest:,} frames",
            show(last.latent_std_ratio.value, ""),
            f"1 is right, {KEPT[0]} to {KEPT[1]} is kept",
        ),
        Headline(
            "Roll-outs not a number, frozen or out of range at the end",
            show(last.bad_at_end.value, "share"),
            f"of {result.n} roll-outs",
        ),
    ]
    blocks: list[Block] = [
        Text(intro),
        _films(result.films),
        _curve(result.curve),
        _table(result),
        _costs(result.timing),
    ]
    return Section("Stability: do long roll-outs last?", headlines, blocks)


def _table(result: StabilityResult) -> Table:
    rows: list[list[Cell]] = [
        [
            f"{label} ({hint})" if hint else label,
            *(Measured(getattr(found, key), unit) for found in result.lengths.values()),
        ]
        for key, label, unit, hint in _ROWS
    ]
    return Table(
        "What became of the roll-outs",
        ["", *(f"{length:,} frames" for length in result.lengths)],
        rows,
        "Ratios and shift over the last 1,000 frames up to there. Out of range: "
        f"{result.definitions.out_of_range}. Frozen: {result.definitions.frozen}.",
    )


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} seconds" if seconds < 120 else f"{seconds / 60:.0f} minutes"


def _films(films: dict[int, np.ndarray]) -> Figure:
    times = sorted(films)
    rows = [(f"roll-out {i + 1}", np.stack([films[t][i] for t in times])) for i in range(len(films[0]))]
    return Figure(
        "Film strip of long roll-outs",
        film(rows, ["start", *(f"frame {t:,}" for t in times[1:])]),
        "Each row is one roll-out. Look for pictures that fade, freeze, or stop looking like the first.",
    )


def _curve(curve: SpreadCurve) -> Figure:
    line = Line("median roll-out, with lowest and highest", curve.frame, curve.median, curve.lowest, curve.highest)
    return Figure(
        "Spread of the latents over time, against the data's",
        line_chart([line], "frames predicted", "roll-out / data", band=KEPT),
        "The green band is 0.9 to 1.1. A fall means a washed-out picture, a rise means noise.",
    )


def _costs(timing: StabilityTiming) -> Table:
    def cell(value: float | None, unit: str) -> str:
        return "not measured" if value is None else show(value, unit)

    change = f"{(timing.step_ms_ratio - 1) * 100:+.1f} %"
    first, last = timing.memory_mb_first, timing.memory_mb_last
    grown = "not measured" if first is None or last is None else f"{last - first:+.1f} MB"
    frames = f"{timing.frames_compared:,} frames"
    return Table(
        "Time and memory",
        ["", f"first {frames}", f"last {frames}", "change"],
        [
            [
                "one step of the whole batch, median",
                cell(timing.step_ms_first, "ms"),
                cell(timing.step_ms_last, "ms"),
                change,
            ],
            ["resident memory", cell(first, "MB"), cell(last, "MB"), grown],
        ],
        "Measured on this machine while judging; other work on it shows here.",
    )
