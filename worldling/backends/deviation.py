"""Measure how far a backend deviates from the fp32 reference over roll-outs of the same actions.

err        relative L2 error of its frames when every step starts from the reference's state (teacher-forced)
err_free   PSNR in dB of the last frame of a free roll-out, median over starts; no bound is set, since in chaotic
           worlds, or where two futures are about as likely, any difference grows
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from worldling.backend import Backend, Reference
from worldling.backends.calibrate import rollout_actions
from worldling.errors import BackendError
from worldling.frame_error import psnr
from worldling.progress import Progress
from worldling.tick import TickInputs, TickOutputs
from worldling.world import World


@dataclass(frozen=True)
class Deviation:
    """How far a backend deviates: err, relative; err_free, in dB. See the module's docstring."""

    err: float
    err_free: float


class _Compared(Reference):
    """The reference; also runs other backends on each frame's inputs and sums up their squared errors."""

    def __init__(self, world: World, others: Mapping[str, Backend]) -> None:
        super().__init__(world)
        self.others = others
        self.errors, self.energy = dict.fromkeys(others, 0.0), 0.0  # sums of squares

    def tick(self, inputs: TickInputs, decode: bool) -> TickOutputs:
        truth = super().tick(inputs, decode=True)
        frame = _frame(truth)
        self.energy += float(frame.square().sum())
        for name, backend in self.others.items():
            self.errors[name] += float((_frame(backend.tick(inputs, decode=True)) - frame).square().sum())
        return truth

    def err(self, name: str) -> float:
        """Return the relative L2 error of one of the others."""
        return math.sqrt(self.errors[name] / max(self.energy, 1e-9))


def _frame(made: TickOutputs) -> Tensor:
    assert made.frame is not None, "it was to be decoded"
    return made.frame.float()


def deviation(
    world: World, backends: Mapping[str, Backend], steps: int = 256, starts: int = 4, quiet: bool = True
) -> dict[str, Deviation]:
    """Measure how far each backend of `world` deviates, over `starts` roll-outs of `steps` frames.

    Raises `BackendError` if the world has no clips to start from.
    """
    if not world.contexts:
        raise BackendError("`world.contexts` must hold a clip to roll out from, got none. Train the world again.")
    actions = rollout_actions(world, starts, steps, np.random.default_rng(1))
    comparing = copy.copy(world)
    comparing.backend = compared = _Compared(world, backends)
    last: dict[str, list[float]] = {name: [] for name in backends}
    with Progress("comparing with the reference", starts * (1 + len(backends)), "roll-outs", quiet) as progress:
        for i in range(starts):
            truth = _last_frame(comparing, i, actions[i])
            for j, (name, backend) in enumerate(backends.items()):
                progress.update(i * (1 + len(backends)) + 1 + j)
                free = copy.copy(world)
                free.backend = backend
                last[name].append(float(psnr(_last_frame(free, i, actions[i]), truth)))
        progress.update(progress.total)
    return {name: Deviation(compared.err(name), float(np.median(last[name]))) for name in backends}


def _last_frame(world: World, start: int, actions: np.ndarray) -> np.ndarray:
    clip, count = world.contexts[start % len(world.contexts)], world.config.context
    state = world.start(clip.frames[:count], clip.actions[: count - 1])
    return world.rollout(state, actions)[0, -1]
