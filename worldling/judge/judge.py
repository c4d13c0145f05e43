"""`judge`: put a world before held-out data, run suites, and say how good it is."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from worldling.data.store import open_dataset, read_meta
from worldling.errors import JudgeError, nearest
from worldling.judge.case import (
    Case,
    Settings,
    check_chaos,
    check_clips,
    check_fits,
    check_physics,
    check_stimuli,
    has_clips,
    is_chaos,
    is_held_out,
    is_physics,
)
from worldling.judge.self_check import self_check
from worldling.protocol import WorldModel, check_world, name_of
from worldling.report.sections import Section, check_out, plain, write_report

#: Suites by name: the module whose `run(case)` returns a `Section`. A new suite is one line here.
SUITES: dict[str, str] = {
    "fidelity": "worldling.judge.fidelity.suite",
    "stability": "worldling.judge.stability.suite",
    "ocp": "worldling.judge.ocp.suite",
    "surprise": "worldling.judge.surprise.suite",
    "control": "worldling.judge.control.suite",
    "horizon": "worldling.judge.horizon.suite",
    "chaos": "worldling.judge.chaos.suite",
    "physion": "worldling.judge.physion.suite",
    "speed": "worldling.judge.speed.suite",
    "cost": "worldling.judge.cost.suite",
}
#: What a suite needs: recorded data, those or clips of the world's own, a world of the physics scenes or of a chaotic
#: environment, or Physion's stimuli.
ON_DATA = ("fidelity", "stability")
ON_CLIPS = ("speed", "cost")
ON_SCENES = ("ocp", "surprise", "control", "horizon")
ON_CHAOS = ("chaos",)
ON_STIMULI = ("physion",)


def suites_for(world: WorldModel, dataset_path: str | Path | None, physion: str | Path = "") -> list[str]:
    """Name every suite that can be run on this world with these data: what `--suite all` means."""
    unfit = (
        *(ON_DATA if dataset_path is None else ()),
        *(ON_CLIPS if dataset_path is None and not has_clips(world) else ()),
        *(() if is_physics(world) else ON_SCENES),
        *(() if is_chaos(world) else ON_CHAOS),
        *(() if physion else ON_STIMULI),
    )
    return [name for name in SUITES if name not in unfit]


def judge(
    world: WorldModel,
    dataset_path: str | Path | None = None,
    out: str | Path | None = None,
    suites: Sequence[str] = ON_DATA,
    quiet: bool = False,
    **dials: Any,
) -> dict[str, Any]:
    """Judge `world` (ours or anybody's), for some suites on the data set at `dataset_path`; returns the report.

    out: folder for report.html and report.json, written at the end, whole or not at all; None writes
    nothing. suites: names in `SUITES`, or "all" that can be run. dials: of `Settings`, such as starts or seed.
    The report is json values: `{"about", "suites": {name: values}, "self_check", "timing"}`; all but "timing" is the same
    for the same seed.

    Raises `JudgeError` if a suite or a dial is unknown, the world lacks a part or the data do not fit it,
    `DatasetError` if the data cannot be read.
    """
    names, settings = check_task(world, dataset_path, suites, dials)
    if out is not None:
        check_out(out)
    begun = time.monotonic()
    data = None if dataset_path is None else open_dataset(dataset_path)
    try:
        if data is not None and "horizons" not in dials:
            settings = settings.within(
                int(np.median(data.lengths)) - world.config.context - 1
            )  # half the episodes have two starts
        case = Case(world, data, settings, quiet)
        sections = {name: suite(name)(case) for name in names}
        checked = self_check(sections)
        shown = {**sections, **({"self_check": checked} if checked else {})}
        about = _about(world, case, dataset_path, names)
    finally:
        if data is not None:
            data.close()
    report = plain(
        {
            "about": about,
            "suites": {name: section.values for name, section in sections.items()},
            **({"self_check": checked.values} if checked else {}),
            "timing": {
                "date": time.strftime("%Y-%m-%d %H:%M"),
                "machine": f"{platform.system()} {platform.machine()}",
                "seconds": time.monotonic() - begun,
                "headlines": {name: section.headlines for name, section in shown.items()},
                **{name: section.timing for name, section in sections.items()},
            },
        }
    )
    if out is not None:
        write_report(report, list(shown.values()), out)
    return report


def check_task(
    world: WorldModel, dataset_path: str | Path | None, suites: Sequence[str], dials: dict[str, Any]
) -> tuple[list[str], Settings]:
    """Return the suites to run and the dials, after all checks that need no judging. Raises as `judge` does."""
    check_world(world)
    known = [field.name for field in fields(Settings)]
    for name in dials:
        if name not in known:
            raise JudgeError(f"`{name}` must be a setting of the judge, got an unknown one. {nearest(name, known)}")
    settings = Settings(**dials)
    names = suites_for(world, dataset_path, settings.physion) if "all" in suites else list(dict.fromkeys(suites))
    if not names:
        raise JudgeError(f"`suites` must name at least one suite, got none. {nearest('', SUITES)}")
    for name in names:
        suite(name)
        if name in ON_DATA and dataset_path is None:
            raise JudgeError(
                f"`data` must be given for the suite {name}, got none. Record held-out frames and add --data FOLDER."
            )
        if name in ON_CLIPS and dataset_path is None:
            check_clips(world)
        if name in ON_SCENES:
            check_physics(world, name)
        if name in ON_CHAOS:
            check_chaos(world, name)
        if name in ON_STIMULI:
            check_stimuli(world, settings.physion)
    if dataset_path is not None:
        check_fits(world, read_meta(dataset_path), dataset_path)
    return names, settings


def suite(name: str) -> Callable[[Case], Section]:
    """Return the `run` of the suite called `name`; raises `JudgeError` naming the nearest one."""
    if name not in SUITES:
        raise JudgeError(f"`suites` must be known suites, got {name!r}. {nearest(name, SUITES)}")
    return import_module(SUITES[name]).run


def _about(world: WorldModel, case: Case, dataset_path: str | Path | None, names: list[str]) -> dict[str, Any]:
    data = None
    if case.data is not None:
        meta = case.data.meta
        data = {
            "path": str(dataset_path),
            "episodes": len(case.data),
            "frames": case.data.num_frames,
            "policy": meta.policy,
            "seed": meta.seed,
            "held_out": is_held_out(world, meta),
        }
    return {
        "world": name_of(world),
        "backend": world.backend.name,
        "env_id": world.card.get("source", {}).get("env_id", case.data.meta.env_id if case.data else "unknown"),
        "size_px": world.size_px,
        "data": data,
        "suites": names,
        "settings": vars(case.settings),
    }
