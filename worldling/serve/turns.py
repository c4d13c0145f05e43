"""One worker thread that gives its owners fair turns.

Sessions share one world, which is not thread-safe. Whoever has used the worker least goes first, so that one session
that asks for all the time there is leaves the others theirs (start-time fair queueing). A function that is a generator
gives way to others at each `yield`; the calls of one owner are run one after the other.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Hashable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any


@dataclass
class _Call:
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    future: Future[Any]
    going: Generator[Any, Any, Any] | None = None  # one that gave way


@dataclass
class _Owner:
    used_s: float = 0.0  # of the worker, counted so that an owner who was idle does not save up
    calls: deque[_Call] = field(default_factory=deque)


class Turns:
    """The worker; it ends with `close`."""

    def __init__(self, name: str = "world") -> None:
        self._owners: dict[Hashable, _Owner] = {}
        self._changed = threading.Condition()
        self._now_s = 0.0  # what the owner whose turn it is had used at its beginning
        self._closed = False
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    async def call(self, owner: Hashable, function: Callable[..., Any], *arguments: Any) -> Any:
        """Run a function in the worker, in its owner's turn, and return what it returns; raises what it raises."""
        future: Future[Any] = Future()
        with self._changed:
            if self._closed:
                raise RuntimeError("the worker was closed")
            mine = self._owners.setdefault(owner, _Owner())
            if not mine.calls:
                mine.used_s = max(mine.used_s, self._now_s)
            mine.calls.append(_Call(function, arguments, future))
            self._changed.notify()
        return await asyncio.wrap_future(future)

    def forget(self, owner: Hashable) -> None:
        """Drop what an owner still waits for; of a call that gave way, the rest."""
        with self._changed:
            dropped = self._owners.pop(owner, _Owner()).calls
        for call in dropped:
            call.future.cancel()

    def close(self) -> None:
        """End the worker after the turn that is running."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()
        for owner in list(self._owners):
            self.forget(owner)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or any(o.calls for o in self._owners.values()))
                if self._closed:
                    return
                mine = min((o for o in self._owners.values() if o.calls), key=lambda o: o.used_s)
                call, self._now_s = mine.calls[0], mine.used_s
            began = time.perf_counter()
            done = _turn(call)
            with self._changed:
                mine.used_s += time.perf_counter() - began
                if done and mine.calls and mine.calls[0] is call:
                    mine.calls.popleft()


def _turn(call: _Call) -> bool:
    """Run a call up to its end or to where it gives way; returns whether it ended."""
    if call.going is None and not call.future.set_running_or_notify_cancel():
        return True
    try:
        if call.going is None:
            found = call.function(*call.arguments)
            if not inspect.isgenerator(found):
                call.future.set_result(found)
                return True
            call.going = found
        next(call.going)
        return False
    except StopIteration as end:
        call.future.set_result(end.value)
    except BaseException as error:  # it is raised where the call was made
        call.future.set_exception(error)
    return True
