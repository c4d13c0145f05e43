"""Record by playing: the player's page on the real environment, whose episodes go into a data set.

The recorder runs as ever (`worldling.data.record`), with a policy that waits for the player: `Hands`. A session of the
page hands it the held action, and waits for the frame that follows.

    page's clock -> GameSession.advance -> Hands.act (in the recorder's thread) -> Environment.step -> the next frame
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, Queue
from typing import Any

import numpy as np

from worldling.data.environment import Environment
from worldling.data.fit import Size
from worldling.data.hands import is_pointer
from worldling.data.policies import Act
from worldling.data.record import record
from worldling.errors import ServeError
from worldling.serve.catalogue import Catalogue
from worldling.serve.guard import allowed_hosts
from worldling.serve.history import StoredFrame
from worldling.serve.hosted import HostedWorld
from worldling.serve.messages import encode_jpeg
from worldling.serve.port import open_port
from worldling.serve.run import serve_until
from worldling.serve.server import PlayServer
from worldling.serve.session import Session
from worldling.types import ActionSpace

WAIT_S = 0.05  # between looks at whether the recorder still runs
END = None  # instead of an action: the episode ends here


@dataclass(frozen=True)
class Seen:
    """A frame uint8 `[H, W, 3]` that waits for an action; first: whether an episode begins with it."""

    frame: np.ndarray
    first: bool


class Hands:
    """A policy whose actions a person gives: it stands between the recorder's thread and the page's.

    done: the recording is over, or shall be; env: the environment, once there is one; steps, episodes: played so far.
    """

    name = "human"

    def __init__(self) -> None:
        self.done = threading.Event()
        self.env: Environment | None = None
        self.steps = self.episodes = 0
        self._seen: Queue[Seen] = Queue()
        self._actions: Queue[Any] = Queue()

    def __call__(self, env: Environment, seed: int) -> Act:
        """Begin an episode, as every policy does; called in the recorder's thread."""
        self.env, first = env, True

        def act(frame: np.ndarray, info: dict[str, Any]) -> Any:
            nonlocal first
            self._seen.put(Seen(frame, first))
            action = self._wait(self._actions)
            if action is not END:
                self.steps, self.episodes, first = self.steps + 1, self.episodes + first, False
            return action

        return act

    def look(self) -> Seen:
        """Wait for the frame that is to be acted on; called in the page's thread. Raises `ServeError` at the end."""
        seen: Seen | None = self._wait(self._seen)
        if seen is None:
            raise ServeError("`recording` must go on to be played, got one that has ended. The terminal says why.")
        return seen

    def give(self, action: Any) -> Seen:
        """Act, or end the episode with `END`, and wait for the frame that follows. Raises `ServeError` at the end."""
        self._actions.put(action)
        return self.look()

    def put_back(self, seen: Seen) -> None:
        """Let a frame wait for whoever looks next."""
        self._seen.put(seen)

    def _wait(self, queue: Queue[Any]) -> Any:
        """Return what comes, or None once the recording is done."""
        while not self.done.is_set():
            with contextlib.suppress(Empty):
                return queue.get(timeout=WAIT_S)
        return None


@dataclass(frozen=True)
class Game:
    """What a page and its session ask of a world, of the environment that is played instead."""

    size_px: int
    action_space: ActionSpace
    card: Mapping[str, Any]
    name: str
    fps: float
    contexts: tuple[()] = field(default=())

    @property
    def config(self) -> Game:
        """Itself: name and fps are its settings."""
        return self

    @property
    def backend(self) -> Any:
        """What runs it, in words."""
        return Label()


@dataclass(frozen=True)
class Label:
    """What runs the game, in words."""

    name: str = "real environment, recorded"
    reason: str = ""


class GameSession(Session):
    """A real environment being played and recorded. It cannot go back: what happened is in the data set."""

    def __init__(self, game: Any, fps: float, hands: Hands) -> None:
        self.hands, self._begun = hands, False
        self.state: Any = _Unforked()
        super().__init__(game, fps)

    def status(self) -> dict[str, Any]:
        """Return the session's part of the `status` message, with how much is recorded."""
        return {**super().status(), "note": f"{self.hands.steps} steps in {self.hands.episodes} episodes recorded"}

    def reset(self, start: int | None = None) -> StoredFrame:
        """End the episode and begin the next; the first time, take the one that waits."""
        begun, self._begun = self._begun, True
        return self._episode(self.hands.give(END) if begun else self.hands.look(), start or 0)

    def advance(self) -> StoredFrame:
        """Give the held action to the environment; where its episode ends, the next one begins."""
        action, input_id = self._take_input()
        seen = self.hands.give(action)
        if seen.first:
            return self._episode(seen, self.start + 1)
        return self._store(seen.frame, action, input_id)

    def branch(self, index: int) -> Generator[None, None, StoredFrame]:
        """Raise `ServeError`: a real environment does not go back."""
        raise ServeError("`rewind` must be left alone while a game is recorded, got one. Press R for a new episode.")

    def start_from(self, picture: np.ndarray) -> StoredFrame:
        """Raise `ServeError`: a real environment does not start from a picture."""
        raise ServeError("`picture` must be given to a world, got one for a game that is recorded. Press R instead.")

    def finish(self) -> None:
        """End the recording."""
        self.hands.done.set()

    def _episode(self, seen: Seen, start: int) -> StoredFrame:
        """Begin an episode with the frame that waits."""
        self.start, self._neutral = start, self._neutral_action(np.zeros(0))
        with self._lock:
            self._inputs, self._held = [], (self._neutral, 0)
        self.history.clear()
        return self._store(seen.frame, None)

    def _neutral_action(self, actions: np.ndarray) -> np.ndarray:
        """Return the action while nothing is held: a pointer waits in the middle, all else is the no-op."""
        space = self.world.action_space
        if is_pointer(space):
            return np.asarray((np.add(space.low, space.high) / 2).astype(space.dtype))
        return space.noop[()]


