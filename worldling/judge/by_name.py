"""`worldling.judge` in Python: a world by its name, as on the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from worldling.protocol import WorldModel


def judge_by_name(
    world: str | Path | WorldModel,
    data: str | Path | None = None,
    out: str | Path | None = None,
    suites: Sequence[str] | str = "all",
    quiet: bool = False,
    backend: str = "auto",
    world_args: Mapping[str, Any] | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """Judge a world, given as folder, bundled name, file.py:callable or `WorldModel`; returns report.json.

    data: a data set it has not seen; out: folder for report.html and report.json, None writes nothing; suites: names,
    or "all" that can be run; world_args: of the callable; settings: of judge/settings.py, such as starts=500 or seed=0.
    The report is `{"about", "suites": {name: figures}, "self_check", "timing"}`. Raises `JudgeError`, `DatasetError`,
    `CheckpointError` or `ConfigError`.
    """
    from worldling.backends.load import open_world
    from worldling.judge.judgement import judge

    names = (suites,) if isinstance(suites, str) else tuple(suites)
    return judge(open_world(world, backend, quiet, world_args), data, out, names, quiet, **settings)
