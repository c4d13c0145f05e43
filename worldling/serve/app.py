"""The web application, and `serve`, which runs it until Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import re
import secrets
import signal
import socket
import sys
import threading
import time
import webbrowser
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from worldling.alarm import DriftAlarm
from worldling.data.fit import picture_of
from worldling.errors import ServeError, WorldlingError
from worldling.protocol import WorldModel
from worldling.serve.budgets import IDLE_S, MAX_SESSIONS, OverBudgetError
from worldling.serve.connection import Connection
from worldling.serve.guard import LOOPBACK, add_guard, allowed_hosts
from worldling.serve.messages import encode_jpeg
from worldling.serve.port import open_port
from worldling.serve.real_environment import RealEnvironment, open_real_environment
from worldling.serve.recording import write_gif, write_mp4
from worldling.serve.session import HISTORY_S, Session, is_pointer
from worldling.serve.turns import Turns

if TYPE_CHECKING:
    from aiohttp import web

MAX_MESSAGE_BYTES = 16384
PAGE = Path(__file__).parent / "player"
IS_OVER_EVERY_S = 0.1


class PlayServer:
    """What all sessions share: the world, its one worker thread and the open connections.

    One thread steps every session: backends are not thread-safe.
    open_real: opens a real environment for a session (called in the worker), or None without --beside;
    alarm: checks every frame of every session for drift, or None; max_sessions: sessions at once, more are refused.
    """

    def __init__(
        self,
        world: WorldModel,
        fps: float,
        open_real: Callable[[], RealEnvironment] | None = None,
        alarm: DriftAlarm | None = None,
        max_sessions: int = MAX_SESSIONS,
    ) -> None:
        self.world, self.fps, self.alarm, self.max_sessions = world, fps, alarm, max_sessions
        self.picture = picture_of(world.card.get("source", {}), world.size_px)
        self.connections: dict[str, Connection] = {}
        self.beside = open_real is not None
        self.stopping = threading.Event()  # stops running video encoders
        self._open_real = open_real
        self._idle: list[RealEnvironment] = []
        self.turns = Turns()
        self.encoding = asyncio.Semaphore(1)  # recordings encoded at once: more would slow down the players

    async def call(self, function: Callable[..., Any], *arguments: Any, owner: str = "") -> Any:
        """Run a blocking function in the world's thread, in the turn of session `owner`, or of the server."""
        return await self.turns.call(owner, function, *arguments)

    async def has_room(self) -> bool:
        """Say whether one more session may begin; if all seats are taken, the one idle longest may lose its own."""
        if len(self.connections) < self.max_sessions:
            return True
        idlest = min(self.connections.values(), key=lambda connection: connection.heard_at, default=None)
        if idlest is None or time.monotonic() - idlest.heard_at < IDLE_S:
            return False
        self.connections = {name: c for name, c in self.connections.items() if c is not idlest}
        await idlest.socket.close(code=1013, message=b"another player took the seat of this idle session")
        return True

    def describe(self) -> dict[str, Any]:
        """Return what the page and scripts need to know about the world, as json values."""
        world, space = self.world, self.world.action_space
        return {
            "name": world.config.name,
            "size_px": world.size_px,
            "picture_px": [self.picture.width, self.picture.height],
            "aspect": self.picture.aspect,
            "fps": self.fps,
            "backend": world.backend.name,
            "num_starts": len(world.contexts),
            "beside": self.beside,
            "history_frames": round(HISTORY_S * self.fps),
            "pointer": is_pointer(space),
            "action_space": {
                "kind": space.kind,
                "nvec": space.nvec,
                "low": space.low,
                "high": space.high,
                "names": space.names,
            },
        }

    def first_jpeg(self) -> bytes:
        """Return the last frame of the first context, shown while the first session starts."""
        return encode_jpeg(self.picture.cut(self.world.contexts[0].frames[self.world.config.context - 1]))

    def acquire_real(self) -> RealEnvironment | None:
        """Return a real environment for one session, reused or new. Call in the worker."""
        if self._open_real is None:
            return None
        return self._idle.pop() if self._idle else self._open_real()

    def release_real(self, real: RealEnvironment | None) -> None:
        """Keep a session's environment for reuse. Call in the worker."""
        if real is not None:
            self._idle.append(real)

    def open_session(self) -> Session:
        """Begin a session. Call in the worker."""
        real = self.acquire_real()
        try:
            return Session(self.world, self.fps, real, alarm=self.alarm)
        except BaseException:
            self.release_real(real)
            raise

    def close_session(self, session: Session) -> None:
        """End a session that was begun. Call in the worker."""
        self.release_real(session.real)

    async def close(self) -> None:
        """Close the environments and end the worker."""
        for real in self._idle:
            await self.call(real.close)
        await asyncio.to_thread(self.turns.close)


