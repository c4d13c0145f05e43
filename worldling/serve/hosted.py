"""One world as the server plays it: its pace and picture, its real environments, and its sessions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from worldling.alarm import DriftAlarm
from worldling.data.fit import picture_of
from worldling.description import describe
from worldling.errors import EnvError, ServeError
from worldling.protocol import WorldModel
from worldling.serve.messages import encode_jpeg
from worldling.serve.real_environment import RealEnvironment
from worldling.serve.session import Session


def pace(world: WorldModel, fps: float | None) -> float:
    """Return the frames per second at speed 1: `fps`, else the world's own. Raises `ServeError`."""
    fps = fps if fps is not None else world.config.fps
    if fps is None:
        raise ServeError("`fps` must be given for a world without a frame rate of its own, got none. Add --fps 30.")
    if not 0 < fps <= 1000:
        raise ServeError(f"`fps` must be above 0 and at most 1000, got {fps}. Try 30.")
    return float(fps)


class HostedWorld:
    """A world that is open and can be played.

    id: by which the page names it; fps: frames per second at speed 1, None takes the world's own; open_real: opens a
    real environment for a session (called in the worker), or None without --beside; optional: play without a real
    environment that cannot be opened, and say why; alarm: checks every frame of every session for drift, or None.
    Raises `ServeError` if it has no pace or no start.
    """

    def __init__(
        self,
        id: str,
        world: WorldModel,
        fps: float | None = None,
        open_real: Callable[[], RealEnvironment] | None = None,
        optional: bool = False,
        alarm: DriftAlarm | None = None,
    ) -> None:
        self.id, self.world, self.alarm, self.fps = id, world, alarm, pace(world, fps)
        self._check()
        self.picture = picture_of(world.card.get("source", {}), world.size_px)
        self.num_sessions = 0
        self._open_real, self._optional, self._no_real = open_real, optional, ""
        self._idle: list[RealEnvironment] = []

    def _check(self) -> None:
        if not self.world.contexts:
            raise ServeError(
                "`world.contexts` must hold at least one start, got none. Train it again with worldling train."
            )

    @property
    def beside(self) -> bool:
        """Whether a real environment is shown next to the dream."""
        return self._open_real is not None

    def describe(self) -> dict[str, Any]:
        """Return what the page and scripts need to know about the world, as json values."""
        return {
            "id": self.id,
            "backend": self.world.backend.name,
            "can_start_from_picture": True,
            "beside": self.beside,
            **describe(self.world, self.fps),
        }

    def first_jpeg(self) -> bytes:
        """Return the last frame of the first context, shown while a session starts."""
        return encode_jpeg(self.picture.cut(self.world.contexts[0].frames[self.world.config.context - 1]))

    def prepare(self) -> None:
        """Open the first real environment, if there shall be one. Call in the worker. Raises what opening raises."""
        if self._open_real is None or self._idle:
            return
        try:
            self._idle.append(self._open_real())
        except (EnvError, ServeError) as error:
            if not self._optional:
                raise
            self._open_real, self._no_real = None, f"No real environment beside this world: {error}"

    def open_session(self) -> Session:
        """Begin a session. Call in the worker."""
        real = None
        if self._open_real is not None:
            real = self._idle.pop() if self._idle else self._open_real()
        try:
            session = Session(self.world, self.fps, real, alarm=self.alarm, note=self._no_real)
        except BaseException:
            self._release(real)
            raise
        self.num_sessions += 1
        return session

    def close_session(self, session: Session) -> None:
        """End a session that was begun. Call in the worker."""
        self.num_sessions -= 1
        self._release(session.real)

    def close(self) -> None:
        """Close the environments. Call in the worker."""
        while self._idle:
            self._idle.pop().close()

    def _release(self, real: RealEnvironment | None) -> None:
        """Keep a session's environment for reuse."""
        if real is not None:
            self._idle.append(real)
