"""`worldling.play`: a world by its name, played in the browser, until Ctrl-C."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from worldling.errors import ConfigError
from worldling.protocol import WorldModel
from worldling.serve.budgets import MAX_SESSIONS


def play(
    world: str | Path | WorldModel = "pusht",
    beside: bool | str = False,
    port: int = 8000,
    host: str = "127.0.0.1",
    fps: float | None = None,
    open_browser: bool = True,
    backend: str = "auto",
    alarm: bool | str | Path = False,
    world_args: Mapping[str, Any] | None = None,
    quiet: bool = False,
    announce: Callable[[str], None] | None = None,
    allow_hosts: tuple[str, ...] = (),
    max_sessions: int = MAX_SESSIONS,
) -> None:
    """Serve the page on which people play `world`, until Ctrl-C.

    world: a folder, a bundled name, file.py:callable or a `WorldModel`; beside: True shows the real environment next to
    the dream, a name (an id, my_game:MyGame-v0, my_game.py:MyGame) shows that one; alarm: True takes the drift alarm
    that lies with the world, a path fits one on that data set; world_args: of the callable; the others: see
    `worldling.serve.app.serve`. Raises `ServeError`, `EnvError`, `CheckpointError`, `BackendError` or `ConfigError`.
    """
    from worldling.alarm import DriftAlarm
    from worldling.backends.load import open_world
    from worldling.serve.app import serve

    opened = open_world(world, backend, quiet, world_args)
    rings = None
    if alarm is True:
        if opened.path is None:
            raise ConfigError("`--alarm` must be given DATA for a world without a folder, got none. Add a data set.")
        rings = DriftAlarm.load(opened.path)
    elif alarm:
        rings = DriftAlarm.fit_on(opened, str(alarm))
    serve(opened, host, port, beside, fps, open_browser, announce, rings, allow_hosts, max_sessions)
