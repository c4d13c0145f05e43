"""Who may talk to the server, and what its answers forbid the browser: Host, Origin, and security headers."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from worldling.errors import ServeError
from worldling.serve.budgets import REQUESTS, Bucket

if TYPE_CHECKING:
    from aiohttp import web

LOOPBACK = ("127.0.0.1", "localhost", "::1")
_HOST = r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,252}))(?::([0-9]{1,5}))?"
_HOST_HEADER = re.compile(_HOST)
_ORIGIN_HEADER = re.compile(rf"[a-z][a-z0-9+.-]{{0,20}}://{_HOST}")


def allowed_hosts(host: str, allow: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the names under which the page may be asked for.

    host: the address listened on; allow: names that the user gave. Raises `ServeError` if one is malformed, or if
    others can reach the address and none was given: any web site could then talk to the server through a name of its
    own (DNS rebinding).
    """
    for name in allow:
        if not _HOST_HEADER.fullmatch(name if ":" not in name else f"[{name}]"):
            raise ServeError(
                f"`--allow-host` must be a host name or address without scheme and port, got {name!r}. "
                "Write for example --allow-host 192.168.1.5."
            )
    if host not in LOOPBACK and not allow:
        raise ServeError(
            f"`--allow-host` must be given to listen on {host}, which others can reach, got none. Add --allow-host "
            "with each name or address under which players open the page, such as --allow-host 192.168.1.5."
        )
    return tuple(dict.fromkeys((*LOOPBACK, *(name.rstrip(".").lower() for name in allow))))


def check_request(host: str | None, origin: str | None, hosts: Sequence[str]) -> tuple[int, str] | None:
    """Return None if a request may pass, else the HTTP status and a line that says why.

    host, origin: the headers, None where there is none; hosts: as from `allowed_hosts`. A page of another site can
    open websockets to loopback, so both are checked.
    """
    asked = _HOST_HEADER.fullmatch(host or "")
    if asked is None:
        return 400, "`Host` must be a host name with or without a port, got another. Open the address that was printed."
    name = _name(asked)
    if name not in hosts:
        return 403, f"`Host` must be one of {', '.join(hosts)}, got another. Add it with --allow-host."
    if origin is None:
        return None
    if origin == "null":
        return 403, "`Origin` must be this server's own page, got none. Open the address that was printed."
    page = _ORIGIN_HEADER.fullmatch(origin)
    if page is None:
        return 400, "`Origin` must be a scheme and a host, got another. Open the address that was printed."
    named = _name(page) in hosts and _name(page) not in LOOPBACK  # behind a proxy that passes another Host on
    if not named and origin.partition("://")[2].lower() != (host or "").lower():
        return 403, "`Origin` must be this server's own page, got another. Open the address that was printed."
    return None


def security_headers(host: str) -> dict[str, str]:
    """Return the headers of every answer; host: a Host header that was checked."""
    return {
        "Cache-Control": "no-cache",
        "Content-Security-Policy": (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
            f"connect-src 'self' ws://{host} wss://{host}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        ),
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "Server": "worldling",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }


def add_guard(app: web.Application, hosts: Sequence[str]) -> None:
    """Let `app` answer only requests that `check_request` passes, no faster than `REQUESTS`, with security headers."""
    from aiohttp import web

    buckets: WeakKeyDictionary[Any, Bucket] = WeakKeyDictionary()

    @web.middleware
    async def guard(request: web.Request, handler: Any) -> web.StreamResponse:
        if request.transport is not None:
            bucket = buckets.setdefault(request.transport, Bucket(*REQUESTS))
            await asyncio.sleep(bucket.owe())
        asked, origins = request.headers.getall("Host", []), request.headers.getall("Origin", [])
        refused = check_request(asked[0] if len(asked) == 1 else None, ",".join(origins) if origins else None, hosts)
        if refused is not None:
            raise (
                web.HTTPForbidden(text=f"{refused[1]}\n")
                if refused[0] == 403
                else web.HTTPBadRequest(text=f"{refused[1]}\n")
            )
        return await handler(request)

    async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
        host = request.headers.get("Host", "")
        response.headers.update(security_headers(host if _HOST_HEADER.fullmatch(host) else "localhost"))

    app.middlewares.append(guard)
    app.on_response_prepare.append(add_headers)


def _name(match: re.Match[str]) -> str:
    return match[1].strip("[]").rstrip(".").lower()
