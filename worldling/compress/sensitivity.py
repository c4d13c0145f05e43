"""How much a world's roll-outs change when the weights of one layer have fewer bits."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from worldling.backend import Reference
from worldling.backends.calibrate import rollout_actions
from worldling.errors import ConfigError
from worldling.frame_error import frame_error
from worldling.packed import BITS, can_pack, rounded
from worldling.progress import Progress
from worldling.world import World
from worldling.world_files import weights_of

#: Roll-outs, and frames of each: few enough that errors have not yet grown into another future.
ROWS, STEPS = 12, 8


class Probe:
    """Roll-outs of `world` on the reference backend, with which those of other worlds are compared.

    Raises `ConfigError` if the world has no clips to start from.
    """

    def __init__(self, world: World, rows: int = ROWS, steps: int = STEPS) -> None:
        if not world.contexts:
            raise ConfigError("`world.contexts` must hold a clip to start from, got none. Train the world again.")
        count = world.config.context
        clips = [world.contexts[i % len(world.contexts)] for i in range(rows)]
        self.frames = np.stack([clip.frames[:count] for clip in clips])
        self.actions = np.stack([clip.actions[: count - 1] for clip in clips])
        self.following = rollout_actions(world, rows, steps, np.random.default_rng(0))
        self.wanted = self._roll_out(world)

    def error(self, other: World) -> float:
        """Return the mean squared difference of the roll-outs of `other`; black to white counts as 1."""
        return float(frame_error(self._roll_out(other), self.wanted).mean())

    def _roll_out(self, world: World) -> np.ndarray:
        world = copy.copy(world)
        world.backend = Reference(world)
        state = world.start(self.frames, self.actions, seed=list(range(len(self.frames))))
        return world.rollout(state, self.following)


@contextmanager
def replaced(world: World, weights: Mapping[str, Tensor]) -> Iterator[None]:
    """Give `world` other weights, by the names of `weights_of`, for as long as the `with` lasts."""
    own = weights_of(world)
    before = {name: own[name].clone() for name in weights}
    try:
        for name, weight in weights.items():
            own[name].copy_(weight)
        yield
    finally:
        for name, weight in before.items():
            own[name].copy_(weight)


def packable(world: World) -> dict[str, Tensor]:
    """Return the weights of `world` that can be packed, by name."""
    return {name: weight for name, weight in weights_of(world).items() if can_pack(weight.shape)}


@torch.inference_mode()
def sensitivities(
    world: World, probe: Probe, known: Collection[str] = (), quiet: bool = True
) -> Iterator[tuple[str, dict[int, float]]]:
    """Yield each weight's name, and the error of the roll-outs with it alone in so many bits.

    known: names of weights that are not measured. Errors fall with the bits: where noise says otherwise, fewer bits
    count as the worse. Cost: about a second for a weight of a small world.
    """
    weights = {name: weight for name, weight in packable(world).items() if name not in known}
    with Progress("measuring how sensitive weights are", len(weights), "weights", quiet) as progress:
        for number, (name, weight) in enumerate(weights.items()):
            found: dict[int, float] = {}
            for bits in sorted(BITS, reverse=True):
                with replaced(world, {name: rounded(weight, bits)}):
                    found[bits] = max(probe.error(world), *found.values(), 0.0)
            yield name, found
            progress.update(number + 1)
