"""Frame rate and input latency, measured on the server."""

from __future__ import annotations

import time
from collections import deque


class Meter:
    """Frames made per second, and milliseconds from an input's arrival to the frame that includes it."""

    def __init__(self) -> None:
        self._made: deque[float] = deque(maxlen=4096)
        self._waiting: deque[tuple[int, float]] = deque(maxlen=256)
        self._latencies_ms: deque[float] = deque(maxlen=200)

    def made(self) -> None:
        """Count one frame made now."""
        self._made.append(time.monotonic())

    def received(self, input_id: int) -> None:
        """Record that an input arrived now."""
        self._waiting.append((input_id, time.monotonic()))

    def sent(self, input_id: int) -> None:
        """Record that a frame that includes all inputs up to `input_id` was sent now."""
        while self._waiting and self._waiting[0][0] <= input_id:
            self._latencies_ms.append((time.monotonic() - self._waiting.popleft()[1]) * 1e3)

    def forget(self) -> None:
        """Drop pending inputs, for when the clock stops: time spent paused is not latency."""
        self._waiting.clear()

    def fps(self) -> float:
        """Frames made per second over the last two seconds."""
        now = time.monotonic()
        while self._made and now - self._made[0] > 2.0:
            self._made.popleft()
        # Count intervals, not frames: two frames 0.1 s apart are 10 frames/s.
        span = self._made[-1] - self._made[0] if self._made else 0.0
        return (len(self._made) - 1) / span if span > 0 else 0.0

    def latency_ms(self) -> dict[str, float] | None:
        """p50 and p95 of the last 200 inputs, or None before the first."""
        ordered = sorted(self._latencies_ms)
        if not ordered:
            return None
        last = len(ordered) - 1
        return {name: round(ordered[round(q * last)], 2) for name, q in (("p50", 0.5), ("p95", 0.95))}