async def _play(request: web.Request, server: PlayServer) -> web.WebSocketResponse:
    """Serve one websocket from handshake to close."""
    from aiohttp import web

    # compress=False: JPEG does not shrink further, and deflate would delay every frame. autoping=False: pings are
    # messages like others, and counted.
    ws = web.WebSocketResponse(compress=False, heartbeat=20.0, max_msg_size=MAX_MESSAGE_BYTES, autoping=False)
    await ws.prepare(request)
    if not await server.has_room():
        text = (
            f"`session` must find a free seat, got all {server.max_sessions} taken. Wait: this page tries again by "
            "itself."
        )
        with contextlib.suppress(ConnectionError):
            await ws.send_json({"type": "error", "message": text})
        await ws.close(code=1013, message=b"all seats are taken")
        return ws
    name = secrets.token_hex(16)
    connection = Connection(ws, server.fps, functools.partial(server.call, owner=name))
    sessions: list[Session] = []

    def open_session() -> Session:
        sessions.append(server.open_session())
        return sessions[0]

    server.connections[name] = connection
    try:
        await ws.send_json({"type": "welcome", "session": name, "world": server.describe()})
        await connection.run(server.first_jpeg(), open_session)
    except ConnectionError:  # the page was closed meanwhile
        pass
    finally:
        server.connections.pop(name, None)
        server.turns.forget(name)
        if sessions:
            await server.call(server.close_session, sessions[0])
        await ws.close()
    return ws


async def _recording(request: web.Request, server: PlayServer) -> web.Response:
    """Return the last `seconds` of a session, or its last recording, as mp4 or GIF.

    Query: `session`, as the welcome message names it; `seconds`, by default 10, or `recorded=1` for the recording.
    """
    from aiohttp import web

    kind, query = request.match_info["kind"], request.query
    name = query.get("session", "")
    connection = server.connections.get(name)
    try:
        if connection is None or connection.session is None:
            raise ServeError("`session` must be one that is open, got another or none. Open the page first.")
        try:
            seconds = float(query.get("seconds", 10))
            num_frames = None if query.get("recorded") == "1" else round(seconds * server.fps)
        except (ValueError, OverflowError):
            got = query["seconds"]
            raise ServeError(f"`seconds` must be a number, got {got[:40]!r}. Try seconds=10.") from None
        connection.budget.allow_film()
        async with server.encoding:
            frames = await server.call(connection.session.clip, num_frames, owner=name)
            # Not in the world's thread: encoding takes a second, and the session goes on.
            write = {"mp4": write_mp4, "gif": write_gif}[kind]
            data = await asyncio.to_thread(write, frames, server.fps, server.stopping.is_set, server.picture.aspect)
    except OverBudgetError as error:
        return web.json_response({"error": str(error)}, status=429, headers={"Retry-After": "5"})
    except WorldlingError as error:
        return web.json_response({"error": str(error)}, status=400)
    stem = re.sub(r"[^A-Za-z0-9_.-]+", "-", server.describe()["name"])[:60]
    file = f"{stem}-{frames[0].index}-{frames[-1].index}.{kind}"
    headers = {"Content-Disposition": f'attachment; filename="{file}"'}
    mime = {"mp4": "video/mp4", "gif": "image/gif"}[kind]
    return web.Response(body=data, content_type=mime, headers=headers)


def build_app(server: PlayServer, hosts: tuple[str, ...] = LOOPBACK) -> web.Application:
    """Build the web application around `server`, and close `server` when the application ends.

    hosts: allowed host names, see guard.py.
    """
    from aiohttp import WSCloseCode, web

    async def page(request: web.Request) -> web.FileResponse:
        return web.FileResponse(PAGE / "index.html")

    async def close_connections(app: web.Application) -> None:
        server.stopping.set()
        for connection in list(server.connections.values()):
            await connection.socket.close(code=WSCloseCode.GOING_AWAY, message=b"the server stopped")

    async def close(app: web.Application) -> None:
        await server.close()

    async def world(request: web.Request) -> web.Response:
        return web.json_response(server.describe())

    async def websocket(request: web.Request) -> web.WebSocketResponse:
        return await _play(request, server)

    async def recording(request: web.Request) -> web.Response:
        return await _recording(request, server)

    app = web.Application()
    add_guard(app, hosts)
    app.router.add_get("/", page)
    app.router.add_get("/ws", websocket)
    app.router.add_get("/api/world", world)
    app.router.add_get("/api/recording.{kind:mp4|gif}", recording)
    app.router.add_static("/player/", PAGE)
    app.on_shutdown.append(close_connections)
    app.on_cleanup.append(close)
    return app


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
    fps = fps if fps is not None else world.config.fps
    if fps is None:
        raise ServeError("`fps` must be given for a world without a frame rate of its own, got none. Add --fps 30.")
    if not 0 < fps <= 1000:
        raise ServeError(f"`fps` must be above 0 and at most 1000, got {fps}. Try 30.")
    if not world.contexts:
        raise ServeError(
            "`world.contexts` must hold at least one start, got none. Train it again with worldling train."
        )
    if not 1 <= max_sessions <= 10000:
        raise ServeError(f"`max_sessions` must be 1 to 10000, got {max_sessions}. Try {MAX_SESSIONS}.")
    hosts = allowed_hosts(host, allow_hosts)
    sock = open_port(host, port)
    named = beside if isinstance(beside, str) else ""

    def open_real() -> RealEnvironment:
        return open_real_environment(world, named)

    server = PlayServer(world, float(fps), open_real if beside else None, alarm, max_sessions)
    serve_until(server, sock, host, hosts, open_browser, announce)


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
        if server.beside:  # fail here, in the terminal, if the environment is missing
            await server.call(lambda: server.release_real(server.acquire_real()))
        await web.SockSite(runner, sock).start()
        reached = host if host in hosts else hosts[-1]  # such as 0.0.0.0, which is no name to ask for
        shown = f"[{reached}]" if ":" in reached else reached
        url = f"http://{shown}:{sock.getsockname()[1]}/"
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
