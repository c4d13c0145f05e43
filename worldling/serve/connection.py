"""One websocket: the player's messages, the clock, and the frames sent back.

The event loop never blocks on the world: every call into the session runs in the worker thread. Frames are not
queued. At most `MAX_IN_FLIGHT` are unacknowledged. Meanwhile only the newest frame waits; older ones are dropped.
So a slow page sees fewer frames, never late ones; for a page that reads nothing, none are made. What a player may ask
for is bounded by budgets.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Generator
from typing import Any

import numpy as np

from worldling.errors import ServeError, WorldlingError
from worldling.serve.budgets import Budget, OverBudgetError
from worldling.serve.history import StoredFrame
from worldling.serve.messages import DRIFT, LOADING, MAX_IN_FLIGHT, OVER, PEEK, pack_frame, parse
from worldling.serve.meter import Meter
from worldling.serve.session import Session

STATUS_EVERY_S = 0.5
UNREAD_S = 2.0  # a frame that has waited so long to be sent is not read: no more are made until it is
MAX_SPEED = 100.0
log = logging.getLogger("worldling.serve")


class Connection:
    """A websocket to one player.

    socket: an open aiohttp WebSocketResponse without autoping; call: runs a blocking function in the world's worker
    thread, in this connection's turn; fps: frames per second at speed 1, once it runs; budget: what the player may
    still ask for; heard_at: when the last message came, by `time.monotonic`.
    """

    def __init__(self, socket: Any, call: Callable[..., Awaitable[Any]]) -> None:
        self.socket, self.fps, self.call = socket, 0.0, call
        self.session: Session | None = None
        self.paused, self.peeking, self.speed = False, False, 1.0
        self._over = False  # whether the game is over in the session's newest frame
        self.meter = Meter()
        self.dropped = 0
        self._seq = self._acked = 0
        self._waiting: tuple[StoredFrame, int] | None = None
        self._waiting_since = self.heard_at = time.monotonic()
        self.budget = Budget()
        self._wake, self._running, self._sent = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._new_speed = asyncio.Event()

    async def run(self, fps: float, first_jpeg: bytes, open_session: Callable[[], Session]) -> None:
        """Show a first picture at once, open the session in the worker, and play until the socket closes.

        fps: frames per second at speed 1. An error while opening is sent to the player, and the socket closes.
        """
        self.fps = fps
        tasks = [asyncio.create_task(self._send())]
        try:
            self.show(StoredFrame(0, first_jpeg), LOADING)
            if not await self._guarded(lambda: self._open(open_session)):
                return
            tasks += [asyncio.create_task(self._play()), asyncio.create_task(self._report())]
            async for message in self.socket:
                if message.type.name == "ERROR":  # too large or malformed: aiohttp closes the socket
                    break
                if not await self._admit(message):
                    break
                if message.type.name in ("TEXT", "BINARY"):
                    self.heard_at = time.monotonic()
                    await self._handle(message.data)
                elif message.type.name == "PING":
                    await self.socket.pong(message.data)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _admit(self, message: Any) -> bool:
        """Wait until this message is within the budget; a flood is told so and ends the connection: False."""
        try:
            wait = self.budget.message(len(message.data or b""))
        except ServeError as error:
            await self._send_json({"type": "error", "message": str(error)})
            await self.socket.close(code=1008, message=b"too many messages")
            return False
        if wait:
            await asyncio.sleep(wait)  # meanwhile nothing is read: the sender has to wait
        return True

    @property
    def unread(self) -> bool:
        """Whether the newest frame has waited so long to be sent that nobody reads."""
        return self._waiting is not None and time.monotonic() - self._waiting_since > UNREAD_S

    @property
    def playing(self) -> Session:
        """The session, once it is open."""
        assert self.session is not None, "messages are handled after the session was opened"
        return self.session

    def show(self, frame: StoredFrame, flags: int = 0) -> None:
        """Send a frame as soon as possible; it replaces one that still waits."""
        self.dropped += self._waiting is not None
        if self._waiting is None:
            self._waiting_since = time.monotonic()
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
                    self._sent.set()
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
                            score=frame.score,
                            flags=flags | DRIFT * frame.drift | OVER * frame.over,
                        )
                    )
                    if not flags:
                        self.meter.sent(frame.input_id)

    async def status(self) -> None:
        """Send the `status` message."""
        status = await self.call(self.playing.status)
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
        self.show(self.playing.current)
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
            last = due
            while True:  # a new speed counts at once, from the frame before on
                self._new_speed.clear()
                period = 1.0 / (self.fps * self.speed) if self.speed else 0.0
                due = max(last + period, now())
                if due <= now():
                    await asyncio.sleep(0)
                    break
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._new_speed.wait(), due - now())
                    continue
                break
            if self.unread:
                self._sent.clear()
                await self._sent.wait()
            if self._running.is_set() and not await self._guarded(self._make):
                self._set(paused=True)  # else the same error would come with every frame
                await self.status()

    async def _make(self) -> None:
        was_over = self._over
        frame = await self.call(self.playing.advance)
        self.meter.made()
        self._move_to(frame)
        if frame.over and not was_over:  # the game ends here; who goes on beyond is not stopped again
            self._set(paused=True)
            await self.status()

    async def _handle(self, data: str | bytes) -> None:
        async def act() -> None:
            message = parse(data)
            kind = message["type"]
            self.budget.allow(kind)
            await getattr(self, f"_on_{kind}")(message)
            if kind not in ("ack", "input", "peek"):  # too frequent
                await self.status()

        await self._guarded(act)

    async def _guarded(self, work: Callable[[], Awaitable[None]]) -> bool:
        """Run `work` and return whether it succeeded; errors are sent to the player, and the connection stays open."""
        try:
            await work()
            return True
        except OverBudgetError as error:
            if self.budget.tells():
                await self._send_json({"type": "error", "message": str(error)})
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
        acked = max(self._acked, min(message["seq"], self._seq))
        if acked > self._acked:  # no more of these can come than frames were sent
            self.budget.give_back()
        self._acked = acked
        self._wake.set()

    async def _on_input(self, message: dict[str, Any]) -> None:
        self.playing.hold(message["action"], message["id"])
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
        self._new_speed.set()

    async def _on_reset(self, message: dict[str, Any]) -> None:
        await self._start(self.playing.reset, message["start"])

    async def start_from(self, picture: np.ndarray) -> None:
        """Start again from a picture of the player's own, uint8 `[H, W, 3]`. Raises `ServeError`."""
        await self._start(self.playing.start_from, picture)
        await self.status()

    async def _start(self, begin: Callable[[Any], StoredFrame], given: Any) -> None:
        frame = await self.call(begin, given)
        self._set(paused=False if self._over else None, peeking=False)  # the end had paused it
        self.meter.forget()
        self._move_to(frame)

    def _move_to(self, frame: StoredFrame) -> None:
        """Show the frame that the session is at now. The session itself is read by the worker alone."""
        self._over = frame.over
        self.show(frame)

    async def _on_peek(self, message: dict[str, Any]) -> None:
        self._set(peeking=message["index"] is not None)
        frame = await self.call(self.playing.peek, message["index"])
        self.show(frame, PEEK if self.peeking else 0)

    async def _on_branch(self, message: dict[str, Any]) -> None:
        session = self.playing  # the page's oldest frame may be deleted by now: take the oldest left
        await self._go_back(lambda index: session.branch(max(index, session.history.oldest)), message["index"])

    async def _on_rewind(self, message: dict[str, Any]) -> None:
        await self._go_back(self.playing.rewind, message["frames"])

    async def _on_return(self, message: dict[str, Any]) -> None:
        await self._go_back(self.playing.return_to, message["branch"])

    async def _go_back(self, move: Callable[[int], Generator[None, None, StoredFrame]], amount: int) -> None:
        try:
            self._move_to(await self.call(move, amount))
        finally:
            self._set(peeking=False)

    async def _on_finish(self, message: dict[str, Any]) -> None:
        await self.call(self.playing.finish)

    async def _on_record(self, message: dict[str, Any]) -> None:
        await self.call(self.playing.record, message["on"])
