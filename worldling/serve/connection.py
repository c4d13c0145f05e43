"""One websocket: the player's messages, the clock, and the frames sent back.

The event loop never blocks on the world: every call into the session runs in the worker thread. Frames are not
queued. At most `MAX_IN_FLIGHT` are unacknowledged. Meanwhile only the newest frame waits; older ones are dropped.
So a slow page sees fewer frames, never late ones.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from worldling.errors import ServeError, WorldlingError
from worldling.serve.history import StoredFrame
from worldling.serve.messages import DRIFT, LOADING, MAX_IN_FLIGHT, PEEK, pack_frame, parse
from worldling.serve.meter import Meter
from worldling.serve.session import Session

STATUS_EVERY_S = 0.5
MAX_SPEED = 100.0
log = logging.getLogger("worldling.serve")


class Connection:
    """A websocket to one player.

    socket: an open aiohttp WebSocketResponse; fps: frames per second at speed 1;
    call: runs a blocking function in the world's worker thread.
    """

    def __init__(self, socket: Any, fps: float, call: Callable[..., Awaitable[Any]]) -> None:
        self.socket, self.fps, self.call = socket, fps, call
        self.session: Session | None = None
        self.paused, self.peeking, self.speed = False, False, 1.0
        self.meter = Meter()
        self.dropped = 0
        self._seq = self._acked = 0
        self._waiting: tuple[StoredFrame, int] | None = None
        self._wake, self._running = asyncio.Event(), asyncio.Event()

    async def run(self, first_jpeg: bytes, open_session: Callable[[], Session]) -> None:
        """Show a first picture at once, open the session in the worker, and play until the socket closes.

        An error while opening is sent to the player, and the socket closes.
        """
        tasks = [asyncio.create_task(self._send())]
        try:
            self.show(StoredFrame(0, first_jpeg), LOADING)
            if not await self._guarded(lambda: self._open(open_session)):
                return
            tasks += [asyncio.create_task(self._play()), asyncio.create_task(self._report())]
            async for message in self.socket:
                if message.type.name == "ERROR":  # too large or malformed: aiohttp closes the socket
                    break
                await self._handle(message.data)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def show(self, frame: StoredFrame, flags: int = 0) -> None:
        """Send a frame as soon as possible; it replaces one that still waits."""
        self.dropped += self._waiting is not None
        self._waiting = (frame, flags)
        self._wake.set()

    async def _send(self) -> None:
        """Send the waiting frame whenever fewer than `MAX_IN_FLIGHT` are unacknowledged, until cancelled."""
        with contextlib.suppress(ConnectionError):
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._waiting and self._seq - self._acked < MAX_IN_FLIGHT:
                    (frame, flags), self._waiting = self._waiting, None
                    self._seq += 1
                    branches = self.session.num_branches if self.session else 0
                    await self.socket.send_bytes(
                        pack_frame(
                            frame.jpeg,
                            frame.real_jpeg,
                            seq=self._seq,
                            index=frame.index,
                            input_id=frame.input_id,
                            mse=frame.mse,
                            num_branches=branches,
                            flags=flags | DRIFT * frame.drift,
                        )
                    )
                    if not flags:
                        self.meter.sent(frame.input_id)

    async def status(self) -> None:
        """Send the `status` message."""
        status = await self.call(self.session.status)
        await self._send_json(
            {
                "type": "status",
                "fps_made": round(self.meter.fps(), 1),
                "latency_ms": self.meter.latency_ms(),
                "dropped": self.dropped,
                "paused": self.paused,
                "speed": self.speed,
                **status,
            }
        )

    async def _send_json(self, message: dict[str, Any]) -> None:
        with contextlib.suppress(ConnectionError):  # the reading loop notices that the socket closed
            await self.socket.send_json(message)

    async def _open(self, open_session: Callable[[], Session]) -> None:
        self.session = await self.call(open_session)
        self._set(paused=False)
        self.show(self.session.current)
        await self.status()

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(STATUS_EVERY_S)
            await self.status()

    async def _play(self) -> None:
        """Make a frame each period. After a late frame there is no burst to catch up."""
        now = asyncio.get_running_loop().time
        due = now()
        while True:
            await self._running.wait()
            period = 1.0 / (self.fps * self.speed) if self.speed else 0.0
            due = max(due + period, now())
            await asyncio.sleep(due - now())
            if self._running.is_set() and not await self._guarded(self._make):
                self._set(paused=True)  # else the same error would come with every frame
                await self.status()

    async def _make(self) -> None:
        frame = await self.call(self.session.advance)
        self.meter.made()
        self.show(frame)

    async def _handle(self, data: str | bytes) -> None:
        async def act() -> None:
            message = parse(data)
            kind = message["type"]
            await getattr(self, f"_on_{kind}")(message)
            if kind not in ("ack", "input", "peek"):  # too frequent
                await self.status()

        await self._guarded(act)

    async def _guarded(self, work: Callable[[], Awaitable[None]]) -> bool:
        """Run `work` and return whether it succeeded; errors are sent to the player, and the connection stays open."""
        try:
            await work()
            return True
        except WorldlingError as error:
            await self._send_json({"type": "error", "message": str(error)})
        except Exception as error:  # one session's failure must not end the server
            log.exception("a player's session failed")
            text = f"The world failed: {type(error).__name__}: {error}. The terminal has the details."
            await self._send_json({"type": "error", "message": text})
        return False

    def _set(self, paused: bool | None = None, peeking: bool | None = None) -> None:
        self.paused = self.paused if paused is None else paused
        self.peeking = self.peeking if peeking is None else peeking
        if self.paused or self.peeking:
            self._running.clear()
            self.meter.forget()
        else:
            self._running.set()

    async def _on_ack(self, message: dict[str, Any]) -> None:
        self._acked = max(self._acked, min(message["seq"], self._seq))
        self._wake.set()

    async def _on_input(self, message: dict[str, Any]) -> None:
        self.session.hold(message["action"], message["id"])
        if self._running.is_set():
            self.meter.received(message["id"])

    async def _on_pause(self, message: dict[str, Any]) -> None:
        self._set(paused=message["on"])

    async def _on_step(self, message: dict[str, Any]) -> None:
        self._set(paused=True, peeking=False)
        await self._make()

    async def _on_speed(self, message: dict[str, Any]) -> None:
        speed = message["value"]
        if speed is not None and not 0 < speed <= MAX_SPEED:
            raise ServeError(
                f"`speed.value` must be above 0 and at most {MAX_SPEED:g}, got {speed}. Send null for the fastest."
            )
        self.speed = speed

    async def _on_reset(self, message: dict[str, Any]) -> None:
        frame = await self.call(self.session.reset, message["start"])
        self._set(peeking=False)
        self.meter.forget()
        self.show(frame)

    async def _on_peek(self, message: dict[str, Any]) -> None:
        self._set(peeking=message["index"] is not None)
        frame = await self.call(self.session.peek, message["index"])
        self.show(frame, PEEK if self.peeking else 0)

    async def _on_branch(self, message: dict[str, Any]) -> None:
        session = self.session  # the page's oldest frame may be deleted by now: take the oldest left
        await self._go_back(lambda index: session.branch(max(index, session.history.oldest)), message["index"])

    async def _on_rewind(self, message: dict[str, Any]) -> None:
        await self._go_back(self.session.rewind, message["frames"])

    async def _go_back(self, move: Callable[[int], StoredFrame], amount: int) -> None:
        try:
            self.show(await self.call(move, amount))
        finally:
            self._set(peeking=False)

    async def _on_finish(self, message: dict[str, Any]) -> None:
        await self.call(self.session.finish)

    async def _on_record(self, message: dict[str, Any]) -> None:
        await self.call(self.session.record, message["on"])