class _Unforked:
    """Stands where a session has a world's state: there is one game, and it is not copied."""

    batch, index = 1, 0

    def fork(self, n: int | None = None) -> _Unforked:
        """Return itself."""
        return self


class HostedGame(HostedWorld):
    """A game that is recorded while it is played: by one player at a time. path: the folder of the data set."""

    def __init__(self, game: Game, hands: Hands, path: Path) -> None:
        super().__init__(game.name, game)  # type: ignore[arg-type]
        self.hands, self._path = hands, path
        self._first = encode_jpeg(self.picture.cut(np.zeros((game.size_px, game.size_px, 3), np.uint8)))

    def _check(self) -> None:
        """A game needs no clips to start from."""

    def describe(self) -> dict[str, Any]:
        """Return what the page needs to know, and where the recording goes."""
        return {**super().describe(), "num_starts": 1, "can_start_from_picture": False, "records_to": str(self._path)}

    def first_jpeg(self) -> bytes:
        """Return a black picture, shown until the game is there."""
        return self._first

    def open_session(self) -> Session:
        """Give the game to a player. Raises `ServeError` while another one has it."""
        if self.num_sessions:
            raise ServeError("`page` must be the only one on a game that is recorded, got a second. Use the first.")
        self.num_sessions = 1
        return GameSession(self.world, self.fps, self.hands)

    def close_session(self, session: Session) -> None:
        """Take the game back from a player: the episode ends where the page was closed."""
        self.num_sessions = 0
        if not self.hands.done.is_set():
            with contextlib.suppress(ServeError):
                self.hands.put_back(self.hands.give(END))


def record_by_playing(
    env_id: str,
    path: str | Path,
    frames: int = 20000,
    size_px: Size = 64,
    frame_skip: int | None = None,
    seed: int = 0,
    env_kwargs: dict[str, Any] | None = None,
    resume: bool = False,
    quiet: bool = False,
    fit: str = "pad",
    host: str = "127.0.0.1",
    port: int = 8000,
    open_browser: bool = True,
    announce: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Open the page on which a person plays the real environment, at its own rate, and record it into folder `path`.

    It ends with the page's button, Ctrl-C or `frames` frames; the episode in hand is kept up to there. announce: called
    with the page's URL; the others: see `worldling.record`, whose summary it returns. Raises `ServeError` when the port
    is taken or nothing was played, and what `worldling.record` raises.
    """
    hands, outcome = Hands(), _Outcome()

    def work() -> None:
        try:
            outcome.summary = record(
                env_id, path, frames, hands, size_px, frame_skip, 1, seed, env_kwargs, resume, quiet, fit, hands.done
            )
        except BaseException as error:  # told in the caller's thread
            outcome.error = error
        finally:
            hands.done.set()

    sock = open_port(host, port)
    recorder = threading.Thread(target=work, name="recorder")
    recorder.start()
    try:
        while hands.env is None and not hands.done.is_set():
            time.sleep(WAIT_S)
        if hands.env is not None:
            server = PlayServer(Catalogue.of(HostedGame(_game_of(hands.env), hands, Path(path))))
            serve_until(server, sock, host, allowed_hosts(host, ()), open_browser, announce, hands.done.is_set)
    finally:
        hands.done.set()
        recorder.join()
        sock.close()
    if outcome.error is not None:
        raise outcome.error
    if outcome.summary is None:
        raise ServeError("`recording` must hold at least two frames, got none. Play a little before it ends.")
    return outcome.summary


@dataclass
class _Outcome:
    summary: dict[str, Any] | None = None
    error: BaseException | None = None


def _game_of(env: Environment) -> Game:
    """Describe an environment that has drawn a frame, for the page."""
    source = {"env_id": env.env_id, **(env.fit.describe(*env.picture_px) if env.picture_px else {})}
    return Game(env.size_px, env.action_space, {"source": source}, env.env_id, env.fps)
