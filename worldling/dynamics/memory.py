"""The ring memory: what the backbone keeps of past frames, and how old each slot is.

The first `sinks` slots hold the first frames for good; the others are a ring of the last `window` frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from worldling.dynamics.model import DynamicsConfig


def clip_age(position: Tensor, config: DynamicsConfig) -> Tensor:
    """Return the age `[B, T, T]` of every key frame (last axis) seen from every query frame of a clip.

    position `[B, T]`: frame numbers, rising; a clip may hold its sinks and then jump ahead. Gives what the
    ring gives: the window, the sinks beyond it, nothing later and nothing else.
    """
    age = position[:, :, None] - position[:, None, :]
    sink = torch.arange(position.shape[1], device=position.device) < config.sinks
    seen = (age >= 0) & ((age <= config.window) | sink)
    return torch.where(seen, age.clamp(max=config.window + 1), config.window + 2)


@dataclass
class Memory:
    """Keys and values of past frames of B rows.

    tensors: key, value, key, value ... of each T layer, each `[B, R, N, D]`; stamp `[B, R]`: the frame number
    in each slot, -1 if empty; index `[B]`: the number of frames remembered so far.
    """

    tensors: list[Tensor]
    stamp: Tensor
    index: Tensor

    @classmethod
    def empty(
        cls, config: DynamicsConfig, batch: int, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
    ) -> Memory:
        """Return a memory of nothing."""
        shape = (batch, config.slots, config.tokens, config.width)
        tensors = [torch.zeros(shape, device=device, dtype=dtype) for _ in range(2 * config.time_layers)]
        return cls(tensors, torch.full((batch, config.slots), -1), torch.zeros(batch, dtype=torch.long))

    def age(self, config: DynamicsConfig) -> Tensor:
        """Return the age `[B, R]` of every slot as the next frame will see it."""
        age = (self.index[:, None] - self.stamp).clamp(max=config.window + 1)
        return torch.where(self.stamp < 0, config.window + 2, age)

    def remember(self, fresh: Sequence[Tensor], config: DynamicsConfig, rows: Tensor | None = None) -> None:
        """Write one frame's keys and values `[B, N, D]`, over the oldest frame of the window, in place.

        rows: int64, the only rows to write (the others stand still); None writes all.
        """
        first = int(self.index[0])
        if rows is None and bool((self.index == first).all()):  # rows in step: one slice for all, and no index tensors
            slot = _slot(first, config) if first >= config.sinks else first
            for tensor, new in zip(self.tensors, fresh, strict=False):
                tensor[:, slot] = new
            self.stamp[:, slot] = first
            self.index += 1
            return
        rows = torch.arange(len(self.index)) if rows is None else rows
        index = self.index[rows]
        slots = torch.where(index < config.sinks, index, _slot(index, config))
        for tensor, new in zip(self.tensors, fresh, strict=False):
            tensor[rows, slots] = new[rows].to(tensor.dtype)
        self.stamp[rows, slots] = index
        self.index[rows] += 1

    def rows(self, rows: Tensor) -> Memory:
        """Return a copy that holds only `rows` (repeats allowed)."""
        return Memory([t[rows.to(t.device)] for t in self.tensors], self.stamp[rows], self.index[rows])


def _slot(index: Any, config: DynamicsConfig) -> Any:
    """Return where in the ring frame number `index` (an int or a tensor) goes."""
    return config.sinks + (index - config.sinks) % config.window
