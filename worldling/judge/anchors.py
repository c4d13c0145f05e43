"""Anchors: stand-ins for a world that suites measure through the same code, so that its figures have a bottom."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch

from worldling.world import World


def broken_copy(world: Any) -> World | None:
    """Return the world's networks with the numbers inside each weight shuffled, or None if the world is not ours."""
    if not isinstance(world, World):
        return None
    tokenizer, dynamics = copy.deepcopy((world.tokenizer, world.dynamics))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in (*tokenizer.parameters(), *dynamics.parameters()):
            order = torch.randperm(weight.numel(), generator=generator).to(weight.device)
            weight.copy_(weight.flatten()[order].view_as(weight))
    return World(world.config, tokenizer, dynamics, world.card)


class CopyLast:
    """A world in which nothing ever happens: it shows the last frame given, for ever. Batches only."""

    def __init__(self, world: Any) -> None:
        self.config, self.action_space, self.size_px = world.config, world.action_space, world.size_px

    def start(self, frames: np.ndarray, actions: np.ndarray, seed: Any = 0) -> np.ndarray:
        """Return the last of frames `[B, T, H, W, 3]`."""
        return frames[:, -1]

    def rollout(self, state: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """Return it as often as there are actions `[B, T, ...]`: uint8 `[B, T, H, W, 3]`."""
        return np.repeat(state[:, None], np.shape(actions)[1], axis=1)
