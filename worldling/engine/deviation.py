"""How far a backend strays from the fp32 reference over roll-outs of the same actions.

err        relative L2 error of its frames when every step starts from the reference's state (teacher-forced)
err_free   PSNR in dB of the last frame when it runs free, median over starts; a world that is chaotic, or a
           dream that stands at a fork, drifts apart from any difference, so this has no bound
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from worldling.engine.calibrate import rollout_actions
from worldling.errors import BackendError
from worldling.frame_error import psnr
from worldling.progress import Progress
from worldling.world import Runner, World


def deviation(
    world: World, runners: Mapping[str, Runner], steps: int = 256, starts: int = 4, quiet: bool = True
) -> dict[str, dict[str, float]]:
    """Return `{name: {"err", "err_free"}}` of each runner, over `starts` roll-outs of `steps` frames.

    Raises `BackendError` if the world has no clips to start from.
    """
    if not world.contexts:
        raise BackendError("`world.contexts` must hold a clip to roll out from, got none. Train the world again.")
    actions = rollout_actions(world, starts, steps, np.random.default_rng(1))
    wrong, right, last = dict.fromkeys(runners, 0.0), 0.0, {name: [] for name in runners}

    def compare(inputs: Sequence[Tensor], watch: bool) -> Sequence[Tensor]:
        nonlocal right
        truth = world.reference(inputs, watch)
        frame = truth[1].float()
        right += float(frame.square().sum())
        for name, runner in runners.items():
            wrong[name] += float((runner(inputs, watch)[1].float() - frame).square().sum())
        return truth

    comparing = copy.copy(world)
    comparing.runner, comparing.memory_dtype = compare, torch.float32
    with Progress("comparing with the reference", starts * (1 + len(runners)), "roll-outs", quiet) as progress:
        for i in range(starts):
            truth = _last_frame(comparing, i, actions[i])
            for j, (name, runner) in enumerate(runners.items()):
                progress.update(i * (1 + len(runners)) + 1 + j)
                free = copy.copy(world)
                free.runner, free.memory_dtype = runner, getattr(runner, "memory_dtype", torch.float32)
                last[name].append(float(psnr(_last_frame(free, i, actions[i]), truth)))
        progress.update(progress.total)
    return {
        name: {"err": (wrong[name] / max(right, 1e-9)) ** 0.5, "err_free": float(np.median(last[name]))}
        for name in runners
    }


def _last_frame(world: World, start: int, actions: np.ndarray) -> np.ndarray:
    clip, count = world.contexts[start % len(world.contexts)], world.config.context
    state = world.start(clip.frames[:count], clip.actions[: count - 1])
    return world.rollout(state, actions)[0, -1]
