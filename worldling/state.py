"""The state of a running world: everything but the weights. It can be forked, saved and loaded."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from worldling.checkpoint import read_tensors, write_tensors
from worldling.dynamics.memory import Memory
from worldling.errors import CheckpointError, ShapeError

FORMAT = "worldling-state-1"


@dataclass
class State:
    """The state of a world for B rows: made by `World.start`, advanced in place by `World.step`.

    latent, previous `[B, N, C]`: the current frame and the one before; memory: the past; seeds int64 `[B]`; index:
    frames made since start; batched: whether frames carry a batch axis; shown uint8 `[B, H, W, 3]`: the current frame
    as it was decoded, in worlds whose head reads it (dynamics/warp.py), else None; points `[B, 2, K, 2]`: the keypoints
    of the current frame and of the one before, in worlds that have them (dynamics/keypoints.py), else None.
    """

    latent: Tensor
    previous: Tensor
    memory: Memory
    seeds: Tensor
    index: int = 0
    batched: bool = True
    shown: Tensor | None = None
    points: Tensor | None = None

    @property
    def batch(self) -> int:
        """B, the number of rows."""
        return len(self.latent)

    def fork(self, n: int | None = None) -> State:
        """Return an independent copy that steps as this one would.

        n: of B * n rows, each repeated n times in place (b0 b0 b1 b1 ...). Raises `ShapeError` if n is below 1.
        """
        if n is None:
            return dataclasses.replace(self.rows(range(self.batch)), batched=self.batched)
        if n < 1:
            raise ShapeError(f"`n` must be at least 1, got {n}. Say how often each row is repeated.")
        return self.rows([row for row in range(self.batch) for _ in range(n)])

    def rows(self, rows: Sequence[int]) -> State:
        """Return an independent copy of some rows, repeats allowed."""
        pick = torch.as_tensor(list(rows))
        there = pick.to(self.latent.device)
        return State(
            self.latent[there],
            self.previous[there],
            self.memory.rows(pick),
            self.seeds[pick],
            self.index,
            shown=None if self.shown is None else self.shown[there],
            points=None if self.points is None else self.points[there],
        )

    @torch.inference_mode()
    def put_row(self, row: int, other: State) -> None:
        """Overwrite one row with the only row of `other`, a state of the same world."""
        for there, here in zip(self._tensors().values(), other._tensors().values(), strict=True):
            there[row] = here[0]

    def reseed(self, seeds: Sequence[int]) -> None:
        """Set the seed of every row, so that forks of a stochastic world differ."""
        self.seeds = torch.as_tensor(list(seeds), dtype=torch.long).expand(self.batch).clone()

    def save(self, path: str | Path) -> None:
        """Write this state as one safetensors file, complete or not at all. Raises `DiskFullError`."""
        write_tensors(path, self._tensors(), {"format": FORMAT, "index": self.index, "batched": self.batched})

    @classmethod
    def load(cls, path: str | Path, like: State | None = None) -> State:
        """Read what `save` wrote: a state that steps as the saved one would.

        like: a state of the world that will continue from it, such as `world.empty_state(1)`, of any number of rows:
        the tensors are checked against it and moved to its device; None: not checked, on the CPU. Raises
        `CheckpointError` if the file is missing, damaged, not a state, or the state of a world with other shapes.
        """
        tensors, meta = read_tensors(path)
        count = sum(name.startswith("memory.") for name in tensors)
        wanted = {"latent", "previous", "seeds", "stamp", "frames", *(f"memory.{i}" for i in range(count))}
        whole = type(meta.get("index")) is int and type(meta.get("batched")) is bool
        if meta.get("format") != FORMAT or set(tensors) - {"shown", "points"} != wanted or not whole:
            raise CheckpointError(
                f"`{path}` must be a saved state, got another file. Give one that `State.save` wrote."
            )
        if like is not None:
            _check_shapes(tensors, like._tensors(), path)
        device = torch.device("cpu") if like is None else like.latent.device
        there = {name: tensor.to(device) for name, tensor in tensors.items()}
        memory = Memory([there[f"memory.{i}"] for i in range(count)], tensors["stamp"], tensors["frames"])
        return cls(
            there["latent"],
            there["previous"],
            memory,
            tensors["seeds"],
            int(meta["index"]),
            bool(meta["batched"]),
            there.get("shown"),
            there.get("points"),
        )

    def _tensors(self) -> dict[str, Tensor]:
        """Return all tensors by name, each of B rows; frames: how many the memory has read; stamp: see `Memory`."""
        memory = {f"memory.{i}": tensor for i, tensor in enumerate(self.memory.tensors)}
        named = {"latent": self.latent, "previous": self.previous, "seeds": self.seeds, **memory}
        named |= {"stamp": self.memory.stamp, "frames": self.memory.index}
        extra = {"shown": self.shown, "points": self.points}
        return named | {name: tensor for name, tensor in extra.items() if tensor is not None}


def _check_shapes(tensors: dict[str, Tensor], like: dict[str, Tensor], path: str | Path) -> None:
    """Raise `CheckpointError` unless `tensors` have the names, and row by row the shapes, of `like`."""
    for name in sorted(set(tensors) | set(like)):
        got = list(tensors[name].shape[1:]) if name in tensors else "nothing"
        wanted = list(like[name].shape[1:]) if name in like else "nothing"
        if got != wanted:
            raise CheckpointError(
                f"`{name}` of a row must be {wanted} for this world, got {got} in {path}. "
                "It is the state of another world: load it with the world that made it."
            )
