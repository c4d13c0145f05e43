"""`judge`: put a world before held-out data, run suites, and say how good it is."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from worldling.data.store import open_dataset
from worldling.errors import JudgeError, nearest
from worldling.judge.case import Case, Settings, check_fits, is_held_out
from worldling.judge.report import Section, check_out, plain, write_report

#: Suites by name: the module whose `run(case)` returns a `Section`. A new suite is one line here.
SUITES: dict[str, str] = {
    "fidelity": "worldling.judge.fidelity",
    "stability": "worldling.judge.stability",
    "speed": "worldling.judge.speed",
    "cost": "worldling.judge.cost",
}


def judge(
    world: Any,
    dataset_path: str | Path,
    out: str | Path | None = None,
    suites: Sequence[str] = ("fidelity", "stability"),
    starts: int = 500,
    seed: int = 0,
    horizons: Sequence[int] = (1, 5, 10, 25, 50),
    quiet: bool = False,
    rollouts: int = 16,
    lengths: Sequence[int] = (1000, 10000),
) -> dict[str, Any]:
    """Judge `world` (as made by `worldling.load`) on the data set at `dataset_path`; returns the report.

    out: folder for report.html and report.json, written at the end, whole or not at all; None writes
    nothing. suites: names in `SUITES`. starts, horizons: of the fidelity suite (how many points, and how
    many frames ahead are tabled). rollouts, lengths: of the stability suite. The report is json values:
    `{"about", "suites": {name: values}, "timing"}`; all but "timing" is the same for the same seed.

    Raises `JudgeError` if a suite is unknown or the data do not fit the world, `DatasetError` if the
    data cannot be read.
    """
    names = list(dict.fromkeys(suites))
    if not names:
        raise JudgeError(f"`suites` must name at least one suite, got none. {nearest('', SUITES)}")
    runs = {name: suite(name) for name in names}
    settings = Settings(starts, seed, tuple(horizons), rollouts, tuple(lengths))
    if out is not None:
        check_out(out)
    begun = time.monotonic()
    data = open_dataset(dataset_path)
    try:
        check_fits(world, data.meta, dataset_path)
        case = Case(world, data, settings, quiet)
        sections = {name: run(case) for name, run in runs.items()}
        about = _about(world, case, dataset_path, names)
    finally:
        data.close()
    report = plain(
        {
            "about": about,
            "suites": {name: section.values for name, section in sections.items()},
            "timing": {
                "date": time.strftime("%Y-%m-%d %H:%M"),
                "machine": f"{platform.system()} {platform.machine()}",
                "seconds": time.monotonic() - begun,
                **{name: section.timing for name, section in sections.items()},
            },
        }
    )
    if out is not None:
        write_report(report, list(sections.values()), out)
    return report


def suite(name: str) -> Callable[[Case], Section]:
    """Return the `run` of the suite called `name`; raises `JudgeError` naming the nearest one."""
    if name not in SUITES:
        raise JudgeError(f"`suites` must be known suites, got {name!r}. {nearest(name, SUITES)}")
    return import_module(SUITES[name]).run


def _about(world: Any, case: Case, dataset_path: str | Path, names: list[str]) -> dict[str, Any]:
    meta = case.data.meta
    return {
        "world": world.path.name if world.path else world.card.get("name", "world"),
        "backend": world.backend_name,
        "env_id": meta.env_id,
        "size_px": meta.size_px,
        "data": {
            "path": str(dataset_path),
            "episodes": len(case.data),
            "frames": case.data.num_frames,
            "policy": meta.policy,
            "seed": meta.seed,
            "held_out": is_held_out(world, meta),
        },
        "suites": names,
        "settings": vars(case.settings),
    }
