"""The speed suite: frames per second of the judged world, alone and in a batch, by a short loop around `step`.

`worldling bench` compares backends with each other; this times the one that was judged, as it stands.
"""

from __future__ import annotations

from typing import Any

from worldling.judge.case import Case
from worldling.machine import hardware
from worldling.report.sections import Section, Table, Text, show
from worldling.timing.steps import BATCHES, time_world


def run(case: Case) -> Section:
    """Time the world; all figures depend on the machine and the moment, so all lie in the section's timing.

    Cost: a few seconds.
    """
    found = time_world(case.world, *case.beginnings(max(BATCHES)), quiet=case.quiet)
    on = hardware(case.world.device)
    timing = {**vars(on), "energy": found.energy, "rows": [vars(row) for row in found.rows]}
    rows = timing["rows"]
    cells = [
        [
            f"batch of {r['batch']}",
            show(r["fps_p50"]),
            show(r["p50_ms"]),
            show(r["p99_ms"]),
            str(r["num_steps"]),
            _joules(r),
        ]
        for r in rows
    ]
    blocks = [
        Text(
            f"Action in, picture out, on {timing['device']}, {timing['cores']} cores, by the backend "
            f"{case.world.backend.name}. Other work on the machine shows here."
        ),
        Table(
            "Speed",
            ["", "frames/s, at the median step", "p50, ms", "p99, ms", "steps", "joules per 1,000 frames"],
            cells,
        ),
    ]
    headlines = [("Frames a second, one session", show(rows[0]["fps_p50"]), f"{case.fps:g} are needed for real time")]
    return Section("Speed: how soon is the next frame there?", {"batches": BATCHES}, timing, headlines, blocks)


def _joules(row: dict[str, Any]) -> str:
    joules = row["joules_per_1000_frames"]
    return "not measured" if joules is None else show(joules)
