"""Baselines that suites measure beside the world: the last frame repeated, and the same networks untrained."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from worldling.dynamics.model import Dynamics
from worldling.foreign import ForeignWorld
from worldling.protocol import WorldModel
from worldling.tokenizer.model import Tokenizer
from worldling.world import World


class CopyLast(ForeignWorld):
    """The copy-last baseline: it repeats the last frame that it was shown."""

    def __init__(self, world: WorldModel) -> None:
        super().__init__(world.size_px, world.action_space, world.config.context, "copy last")
        self.card = world.card

    def observe(self, frames: np.ndarray, actions: np.ndarray, seeds: np.ndarray) -> np.ndarray:
        """Remember the last frames `[B, H, W, 3]`."""
        return frames[:, -1]

    def predict(self, state: np.ndarray, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Repeat them."""
        return state, state


def random_weights_copy(world: WorldModel) -> World | None:
    """Return the same networks with random weights, or None if the world is not ours.

    The head's scores, which are zero in a fresh head, are drawn too; its built-in bias towards no change stays.
    It runs on the world's own backend if that is OpenVINO (int8 as bf16), else on the reference.
    """
    if not isinstance(world, World):
        return None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        tokenizer, dynamics = Tokenizer(world.config.tokenizer), Dynamics(world.config.dynamics)
        nn.init.normal_(dynamics.head.scores.weight, std=0.5)
    copy = World(
        world.config, tokenizer.to(world.device), dynamics.to(world.device), world.card, mean_frame=world.mean_frame
    )
    copy.backend = world.backend.like(copy)
    return copy
