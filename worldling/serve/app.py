"""The web application: the page, its websocket, the list of worlds, films, and pictures of the player's own."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import re
import secrets
from dataclasses import asdict
from typing import TYPE_CHECKING
from urllib.parse import quote

from worldling.errors import ServeError, WorldlingError
from worldling.player import PAGE
from worldling.serve.budgets import OverBudgetError
from worldling.serve.connection import Connection
from worldling.serve.guard import LOOPBACK, add_guard
from worldling.serve.recording import write_gif, write_mp4
from worldling.serve.server import PlayServer
from worldling.serve.session import Session
from worldling.serve.upload import MOST_BYTES, read_picture

if TYPE_CHECKING:
    from aiohttp import web

MAX_MESSAGE_BYTES = 16384


async def _play(request: web.Request, server: PlayServer) -> web.WebSocketResponse:
    """Serve one websocket from handshake to close. Query: `world`, an id of the list; without it the chosen one."""
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
        await _refuse(ws, text, b"all seats are taken")
        return ws
    name = secrets.token_hex(16)
    connection = Connection(ws, functools.partial(server.call, owner=name))
    sessions: list[Session] = []
    server.connections[name] = connection  # it has its seat while the world is opened
    hosted = None
    try:
        hosted = await server.host(request.query.get("world"))

        def open_session() -> Session:
            sessions.append(hosted.open_session())
            return sessions[0]

        world = {**hosted.describe(), "num_worlds": server.num_worlds}
        await ws.send_json({"type": "welcome", "session": name, "world": world})
        await connection.run(hosted.fps, hosted.first_jpeg(), open_session)
    except WorldlingError as error:
        await _refuse(ws, str(error), b"the world could not be opened")
    except ConnectionError:  # the page was closed meanwhile
        pass
    finally:
        server.connections.pop(name, None)
        server.turns.forget(name)
        if sessions and hosted:
            await server.call(hosted.close_session, sessions[0])
        await ws.close()
    return ws


async def _refuse(ws: web.WebSocketResponse, text: str, reason: bytes) -> None:
    """Say why there is no session, and close."""
    with contextlib.suppress(ConnectionError):
        await ws.send_json({"type": "error", "message": text})
    await ws.close(code=1013, message=reason)


def _connection(request: web.Request, server: PlayServer) -> tuple[str, Connection]:
    """Return the connection that the query's `session` names, as the welcome message did. Raises `ServeError`."""
    name = request.query.get("session", "")
    connection = server.connections.get(name)
    if connection is None or connection.session is None:
        raise ServeError("`session` must be one that is open, got another or none. Open the page first.")
    return name, connection


def _error(error: WorldlingError) -> web.Response:
    from aiohttp import web

    if isinstance(error, OverBudgetError):
        return web.json_response({"error": str(error)}, status=429, headers={"Retry-After": "5"})
    return web.json_response({"error": str(error)}, status=400)


async def _picture(request: web.Request, server: PlayServer) -> web.Response:
    """Start a session again from the image file that is the body, of at most 8 MB. Query: `session`."""
    from aiohttp import web

    try:
        _, connection = _connection(request, server)
        connection.budget.allow("picture")
        data = await request.read()
        async with server.encoding:
            picture = await asyncio.to_thread(read_picture, data)
        await connection.start_from(picture)
    except web.HTTPRequestEntityTooLarge:
        return web.json_response(
            {"error": f"`picture` must be a file of at most {MOST_BYTES >> 20} MB, got more. Make it smaller."},
            status=413,
        )
    except WorldlingError as error:
        return _error(error)
    return web.json_response({})


async def _recording(request: web.Request, server: PlayServer) -> web.Response:
    """Return the last `seconds` of a session, or its last recording, as mp4 or GIF.

    Query: `session`, as the welcome message names it; `seconds`, by default 10, or `recorded=1` for the recording.
    """
    from aiohttp import web

    kind, query = request.match_info["kind"], request.query
    try:
        name, connection = _connection(request, server)
        session, fps = connection.playing, connection.fps
        try:
            seconds = float(query.get("seconds", 10))
            num_frames = None if query.get("recorded") == "1" else round(seconds * fps)
        except (ValueError, OverflowError):
            got = query["seconds"]
            raise ServeError(f"`seconds` must be a number, got {got[:40]!r}. Try seconds=10.") from None
        connection.budget.allow_film()
        async with server.encoding:
            frames = await server.call(session.clip, num_frames, owner=name)
            # Not in the world's thread: encoding takes a second, and the session goes on.
            write = {"mp4": write_mp4, "gif": write_gif}[kind]
            data = await asyncio.to_thread(write, frames, fps, server.stopping.is_set, session.picture.aspect)
    except WorldlingError as error:
        return _error(error)
    stem = re.sub(r"[^A-Za-z0-9_.-]+", "-", session.world.config.name)[:60]
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
        try:
            hosted = await server.host(request.query.get("world"))
        except WorldlingError as error:
            return _error(error)
        return web.json_response({**hosted.describe(), "num_worlds": server.num_worlds})

    async def worlds(request: web.Request) -> web.Response:
        listings = await asyncio.to_thread(server.catalogue.listings)
        shown = [{**asdict(one), "preview": f"api/preview?world={quote(one.id, safe='')}"} for one in listings]
        return web.json_response({"worlds": shown, "chosen": server.catalogue.chosen})

    async def preview(request: web.Request) -> web.Response:
        try:
            data = await asyncio.to_thread(server.catalogue.preview, request.query.get("world", ""))
        except WorldlingError as error:
            return _error(error)
        return web.Response(body=data, content_type="image/webp")

    async def picture(request: web.Request) -> web.Response:
        return await _picture(request, server)

    async def websocket(request: web.Request) -> web.WebSocketResponse:
        return await _play(request, server)

    async def recording(request: web.Request) -> web.Response:
        return await _recording(request, server)

    app = web.Application(client_max_size=MOST_BYTES)
    add_guard(app, hosts)
    app.router.add_get("/", page)
    app.router.add_get("/ws", websocket)
    app.router.add_get("/api/world", world)
    app.router.add_get("/api/worlds", worlds)
    app.router.add_get("/api/preview", preview)
    app.router.add_post("/api/picture", picture)
    app.router.add_get("/api/recording.{kind:mp4|gif}", recording)
    app.router.add_static("/player/", PAGE)
    app.on_shutdown.append(close_connections)
    app.on_cleanup.append(close)
    return app
