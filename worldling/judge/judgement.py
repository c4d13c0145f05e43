"""`judge`: run suites on a world with held-out data, and say how good it is."""

from __future__ import annotations

import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from worldling.data.store import open_dataset, read_meta
from worldling.errors import JudgeError, nearest
from worldling.judge.case import Case
from worldling.judge.judgement_page import judgement_html
from worldling.judge.needs import NEEDS, Given, check_fits, is_held_out
from worldling.judge.registry import SUITES, find_suite, suites_that_need
from worldling.judge.report import About, JudgedData, Judgement
from worldling.judge.report_files import check_out, write_report
from worldling.judge.self_check import check_measures
from worldling.judge.self_check import page as self_check_page
from worldling.judge.settings import Settings
from worldling.protocol import WorldModel, check_world, name_of

#: What is judged where nobody names suites.
DEFAULT_SUITES = suites_that_need("data")


def judge(
    world: WorldModel,
    dataset_path: str | Path | None = None,
    out: str | Path | None = None,
    suites: Sequence[str] = DEFAULT_SUITES,
    quiet: bool = False,
    **settings: Any,
) -> dict[str, Any]:
    """Judge `world` (ours or anybody's), for some suites on the data set at `dataset_path`; returns report.json.

    out: folder for report.html and report.json, written at the end, whole or not at all; None writes
    nothing. suites: names in `SUITES`, or "all" that can be run. settings: of `Settings`, such as starts or seed.
    The report is JSON values, `{"about", "suites": {name: figures}, "self_check", "timing"}`; all but "timing" is
    the same for the same seed.

    Raises `JudgeError` if a suite or a setting is unknown, the world lacks a part or the data do not fit it,
    `DatasetError` if the data cannot be read.
    """
    if out is not None:
        check_out(out)
    judgement = judge_world(world, dataset_path, suites, quiet, settings)
    report = judgement.report()
    if out is not None:
        write_report(report, judgement_html(judgement), out)
    return report


def judge_world(
    world: WorldModel, dataset_path: str | Path | None, suites: Sequence[str], quiet: bool, settings: Mapping[str, Any]
) -> Judgement:
    """Judge as `judge` does, and return the results as they are, writing nothing."""
    names, chosen = check_task(world, dataset_path, suites, settings)
    begun = time.monotonic()
    data = None if dataset_path is None else open_dataset(dataset_path)
    try:
        if data is not None and "horizons" not in settings:  # half the episodes have two starts
            chosen = chosen.within(int(np.median(data.lengths)) - world.config.context - 1)
        case = Case(world, data, chosen, quiet)
        results = {name: find_suite(name).run(case) for name in names}
        about = _about(case, dataset_path, names)
    finally:
        if data is not None:
            data.close()
    sections = {name: find_suite(name).page(result) for name, result in results.items()}
    checked = check_measures(results)
    if checked is not None:
        sections["self_check"] = self_check_page(checked)
    return Judgement(
        about,
        results,
        sections,
        checked,
        time.strftime("%Y-%m-%d %H:%M"),
        f"{platform.system()} {platform.machine()}",
        time.monotonic() - begun,
    )


def suites_for(world: WorldModel, dataset_path: str | Path | None, physion: str | Path = "") -> list[str]:
    """Name every suite that can be run on this world with these data: what `--suite all` means."""
    given = Given(world, dataset_path, physion)
    return [name for name, suite in SUITES.items() if NEEDS[suite.needs].fits(given)]


def check_task(
    world: WorldModel, dataset_path: str | Path | None, suites: Sequence[str], settings: Mapping[str, Any]
) -> tuple[list[str], Settings]:
    """Return the suites to run, in the order of the report, and the settings, after all checks that need no judging.

    Raises as `judge` does.
    """
    check_world(world)
    known = [field.name for field in fields(Settings)]
    for name in settings:
        if name not in known:
            raise JudgeError(f"`{name}` must be a setting of the judge, got an unknown one. {nearest(name, known)}")
    chosen = Settings(**settings)
    asked = suites_for(world, dataset_path, chosen.physion) if "all" in suites else suites
    if not asked:
        raise JudgeError(f"`suites` must name at least one suite, got none. {nearest('', SUITES)}")
    given = Given(world, dataset_path, chosen.physion)
    for name in asked:
        NEEDS[find_suite(name).needs].check(given, name)
    if dataset_path is not None:
        check_fits(world, read_meta(dataset_path), dataset_path)
    return [name for name in SUITES if name in asked], chosen


def headlines(report: Mapping[str, Any]) -> dict[str, list[str]]:
    """Say what stands at the top of the page of a report.json, a line each, by suite."""
    return {
        name: [f"{label}: {figure} ({comparison})" for label, figure, comparison in lines] or ["see the report"]
        for name, lines in report["timing"]["headlines"].items()
    }


def _about(case: Case, dataset_path: str | Path | None, names: list[str]) -> About:
    world, data = case.world, None
    if case.data is not None:
        meta = case.data.meta
        data = JudgedData(
            path=str(dataset_path),
            episodes=len(case.data),
            frames=case.data.num_frames,
            policy=meta.policy,
            seed=meta.seed,
            held_out=is_held_out(world, meta),
        )
    return About(
        world=name_of(world),
        backend=world.backend.name,
        env_id=world.card.get("source", {}).get("env_id", case.data.meta.env_id if case.data else "unknown"),
        size_px=world.size_px,
        data=data,
        suites=names,
        settings=case.settings,
    )
