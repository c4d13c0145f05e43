"""Run many sessions of one world in batches.

    engine = Engine(world, capacity=16)
    a = engine.open(frames, actions, seed=1)
    b = engine.open(other_frames, other_actions)
    shown = engine.step({a: 0, b: 3})        # {a: uint8 [H, W, 3], b: ...}
    engine.close(a)

Each session has a slot: one row of a batch of fixed size. A batch always runs with all its rows, also empty ones: the
same graph and kernels, and rows never mix. So a session's frames do not depend on which others join, leave or wait.
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
    """Sessions of `world`, at most `capacity`. Not thread-safe.

    batch_size: rows that run together. Large enough to use all cores, small enough that a batch with one session
    wastes little: at 64 tokens a frame, 8; for tiny worlds 64. On a GPU take one batch for all.
    """

    def __init__(self, world: World, capacity: int, batch_size: int = 8) -> None:
        if capacity < 1 or batch_size < 1:
            raise ServeError(
                f"`capacity` and `batch_size` must be at least 1, got {capacity} and {batch_size}. Use 1 or more."
            )
        self.world, self.capacity, self.batch_size = world, capacity, min(batch_size, capacity)
        self._batches: list[State] = []
        self._free = list(range(capacity))[::-1]
        self._slots: dict[int, int] = {}  # session -> slot; slot // batch_size is its batch, slot % batch_size its row
        self._opened = 0

    def __len__(self) -> int:
        """Return the number of open sessions."""
        return len(self._slots)

    @torch.inference_mode()
    def open(self, frames: Any, actions: Any, seed: int = 0) -> int:
        """Start a session from real frames `[T, H, W, 3]` and the actions between them; returns its id.

        Raises `ServeError` if the engine is full, `ShapeError` or `ActionError` as `World.start`.
        """
        if not self._free:
            raise ServeError(
                f"`capacity` must exceed the open sessions, got {self.capacity} of {self.capacity}. Close one."
            )
        alone = self.world.start(np.asarray(frames)[None], np.asarray(actions)[None], seed)
        slot = self._free.pop()
        while len(self._batches) <= slot // self.batch_size:
            self._batches.append(self.world.empty_state(self.batch_size))
        self._batches[slot // self.batch_size].put_row(slot % self.batch_size, alone)
        self._opened += 1
        self._slots[self._opened] = slot
        return self._opened

    def step(self, actions: Mapping[int, Any], decode: bool = True) -> dict[int, np.ndarray]:
        """Advance the given sessions by one frame each; the others wait.

        actions: one raw action per session id. Returns uint8 frames `[H, W, 3]` by id (with decode=False:
        latents `[N, C]`). Raises `ServeError` or `ActionError` before any state has changed.
        """
        space = self.world.action_space
        vectors = {self._slot_of(session): space.encode(action, ()) for session, action in actions.items()}
        shown: dict[int, np.ndarray] = {}
        for number, state in enumerate(self._batches):
            moving = [slot for slot in vectors if slot // self.batch_size == number]
            if not moving:
                continue
            vectors_of_rows = torch.zeros(self.batch_size, space.size)
            for slot in moving:
                vectors_of_rows[slot % self.batch_size] = torch.from_numpy(vectors[slot])
            rows = torch.tensor(sorted(slot % self.batch_size for slot in moving))
            frames = self.world.advance(state, vectors_of_rows, decode, None if len(rows) == self.batch_size else rows)
            made = frames if frames is not None else state.latent.cpu().numpy()
            shown |= {slot: made[slot % self.batch_size].copy() for slot in moving}
        return {session: shown[self._slots[session]] for session in actions}

    def close(self, session: int) -> None:
        """End a session and free its slot. Raises `ServeError` if it is not open."""
        self._free.append(self._slot_of(session))
        del self._slots[session]

    def _slot_of(self, session: int) -> int:
        if session not in self._slots:
            raise ServeError(f"`session` must be open, got {session!r}. Open are: {sorted(self._slots)}.")
        return self._slots[session]
