"""The web application of the player, and `serve`, which runs it until Ctrl-C."""

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
from worldling.errors import ServeError, WorldlingError
from worldling.protocol import WorldModel
from worldling.serve.beside import Beside, open_beside
from worldling.serve.connection import Connection
from worldling.serve.messages import encode_jpeg
from worldling.serve.port import open_port
from worldling.serve.recording import write_gif, write_mp4
from worldling.serve.session import KEPT_S, Session, is_pointer

if TYPE_CHECKING:
    from aiohttp import web

PAGE = Path(__file__).parent / "player"
LOOPBACK = ("127.0.0.1", "localhost", "::1")
HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data: blob:; connect-src 'self' ws: wss:",
}


class Player:
    """What all sessions of one server share: the world, its one worker thread and the open connections.

    One thread steps every session, since a world's backend need not allow two steps at a time.
    open_real: opens a real environment for a session (called in the worker), or None without --beside; alarm:
    looks at every frame of every session for drift, or None.
    """

    def __init__(
        self,
        world: WorldModel,
        fps: float,
        open_real: Callable[[], Beside] | None = None,
        alarm: DriftAlarm | None = None,
    ) -> None:
        self.world, self.fps, self.alarm = world, fps, alarm
        self.connections: dict[str, Connection] = {}
        self.beside = open_real is not None
        self.stopping = threading.Event()  # ends what is being encoded
        self._open_real = open_real
        self._idle: list[Beside] = []
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="world")

    async def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Run a blocking function in the world's thread."""
        return await asyncio.get_running_loop().run_in_executor(self._worker, function, *arguments)

    def describe(self) -> dict[str, Any]:
        """What the page and scripts need to know of the world, as json values."""
        world, space = self.world, self.world.action_space
        return {
            "name": world.config.name,
            "size_px": world.size_px,
            "fps": self.fps,
            "backend": world.backend.name,
            "num_starts": len(world.contexts),
            "beside": self.beside,
            "kept_frames": round(KEPT_S * self.fps),
            "pointer": is_pointer(space),
            "action_space": {
                "kind": space.kind,
                "nvec": space.nvec,
                "low": space.low,
                "high": space.high,
                "names": space.names,
            },
        }

    def opening_jpeg(self) -> bytes:
        """The last frame of the first context: what the first session starts from, known without any work."""
        return encode_jpeg(self.world.contexts[0].frames[self.world.config.context - 1])

    def take_real(self) -> Beside | None:
        """Return a real environment for one session, used before or new. Call in the worker."""
        if self._open_real is None:
            return None
        return self._idle.pop() if self._idle else self._open_real()

    def give_real(self, real: Beside | None) -> None:
        """Keep a session's environment for the next one. Call in the worker."""
        if real is not None:
            self._idle.append(real)

    async def close(self) -> None:
        """Close the environments and end the worker."""
        for real in self._idle:
            await self.call(real.close)
        self._worker.shutdown()


async def _play(request: "web.Request", player: Player) -> "web.WebSocketResponse":
    """One player, from the handshake to the goodbye."""
    from aiohttp import web

    # compress=False: deflate costs more than it saves on JPEG, and delays every frame.
    ws = web.WebSocketResponse(compress=False, heartbeat=20.0, max_msg_size=65536)
    await ws.prepare(request)
    name, connection = secrets.token_hex(4), Connection(ws, player.fps, player.call)
    real: list[Beside | None] = []

    def open_session() -> Session:
        real.append(player.take_real())
        return Session(player.world, player.fps, real[0], alarm=player.alarm)

    player.connections[name] = connection
    try:
        await ws.send_json({"type": "welcome", "session": name, "world": player.describe()})
        await connection.run(player.opening_jpeg(), open_session)
    except ConnectionError:  # the page was closed while we spoke
        pass
    finally:
        del player.connections[name]
        if real:
            await player.call(player.give_real, real[0])
        await ws.close()
    return ws


async def _recording(request: "web.Request", player: Player) -> "web.Response":
    """The last `seconds` of a session, or its last take, as mp4 or GIF.

    Query: `session`, by default the newest; `seconds`, by default 10, or `take=1`.
    """
    from aiohttp import web

    kind, query = request.match_info["kind"], request.query
    name = query.get("session") or next(reversed(player.connections), "")
    connection = player.connections.get(name)
    try:
        if connection is None or connection.session is None:
            raise ServeError(f"`session` must be open, got {name!r}. Open the page first.")
        try:
            seconds = float(query.get("seconds", 10))
            frames = None if query.get("take") == "1" else round(seconds * player.fps)
        except (ValueError, OverflowError):
            got = query["seconds"]
            raise ServeError(f"`seconds` must be a number, got {got!r}. Try seconds=10.") from None
        shots = await player.call(connection.session.clip, frames)
        # Not in the world's thread: encoding takes a second, and the dream goes on.
        write = {"mp4": write_mp4, "gif": write_gif}[kind]
        data = await asyncio.to_thread(write, shots, player.fps, player.stopping.is_set)
    except WorldlingError as error:
        return web.json_response({"error": str(error)}, status=400)
    file = f"{player.describe()['name']}-{shots[0].index}-{shots[-1].index}.{kind}"
    headers = {"Content-Disposition": f'attachment; filename="{file}"', **HEADERS}
    mime = {"mp4": "video/mp4", "gif": "image/gif"}[kind]
    return web.Response(body=data, content_type=mime, headers=headers)


