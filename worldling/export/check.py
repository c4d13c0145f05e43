"""Compare an exported world with the reference, frame by frame, before it is given away."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from worldling.backend import Reference
from worldling.backends.calibrate import rollout_actions
from worldling.errors import ExportError
from worldling.export.play_onnx import Noise
from worldling.export.play_onnx import World as ExportedWorld
from worldling.progress import Progress
from worldling.tick import TickInputs, TickOutputs
from worldling.world import World

#: Frames of a roll-out, and roll-outs; least PSNR of a frame that is not equal, in dB.
STEPS, STARTS, LEAST_DB = 64, 3, 60.0


@dataclass(frozen=True)
class Agreement:
    """How far the frames of an exported world are those of the reference, over free roll-outs of the same actions.

    frames: compared; equal: share of them that are the same in every pixel; worst_db: PSNR of the worst, inf if all are
    equal; original_db: PSNR, of the mean squared error, against the world before its weights were rounded, where they
    were.
    """

    frames: int
    equal: float
    worst_db: float
    original_db: float | None = None

    @property
    def is_close(self) -> bool:
        """Whether it is within the bound: no frame below `LEAST_DB`, where a person sees no difference."""
        return self.worst_db >= LEAST_DB


class _SameNoise(Reference):
    """The reference, given the noise of an exported world with seed 0; index: of its first frame."""

    def __init__(self, world: World, index: int) -> None:
        super().__init__(world)
        self.index = index

    def tick(self, inputs: TickInputs, decode: bool) -> TickOutputs:
        drawn = torch.from_numpy(Noise(0).draw(self.index, inputs.noise.shape))
        self.index += 1
        return super().tick(inputs._replace(noise=drawn), decode)


def compare(world: World, file: Path, quiet: bool = True, original: World | None = None) -> Agreement:
    """Play `STARTS` roll-outs of `STEPS` frames in the graph at `file`, and in `world` on the reference backend.

    original: the world before its weights were rounded, which is played too. Raises `ExportError` if the graph cannot
    be run.
    """
    try:
        exported = ExportedWorld(str(file))
    except Exception as error:  # onnxruntime has no tree of errors
        raise ExportError(
            f"`{file}` must be a graph that onnxruntime runs, got: {error}. Update onnxruntime."
        ) from None
    starts = min(STARTS, len(exported.about["starts"]))
    actions = rollout_actions(world, starts, STEPS, np.random.default_rng(1))
    equal, worst, lost = 0, math.inf, list[float]()
    with Progress("comparing with the reference", starts * STEPS, "frames", quiet) as progress:
        for number in range(starts):
            exported.start(number)
            before = None if original is None else _frames(original, number, actions[number])
            for t, wanted in enumerate(_frames(world, number, actions[number])):
                found = exported.step(world.action_space.encode(actions[number][t]))
                same = bool(np.array_equal(wanted, found))
                equal += same
                worst = worst if same else min(worst, decibels(found, wanted))
                if before is not None:
                    lost.append(float(np.square(found.astype(np.float64) - next(before)).mean()))
                progress.update(number * STEPS + t + 1)
    lost_db = float(10 * np.log10(255**2 / max(float(np.mean(lost)), 1e-9))) if lost else None
    return Agreement(starts * STEPS, equal / (starts * STEPS), worst, lost_db)


def _frames(world: World, number: int, actions: Sequence[Any]) -> Iterator[np.ndarray]:
    """Yield the frames of a roll-out from start `number` on the reference backend."""
    world, count = copy.copy(world), world.config.context
    world.backend = _SameNoise(world, count - 1)
    clip = world.contexts[number]
    state = world.start(clip.frames[:count], clip.actions[: count - 1])
    for action in actions:
        frame = world.step(state, action).frame
        assert frame is not None, "it was decoded"
        yield frame


def decibels(found: np.ndarray, wanted: np.ndarray) -> float:
    """Return the PSNR of one frame that is not equal, in dB, without the limit that `frame_error.psnr` sets."""
    difference = found.astype(np.float64) - wanted
    return float(10 * np.log10(255**2 / np.square(difference).mean()))
