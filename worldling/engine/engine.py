"""Many sessions of one world at once, several to a batch.

    engine = Engine(world, capacity=16)
    a = engine.open(frames, actions, seed=1)
    b = engine.open(other_frames, other_actions)
    shown = engine.step({a: 0, b: 3})        # {a: uint8 [H, W, 3], b: ...}
    engine.close(a)

Sessions sit in lanes of a few rows. A lane always runs whole, whoever sits in it: the same graph, the same
kernels, and rows never mix. So a session's frames do not depend on who joins, leaves or waits beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from worldling.errors import ServeError
from worldling.state import State
from worldling.world import World


class Engine:
    """Sessions of `world`, at most `capacity`. Not safe to call from two threads at once.

    lane: rows that run together. Large enough to feed the cores, small enough that a lane with one session
    in it wastes little: at 64 tokens a frame, 8; tiny worlds like 64. A GPU likes one lane for all.
    """

    def __init__(self, world: World, capacity: int, lane: int = 8) -> None:
        if capacity < 1 or lane < 1:
            raise ServeError(f"`capacity` and `lane` must be at least 1, got {capacity} and {lane}. Use 1 or more.")
        self.world, self.capacity, self.lane = world, capacity, min(lane, capacity)
        self._lanes: list[State] = []
        self._free = list(range(capacity))[::-1]
        self._seats: dict[int, int] = {}  # session -> place; place // lane is its lane, place % lane its row
        self._opened = 0

    def __len__(self) -> int:
        """Return the number of open sessions."""
        return len(self._seats)

    @torch.inference_mode()
    def open(self, frames: Any, actions: Any, seed: int = 0) -> int:
        """Start a session from real frames `[T, H, W, 3]` and the actions between them; returns its id.

        Raises `ServeError` if the engine is full, `ShapeError` or `ActionError` as `World.start`.
        """
        if not self._free:
            raise ServeError(
                f"`capacity` must exceed the sessions open, got {self.capacity} of {self.capacity}. Close one."
            )
        alone = self.world.start(np.asarray(frames)[None], np.asarray(actions)[None], seed)
        place = self._free.pop()
        while len(self._lanes) <= place // self.lane:
            self._lanes.append(self.world.blank(self.lane))
        self._lanes[place // self.lane].put_row(place % self.lane, alone)
        self._opened += 1
        self._seats[self._opened] = place
        return self._opened

    def step(self, actions: Mapping[int, Any], decode: bool = True) -> dict[int, np.ndarray]:
        """Advance the named sessions by one frame each, the others stand still.

        actions: one raw action per session id. Returns uint8 frames `[H, W, 3]` by id (with decode=False:
        latents `[N, C]`). Raises `ServeError` or `ActionError` before anything has moved.
        """
        space = self.world.action_space
        vectors = {self._seat_of(session): space.encode(space.check(action, ())) for session, action in actions.items()}
        shown: dict[int, np.ndarray] = {}
        for number, lane in enumerate(self._lanes):
            moving = [place for place in vectors if place // self.lane == number]
            if not moving:
                continue
            batch = torch.zeros(self.lane, space.size)
            for place in moving:
                batch[place % self.lane] = torch.from_numpy(vectors[place])
            rows = torch.tensor(sorted(place % self.lane for place in moving))
            frames = self.world.advance(lane, batch, decode, None if len(rows) == self.lane else rows)
            made = frames if frames is not None else lane.latent.cpu().numpy()
            shown |= {place: made[place % self.lane].copy() for place in moving}
        return {session: shown[self._seats[session]] for session in actions}

    def close(self, session: int) -> None:
        """End a session and free its place. Raises `ServeError` if it is not open."""
        self._free.append(self._seat_of(session))
        del self._seats[session]

    def _seat_of(self, session: int) -> int:
        if session not in self._seats:
            raise ServeError(f"`session` must be open, got {session!r}. Open are: {sorted(self._seats)}.")
        return self._seats[session]
