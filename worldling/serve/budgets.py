"""How much of the server one connection may ask for: token buckets, and the seats of all sessions."""

from __future__ import annotations

import time
from collections.abc import Callable

from worldling.errors import ServeError

#: Sessions at once, unless `serve` is told another number.
MAX_SESSIONS = 16
#: A session that nobody was heard from for so long gives its seat to a newcomer, if all are taken.
IDLE_S = 300.0
#: Messages a second, and how many at once. More are read no faster. A kilobyte counts as one more message.
MESSAGES = (240.0, 480.0)
#: A connection that sends more than that for so many seconds without a pause is closed.
FLOOD_S = 10.0
#: What costs more than a message, by kind: so many a second, and at once. More are refused.
KINDS = {
    "reset": (2.0, 6.0),
    "branch": (3.0, 8.0),
    "step": (60.0, 60.0),
    "speed": (8.0, 16.0),
    "pause": (10.0, 20.0),
    "record": (4.0, 8.0),
    "picture": (0.5, 4.0),
}
#: Saved recordings (mp4 or GIF) of a session, a second and at once; HTTP requests of a TCP connection.
SAVES = (0.2, 3.0)
REQUESTS = (50.0, 100.0)
#: At most so often is a player told that something was refused, in seconds.
TELL_EVERY_S = 1.0


class Bucket:
    """A token bucket: holds `burst` tokens at most and at first, and gains `rate` of them a second.

    clock: seconds.
    """

    def __init__(self, rate: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.rate, self.burst, self._clock = rate, burst, clock
        self._tokens, self._at = burst, clock()

    def take(self, tokens: float = 1.0) -> bool:
        """Take tokens if there are enough."""
        self._fill()
        if self._tokens < tokens:
            return False
        self._tokens -= tokens
        return True

    def owe(self, tokens: float = 1.0) -> float:
        """Take tokens whether they are there or not; returns the seconds until none is owed."""
        self._fill()
        self._tokens = min(self.burst, self._tokens - tokens)
        return max(0.0, -self._tokens / self.rate)

    def _fill(self) -> None:
        now = self._clock()
        self._tokens, self._at = min(self.burst, self._tokens + (now - self._at) * self.rate), now


class Budget:
    """What one connection may still ask for."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._messages = Bucket(*MESSAGES, clock)
        self._kinds = {kind: Bucket(*limits, clock) for kind, limits in KINDS.items()}
        self._kinds["rewind"] = self._kinds["return"] = self._kinds["branch"]  # ways of going back
        self._saves = Bucket(*SAVES, clock)
        self._over_since: float | None = None
        self._told_at = -TELL_EVERY_S

    def message(self, num_bytes: int) -> float:
        """Count a message before it is looked at; returns the seconds to wait before it is.

        Raises `ServeError` once it has been too many for `FLOOD_S`.
        """
        wait, now = self._messages.owe(1 + num_bytes / 1024), self._clock()
        if not wait:
            self._over_since = None
        elif self._over_since is None:
            self._over_since = now
        elif now - self._over_since > FLOOD_S:
            raise ServeError(
                f"`messages` must be at most {MESSAGES[0]:g} a second, got more for {FLOOD_S:g} s. Reload the page."
            )
        return wait

    def give_back(self) -> None:
        """Take back the counting of a message that costs nothing: an acknowledgement of a frame that was sent."""
        self._messages.owe(-1)

    def allow(self, kind: str) -> None:
        """Raise `ServeError` if messages of this kind come too fast; see `tells`."""
        bucket = self._kinds.get(kind)
        if bucket is not None and not bucket.take():
            raise OverBudgetError(
                f"`{kind}` must come at most {bucket.rate:g} times a second, got more. Wait a moment."
            )

    def allow_film(self) -> None:
        """Raise `ServeError` if recordings are saved too often."""
        if not self._saves.take():
            raise OverBudgetError(
                f"`recording` must be saved at most once in {1 / SAVES[0]:g} s, got more. Wait a moment."
            )

    def tells(self) -> bool:
        """Say whether the player is told of a refusal now: not of each, since the answers would be a flood too."""
        if self._clock() - self._told_at < TELL_EVERY_S:
            return False
        self._told_at = self._clock()
        return True


class OverBudgetError(ServeError):
    """A connection asks for more than its budget."""
