"""How the speed suite's figures are shown to people."""

from __future__ import annotations

from worldling.judge.speed.suite import SpeedResult
from worldling.report.sections import Cell, Headline, Section, Table, Text, show


def page(result: SpeedResult) -> Section:
    """Lay out the table of speeds."""
    timing = result.timing
    rows: list[list[Cell]] = [
        [
            f"batch of {row.batch}",
            show(row.fps_p50),
            show(row.p50_ms),
            show(row.p99_ms),
            row.num_steps,
            "not measured" if row.joules_per_1000_frames is None else show(row.joules_per_1000_frames),
        ]
        for row in timing.rows
    ]
    text = (
        f"Action in, frame out, on {timing.device}, {timing.cores} cores, by the backend {result.backend}. Other work "
        "on the machine shows here."
    )
    columns = ["", "frames/s, at the median step", "p50, ms", "p99, ms", "steps", "joules per 1,000 frames"]
    alone = show(timing.rows[0].fps_p50)
    headline = Headline("Frames per second, one session", alone, f"{result.fps:g} are needed for real time")
    return Section("Speed: how soon is the next frame there?", [headline], [Text(text), Table("Speed", columns, rows)])
