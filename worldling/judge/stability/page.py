"""How the stability suite's figures are shown to people."""

from __future__ import annotations

from typing import Any

import numpy as np

from worldling.judge.case import Case
from worldling.report.figures import Line, film, line_chart
from worldling.report.sections import Figure, Section, Table, Text, show

#: The spread of the latents that counts as kept, as a ratio to the data's.
KEPT = (0.9, 1.1)

_ROWS = (
    ("latent_std_ratio", "spread of the latents, dream over data", "", "1 is right; less is washed out, more is noise"),
    ("latent_mean_shift", "shift of the latents' mean, in spreads of the data", "", "0 is right"),
    ("motion_ratio", "motion from frame to frame, dream over data", "", "1 is right; 0 is frozen"),
    ("not_a_number", "dreams that broke (not a number)", "share", ""),
    ("frozen", "dreams that froze", "share", ""),
    ("left_range_ever", "dreams that ever left the data's range", "share", ""),
    ("frames_out_of_range", "frames outside the data's range", "share", ""),
    ("out_of_range_at_end", "dreams outside it at the end", "share", ""),
)


def page(case: Case, values: dict[str, Any], timing: dict[str, Any], films: dict[int, np.ndarray]) -> Section:
    """Lay out film strips, the curve of the spread, and the tables."""
    lengths = list(values["lengths"])
    last = values["lengths"][lengths[-1]]
    blocks: list[Any] = [
        Text(
            f"{values['n']} dreams of {lengths[-1]:,} frames each "
            f"({_duration(lengths[-1] / case.data.meta.fps)} of real time), in one batch, under real action "
            "sequences put one after the other. Nothing real is shown to the world after the start, so "
            "there is no truth to compare with: a good dream stays lively and looks like the data."
        ),
        _films(films),
        _curve(values),
        Table(
            "What became of the dreams",
            ["", *(f"{length:,} frames" for length in lengths)],
            [
                [
                    f"{label} ({hint})" if hint else label,
                    *({**values["lengths"][n][key], "unit": unit} for n in lengths),
                ]
                for key, label, unit, hint in _ROWS
            ],
            "Ratios and shift over the last 1,000 frames up to there. Out of range: "
            f"{values['definitions']['out_of_range']}. Frozen: {values['definitions']['frozen']}.",
        ),
        _costs(timing),
    ]
    ratio = last["latent_std_ratio"]["value"]
    headlines = [
        (f"Spread kept after {lengths[-1]:,} frames", show(ratio, ""), f"1 is right, {KEPT[0]} to {KEPT[1]} is kept"),
        (
            "Dreams broken, frozen or out of range at the end",
            show(last["bad_at_end"]["value"], "share"),
            f"of {values['n']} dreams",
        ),
    ]
    return Section("Stability: does the dream last?", values, timing, headlines, blocks)


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} seconds" if seconds < 120 else f"{seconds / 60:.0f} minutes"


def _films(films: dict[int, np.ndarray]) -> Figure:
    times = sorted(films)
    rows = [(f"dream {i + 1}", np.stack([films[t][i] for t in times])) for i in range(len(films[0]))]
    return Figure(
        "Film strip of long dreams",
        film(rows, ["start", *(f"frame {t:,}" for t in times[1:])]),
        "Each row is one dream. Look for pictures that fade, freeze, or stop looking like the first.",
    )


def _curve(values: dict[str, Any]) -> Figure:
    curve = values["curve"]
    line = Line(
        "median dream, with lowest and highest", curve["frame"], curve["median"], curve["lowest"], curve["highest"]
    )
    return Figure(
        "Spread of the latents over time, against the data's",
        line_chart([line], "frames dreamed", "dream / data", band=KEPT),
        "The green band is 0.9 to 1.1. A fall means a washed-out picture, a rise means noise.",
    )


def _costs(timing: dict[str, Any]) -> Table:
    def cell(value: float | None, unit: str) -> str:
        return "not measured" if value is None else show(value, unit)

    change = f"{(timing['step_ms_ratio'] - 1) * 100:+.1f} %"
    first, last = timing["memory_mb_first"], timing["memory_mb_last"]
    grown = "not measured" if first is None or last is None else f"{last - first:+.1f} MB"
    frames = f"{timing['frames_compared']:,} frames"
    return Table(
        "Time and memory",
        ["", f"first {frames}", f"last {frames}", "change"],
        [
            [
                "one step of the whole batch, median",
                cell(timing["step_ms_first"], "ms"),
                cell(timing["step_ms_last"], "ms"),
                change,
            ],
            ["resident memory", cell(first, "MB"), cell(last, "MB"), grown],
        ],
        "Measured on this machine while judging; other work on it shows here.",
    )
