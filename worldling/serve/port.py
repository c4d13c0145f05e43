"""Open a listening socket, or name a free port to use instead."""

from __future__ import annotations

import contextlib
import errno
import os
import socket

from worldling.errors import ServeError


def open_port(host: str, port: int) -> socket.socket:
    """Bind `host`:`port`. Raises `ServeError`, which names a free port if there is one."""
    if not 0 <= port < 65536:
        raise ServeError(f"`port` must be in 0..65535, got {port}. Use 0 for any free one.")
    try:
        return _bind(host, port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ServeError(
                f"`port` must be free, got {port}, which another program uses. Use --port {_free_port(host, port)}."
            ) from None
        if error.errno in (errno.EACCES, errno.EPERM):
            reason = error.strerror
            raise ServeError(f"`port` must be a port you may use, got {port}: {reason}. Use --port 8000.") from None
        raise ServeError(f"`host` must be an address of this machine, got {host!r}. Use 127.0.0.1.") from None


def _bind(host: str, port: int) -> socket.socket:
    family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    sock = socket.socket(family, kind, proto)
    try:
        if os.name == "posix":  # elsewhere this would let two programs share the port
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(128)
    except OSError:
        sock.close()
        raise
    return sock


def _free_port(host: str, taken: int) -> int:
    """A port that is free now: one of the next few, which are easy to remember, or any."""
    for port in [*range(taken + 1, min(taken + 20, 65536)), 0]:
        with contextlib.suppress(OSError), _bind(host, port) as sock:
            return sock.getsockname()[1]
    return 0
