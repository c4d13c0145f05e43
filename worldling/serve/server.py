"""What all players share: the worlds that are open, the one worker thread, and the connections."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

from worldling.serve.budgets import IDLE_S, MAX_SESSIONS
from worldling.serve.catalogue import Catalogue
from worldling.serve.connection import Connection
from worldling.serve.hosted import HostedWorld
from worldling.serve.turns import Turns


class PlayServer:
    """See the module. One thread steps every session: backends are not thread-safe. Another one opens worlds.

    catalogue: the worlds; max_sessions: sessions at once, more are refused.
    """

    def __init__(self, catalogue: Catalogue, max_sessions: int = MAX_SESSIONS) -> None:
        self.catalogue, self.max_sessions = catalogue, max_sessions
        self.connections: dict[str, Connection] = {}
        self.stopping = threading.Event()  # stops running video encoders
        self.turns = Turns()
        self.encoding = asyncio.Semaphore(1)  # films and pictures at once: more would slow down the players

    @property
    def num_worlds(self) -> int:
        """How many worlds a player can choose from."""
        folders = self.catalogue.folders
        return len(folders) + (self.catalogue.chosen is not None and self.catalogue.chosen not in folders)

    async def call(self, function: Callable[..., Any], *arguments: Any, owner: str = "") -> Any:
        """Run a blocking function in the world's thread, in the turn of session `owner`, or of the server."""
        return await self.turns.call(owner, function, *arguments)

    async def host(self, id: str | None) -> HostedWorld:
        """Return an open world, or the chosen one, with its first real environment if there shall be one."""
        hosted = await asyncio.to_thread(self.catalogue.host, id)
        await self.call(hosted.prepare)
        for unused in self.catalogue.take_unused():
            await self.call(unused.close)
        return hosted

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

    async def close(self) -> None:
        """Close the environments and end the worker."""
        for hosted in self.catalogue.all_open():
            await self.call(hosted.close)
        await asyncio.to_thread(self.turns.close)