def build_app(player: Player, hosts: tuple[str, ...] | None = LOOPBACK) -> "web.Application":
    """Assemble the application around `player`, which it closes when it ends.

    hosts: names under which the page may be asked for; None allows any. A page of another site can open
    websockets to loopback, so the name asked for and the page's origin are both checked.
    """
    from aiohttp import WSCloseCode, web

    @web.middleware
    async def only_our_page(request: web.Request, handler: Any) -> web.StreamResponse:
        origin = request.headers.get("Origin")
        name = urlsplit(f"//{request.host}").hostname
        if (hosts is not None and name not in hosts) or (origin and urlsplit(origin).netloc != request.host):
            ours = ", ".join(hosts or ["its own page"])
            raise web.HTTPForbidden(text=f"This player answers only to {ours}.\n")
        response = await handler(request)
        if not response.prepared:
            response.headers.update(HEADERS)
        return response

    async def page(request: web.Request) -> web.FileResponse:
        return web.FileResponse(PAGE / "index.html")

    async def goodbye(app: web.Application) -> None:
        player.stopping.set()
        for connection in list(player.connections.values()):
            await connection.socket.close(code=WSCloseCode.GOING_AWAY, message=b"the server stopped")

    async def close(app: web.Application) -> None:
        await player.close()

    async def world(request: web.Request) -> web.Response:
        return web.json_response(player.describe())

    async def websocket(request: web.Request) -> web.WebSocketResponse:
        return await _play(request, player)

    async def recording(request: web.Request) -> web.Response:
        return await _recording(request, player)

    app = web.Application(middlewares=[only_our_page])
    app.router.add_get("/", page)
    app.router.add_get("/ws", websocket)
    app.router.add_get("/api/world", world)
    app.router.add_get("/api/recording.{kind:mp4|gif}", recording)
    app.router.add_static("/player/", PAGE)
    app.on_shutdown.append(goodbye)
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
    """Let people play `world` in a browser until Ctrl-C or SIGTERM.

    beside: show the real environment next to the dream, the one named or (True) the world's own; fps: frames per second at speed 1, by default
    those of the data; port: 0 takes any free one; announce: called with the page's address once it
    can be opened, instead of printing it on stderr; alarm: says on the page when a dream has drifted.
    Raises `ServeError` when the port is taken, the world has no starts, or neither it nor `fps` says its pace;
    `EnvError` when `beside` and the environment cannot be opened.
    """
    fps = fps if fps is not None else world.config.fps
    if fps is None:
        raise ServeError("`fps` must be given for a world that does not say its own, got none. Add --fps 30.")
    if not 0 < fps <= 1000:
        raise ServeError(f"`fps` must be above 0 and at most 1000, got {fps}. Try 30.")
    if not world.contexts:
        raise ServeError(
            "`world.contexts` must hold at least one start, got none. Train it again with worldling train."
        )
    sock = open_port(host, port)
    player = Player(
        world, float(fps), (lambda: open_beside(world, "" if beside is True else beside)) if beside else None, alarm
    )
    try:
        asyncio.run(_run(player, sock, host, open_browser, announce or say))
    except KeyboardInterrupt:  # only where the loop cannot take signals
        pass
    finally:
        sock.close()


def say(url: str) -> None:
    """Tell people where to play."""
    print(f"Play at {url} (Ctrl-C stops)", file=sys.stderr, flush=True)


async def _run(
    player: Player, sock: socket.socket, host: str, open_browser: bool, announce: Callable[[str], None]
) -> None:
    from aiohttp import web

    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        # On Windows, or outside the main thread, the loop cannot take signals.
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            loop.add_signal_handler(name, stop.set)
    runner = web.AppRunner(build_app(player, LOOPBACK if host in LOOPBACK else None), access_log=None)
    await runner.setup()
    try:
        if player.beside:  # so that a missing simulator is one line in the terminal, not on the page
            await player.call(lambda: player.give_real(player.take_real()))
        await web.SockSite(runner, sock, shutdown_timeout=2.0).start()
        shown = f"[{host}]" if ":" in host else host
        url = f"http://{shown}:{sock.getsockname()[1]}/"
        announce(url)
        if open_browser and _has_screen():
            await asyncio.to_thread(webbrowser.open, url)
        await stop.wait()
    finally:
        await runner.cleanup()


def _has_screen() -> bool:
    """Tell whether a browser can open a window; if not, webbrowser may start one in the terminal."""
    return sys.platform != "linux" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
