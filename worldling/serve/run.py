"""`serve`: runs the player's server until Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import signal
import socket
import sys
import webbrowser
from collections.abc import Callable, Sequence
from urllib.parse import quote

from worldling.alarm import DriftAlarm
from worldling.errors import ServeError
from worldling.protocol import WorldModel
from worldling.serve.app import build_app
from worldling.serve.budgets import MAX_SESSIONS
from worldling.serve.catalogue import Catalogue
from worldling.serve.guard import LOOPBACK, allowed_hosts
from worldling.serve.hosted import HostedWorld
from worldling.serve.port import open_port
from worldling.serve.real_environment import RealEnvironment, open_real_environment
from worldling.serve.server import PlayServer

IS_OVER_EVERY_S = 0.1


def serve(
    world: WorldModel,
    host: str = "127.0.0.1",
    port: int = 8000,
    beside: bool | str = False,
    fps: float | None = None,
    open_browser: bool = True,
    announce: Callable[[str], None] | None = None,
    alarm: DriftAlarm | None = None,
    allow_hosts: Sequence[str] = (),
    max_sessions: int = MAX_SESSIONS,
) -> None:
    """Serve the page on which people play `world`, until Ctrl-C or SIGTERM.

    beside: show the real environment next to the dream, the one named or (True) that of the world's card; fps: frames
    per second at speed 1, by default that of the data; port: 0 takes any free one; announce: called with the page's URL
    once it can be opened, instead of printing it on stderr; alarm: warns on the page when a dream has drifted;
    allow_hosts: names under which players open the page, besides those of loopback: needed for another `host`;
    max_sessions: players at once.
    Raises `ServeError` when the port is taken, the world has no starts, or neither it nor `fps` gives a frame rate;
    `EnvError` when `beside` and the environment cannot be opened.
    """
    hosted = HostedWorld(world.config.name, world, fps, real_opener(world, beside) if beside else None, alarm=alarm)
    serve_catalogue(Catalogue.of(hosted), host, port, open_browser, announce, allow_hosts, max_sessions)


def real_opener(world: WorldModel, beside: bool | str) -> Callable[[], RealEnvironment]:
    """Return what opens a real environment beside `world`: the one named, or that of its card."""
    return functools.partial(open_real_environment, world, beside if isinstance(beside, str) else "")


def serve_catalogue(
    catalogue: Catalogue,
    host: str = "127.0.0.1",
    port: int = 8000,
    open_browser: bool = True,
    announce: Callable[[str], None] | None = None,
    allow_hosts: Sequence[str] = (),
    max_sessions: int = MAX_SESSIONS,
) -> None:
    """Serve the page on which people play the worlds of a catalogue, as `serve` does for one."""
    if not 1 <= max_sessions <= 10000:
        raise ServeError(f"`max_sessions` must be 1 to 10000, got {max_sessions}. Try {MAX_SESSIONS}.")
    hosts = allowed_hosts(host, allow_hosts)
    sock = open_port(host, port)
    serve_until(PlayServer(catalogue, max_sessions), sock, host, hosts, open_browser, announce)


def serve_until(
    server: PlayServer,
    sock: socket.socket,
    host: str,
    hosts: tuple[str, ...] = LOOPBACK,
    open_browser: bool = True,
    announce: Callable[[str], None] | None = None,
    is_over: Callable[[], bool] = lambda: False,
) -> None:
    """Run a server on a listening socket, which is closed at the end: Ctrl-C, SIGTERM or as soon as `is_over()`."""
    try:
        asyncio.run(_run(server, sock, host, hosts, open_browser, announce or print_url, is_over))
    except KeyboardInterrupt:  # only where the loop cannot take signals
        pass
    finally:
        sock.close()


def print_url(url: str) -> None:
    """Print the page's URL on stderr."""
    print(f"Play at {url} (Ctrl-C stops)", file=sys.stderr, flush=True)


async def _run(
    server: PlayServer,
    sock: socket.socket,
    host: str,
    hosts: tuple[str, ...],
    open_browser: bool,
    announce: Callable[[str], None],
    is_over: Callable[[], bool],
) -> None:
    from aiohttp import web

    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        # On Windows, or outside the main thread, the loop cannot take signals.
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            loop.add_signal_handler(name, stop.set)
    runner = web.AppRunner(build_app(server, hosts), access_log=None, shutdown_timeout=2.0)
    await runner.setup()
    try:
        chosen = server.catalogue.chosen
        if chosen is not None:  # fail here, in the terminal, if its environment is missing
            await server.host(chosen)
        await web.SockSite(runner, sock).start()
        reached = host if host in hosts else hosts[-1]  # such as 0.0.0.0, which is no name to ask for
        shown = f"[{reached}]" if ":" in reached else reached
        several = chosen is not None and server.num_worlds > 1
        url = f"http://{shown}:{sock.getsockname()[1]}/" + (f"?world={quote(chosen or '', safe='')}" if several else "")
        announce(url)
        if open_browser and _has_screen():
            await asyncio.to_thread(webbrowser.open, url)
        while not (stop.is_set() or is_over()):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), IS_OVER_EVERY_S)
    finally:
        await runner.cleanup()


def _has_screen() -> bool:
    """Return whether a browser can open a window; without one, webbrowser may start a text browser."""
    return sys.platform != "linux" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
