"""Progress of long jobs: one line on stderr with the time left, redrawn in a terminal, else printed every 10 s."""

from __future__ import annotations

import sys
import time


def clock(seconds: float) -> str:
    """Write `seconds` as 0:07, 12:34 or 1:02:03."""
    minutes, seconds = divmod(max(0, int(seconds + 0.5)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


class Progress:
    """Show the progress of a long job: `with Progress("recording", 20000, "frames") as p: p.update(done)`.

    total: number of units, or seconds when unit is "s". quiet: print nothing.
    """

    def __init__(self, title: str, total: float, unit: str = "", quiet: bool = False) -> None:
        self.title, self.total, self.unit, self.quiet = title, max(float(total), 1e-9), unit, quiet
        self.started = time.monotonic()
        self.first: float | None = None
        self._last_print = float("-inf")
        self._tty = sys.stderr.isatty()
        self._width = 0

    def update(self, done: float, note: str = "") -> None:
        """Report that `done` units are finished; prints at most 5 times a second (every 10 s to a file)."""
        if self.quiet:
            return
        now = time.monotonic()
        if self.first is None:
            self.first = done
        if now - self._last_print < (0.2 if self._tty else 10.0) and done < self.total:
            return
        self._last_print = now
        elapsed = now - self.started
        fraction = min(1.0, done / self.total)
        rate = (done - self.first) / elapsed if elapsed > 0 else 0.0
        left = (self.total - done) / rate if rate > 0 else 0.0
        amount = "" if self.unit == "s" else f" {done:,.0f}/{self.total:,.0f} {self.unit}"
        line = f"{self.title} {fraction:4.0%}{amount}  {clock(elapsed)} elapsed, {clock(left)} left  {note}".rstrip()
        if self._tty:
            print("\r" + line.ljust(self._width), end="", file=sys.stderr, flush=True)
            self._width = len(line)
        else:
            print(line, file=sys.stderr, flush=True)

    def close(self) -> None:
        """End the progress line."""
        if self._tty and not self.quiet and self._width:
            print(file=sys.stderr, flush=True)
            self._width = 0

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
