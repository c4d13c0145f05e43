"""`worldling.play`: the worlds of this machine, played in the browser, until Ctrl-C."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from worldling.errors import ConfigError
from worldling.protocol import WorldModel, name_of
from worldling.serve.budgets import MAX_SESSIONS

if TYPE_CHECKING:
    from worldling.alarm import DriftAlarm
    from worldling.serve.hosted import HostedWorld


def play(
    world: str | Path | WorldModel | None = None,
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
    """Serve the page on which people play, until Ctrl-C: on a start page all worlds, or `world` at once.

    world: a folder, a bundled name, file.py:callable, a `WorldModel`, or None. The page lists the bundled worlds and
    those in the folder `worlds`, and switches between them, unless the world is a model of one's own.
    beside: True shows the real environment next to the dream, a name (an id, my_game:MyGame-v0, my_game.py:MyGame)
    shows that one next to `world`; alarm: True takes the drift alarm that lies with a world, a path fits one on that
    data set; world_args: of the callable; the others: see `worldling.serve.run.serve`. Raises `ServeError`,
    `EnvError`, `CheckpointError`, `BackendError` or `ConfigError`.
    """
    from worldling.alarm import FILE as ALARM_FILE
    from worldling.backends.load import load, open_world
    from worldling.serve.catalogue import Catalogue
    from worldling.serve.hosted import HostedWorld
    from worldling.serve.port import open_port
    from worldling.serve.run import real_opener, serve_catalogue

    if world is None and (isinstance(beside, str) or not isinstance(alarm, bool)):
        given, name = (beside, "beside") if isinstance(beside, str) else (alarm, "alarm")
        raise ConfigError(f"`--{name} {given}` must be given with a world, got none. Name it: worldling play WORLD.")

    def open_listed(id: str, folder: Path) -> HostedWorld:
        """Open a world that the page asks for."""
        found = load(folder, backend, quiet=True)
        opener = real_opener(found, True) if beside else None
        has_alarm = bool(alarm) and (folder / ALARM_FILE).is_file()
        return HostedWorld(id, found, fps, opener, optional=True, alarm=_alarm(found, has_alarm))

    if port:
        open_port(host, port).close()  # say that it is taken before anything takes time
    opened = None if world is None else open_world(world, backend, quiet, world_args)
    catalogue = Catalogue() if opened is not None and opened.path is None else Catalogue(open_listed)
    if opened is not None:
        opener = real_opener(opened, beside) if beside else None
        folder = opened.path.resolve() if opened.path else None
        id = next((id for id, path in catalogue.folders.items() if path.resolve() == folder), name_of(opened))
        catalogue.add(HostedWorld(id, opened, fps, opener, alarm=_alarm(opened, alarm)))
    serve_catalogue(catalogue, host, port, open_browser, announce, allow_hosts, max_sessions)


def _alarm(world: WorldModel, alarm: bool | str | Path) -> DriftAlarm | None:
    """Return the drift alarm of a world: that in its folder, or one fitted on a data set."""
    from worldling.alarm import DriftAlarm

    if alarm is True:
        if world.path is None:
            raise ConfigError("`--alarm` must be given DATA for a world without a folder, got none. Add a data set.")
        return DriftAlarm.load(world.path)
    return DriftAlarm.fit_on(world, str(alarm)) if alarm else None
