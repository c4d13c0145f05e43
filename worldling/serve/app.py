"""The web application, and `serve`, which runs it until Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import socket
import sys
import threading
import webbrowser
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from worldling.alarm import DriftAlarm
from worldling.data.fit import picture_of
from worldling.errors import ServeError, WorldlingError
from worldling.protocol import WorldModel
from worldling.serve.connection import Connection
from worldling.serve.messages import encode_jpeg
from worldling.serve.port import open_port
from worldling.serve.real_environment import RealEnvironment, open_real_environment
from worldling.serve.recording import write_gif, write_mp4
from worldling.serve.session import HISTORY_S, Session, is_pointer

if TYPE_CHECKING:
    from aiohttp import web

PAGE = Path(__file__).parent / "player"
IS_OVER_EVERY_S = 0.1
LOOPBACK = ("127.0.0.1", "localhost", "::1")
HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data: blob:; connect-src 'self' ws: wss:",
}


class PlayServer:
    """What all sessions share: the world, its one worker thread and the open connections.

    One thread steps every session: backends are not thread-safe.
    open_real: opens a real environment for a session (called in the worker), or None without --beside;
    alarm: checks every frame of every session for drift, or None.
    """

    def __init__(
        self,
        world: WorldModel,
        fps: float,
        open_real: Callable[[], RealEnvironment] | None = None,
        alarm: DriftAlarm | None = None,
    ) -> None:
        self.world, self.fps, self.alarm = world, fps, alarm
        self.picture = picture_of(world.card.get("source", {}), world.size_px)
        self.connections: dict[str, Connection] = {}
        self.beside = open_real is not None
        self.stopping = threading.Event()  # stops running video encoders
        self._open_real = open_real
        self._idle: list[RealEnvironment] = []
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="world")

    async def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Run a blocking function in the world's thread."""
        return await asyncio.get_running_loop().run_in_executor(self._worker, function, *arguments)

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
        self._worker.shutdown()


async def _play(request: web.Request, server: PlayServer) -> web.WebSocketResponse:
    """Serve one websocket from handshake to close."""
    from aiohttp import web

    # compress=False: JPEG does not shrink further, and deflate would delay every frame.
    ws = web.WebSocketResponse(compress=False, heartbeat=20.0, max_msg_size=65536)
    await ws.prepare(request)
    name, connection = secrets.token_hex(4), Connection(ws, server.fps, server.call)
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
        del server.connections[name]
        if sessions:
            await server.call(server.close_session, sessions[0])
        await ws.close()
    return ws


async def _recording(request: web.Request, server: PlayServer) -> web.Response:
    """Return the last `seconds` of a session, or its last recording, as mp4 or GIF.

    Query: `session`, by default the newest; `seconds`, by default 10, or `recorded=1` for the recording.
    """
    from aiohttp import web

    kind, query = request.match_info["kind"], request.query
    name = query.get("session") or next(reversed(server.connections), "")
    connection = server.connections.get(name)
    try:
        if connection is None or connection.session is None:
            raise ServeError(f"`session` must be open, got {name!r}. Open the page first.")
        try:
            seconds = float(query.get("seconds", 10))
            num_frames = None if query.get("recorded") == "1" else round(seconds * server.fps)
        except (ValueError, OverflowError):
            got = query["seconds"]
            raise ServeError(f"`seconds` must be a number, got {got!r}. Try seconds=10.") from None
        frames = await server.call(connection.session.clip, num_frames)
        # Not in the world's thread: encoding takes a second, and the session goes on.
        write = {"mp4": write_mp4, "gif": write_gif}[kind]
        data = await asyncio.to_thread(write, frames, server.fps, server.stopping.is_set, server.picture.aspect)
    except WorldlingError as error:
        return web.json_response({"error": str(error)}, status=400)
    file = f"{server.describe()['name']}-{frames[0].index}-{frames[-1].index}.{kind}"
    headers = {"Content-Disposition": f'attachment; filename="{file}"', **HEADERS}
    mime = {"mp4": "video/mp4", "gif": "image/gif"}[kind]
    return web.Response(body=data, content_type=mime, headers=headers)


def build_app(server: PlayServer, hosts: tuple[str, ...] | None = LOOPBACK) -> web.Application:
    """Build the web application around `server`, and close `server` when the application ends.

    hosts: allowed host names; None allows any. Pages of other sites can open websockets to loopback, so both the
    Host and the Origin header are checked.
    """
    from aiohttp import WSCloseCode, web

    @web.middleware
    async def check_origin(request: web.Request, handler: Any) -> web.StreamResponse:
        origin = request.headers.get("Origin")
        name = urlsplit(f"//{request.host}").hostname
        if (hosts is not None and name not in hosts) or (origin and urlsplit(origin).netloc != request.host):
            ours = ", ".join(hosts or ["its own page"])
            raise web.HTTPForbidden(text=f"This server answers only to {ours}.\n")
        response = await handler(request)
        if not response.prepared:
            response.headers.update(HEADERS)
        return response

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

    app = web.Application(middlewares=[check_origin])
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
) -> None:
    """Serve the page on which people play `world`, until Ctrl-C or SIGTERM.

    beside: show the real environment next to the dream, the one named or (True) that of the world's card; fps: frames
    per second at speed 1, by default that of the data; port: 0 takes any free one; announce: called with the page's URL
    once it can be opened, instead of printing it on stderr; alarm: warns on the page when a dream has drifted.
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
    sock = open_port(host, port)
    named = beside if isinstance(beside, str) else ""
    server = PlayServer(world, float(fps), (lambda: open_real_environment(world, named)) if beside else None, alarm)
    serve_until(server, sock, host, open_browser, announce)


def serve_until(
    server: PlayServer,
    sock: socket.socket,
    host: str,
    open_browser: bool = True,
    announce: Callable[[str], None] | None = None,
    is_over: Callable[[], bool] = lambda: False,
) -> None:
    """Run a server on a listening socket, which is closed at the end: Ctrl-C, SIGTERM or as soon as `is_over()`."""
    try:
        asyncio.run(_run(server, sock, host, open_browser, announce or print_url, is_over))
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
    runner = web.AppRunner(
        build_app(server, LOOPBACK if host in LOOPBACK else None), access_log=None, shutdown_timeout=2.0
    )
    await runner.setup()
    try:
        if server.beside:  # fail here, in the terminal, if the environment is missing
            await server.call(lambda: server.release_real(server.acquire_real()))
        await web.SockSite(runner, sock).start()
        shown = f"[{host}]" if ":" in host else host
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
