"""Post-training quantization to int8 with NNCF, calibrated on roll-outs of the world.

A running world reads its own frames, not real ones. Calibration on real frames would miss the ranges that matter.
"""

from __future__ import annotations

import contextlib
import io
import logging
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from worldling.errors import BackendError
from worldling.progress import Progress
from worldling.world import World

if TYPE_CHECKING:
    import openvino as ov

STEPS = 256  # frames rolled out from each start
ROWS = 8  # roll-outs
SAMPLES = 128  # of their frames, drawn uniformly; with 4 samples the error triples, from 32 on it is constant

# Kept in bf16: scores feed an argmax, latents must lie exactly on the lattice, the rest costs next to nothing.
NOT_QUANTIZED = (
    r".*head\.scores.*",
    r".*head\.warp.*",
    r".*latent_in.*",
    r".*action_in.*",
    r".*time_in.*",
    r".*noisy_in.*",
    r".*hint_in.*",
    r".*decoder\.0/.*",
)


def quantize(world: World, model: ov.Model, quiet: bool = True, cells: bool = False) -> ov.Model:
    """Return `model` (one frame in f32, batch free) with int8 weights and activations.

    cells: it makes some cells alone. Raises `BackendError` if nncf is not installed or the world has no clips to start
    from.
    """
    try:
        import nncf
        from nncf.quantization.advanced_parameters import QuantizationParameters
    except ImportError as error:
        raise BackendError(f'`backend` must be installed, got {error}. Run: pip install "worldling[fast]".') from None
    samples = rollout_samples(world, quiet, cells)
    # Scales by "channel" of an activation may be one for each cell, of which a graph of some cells has any number.
    whole = QuantizationParameters(per_channel=False) if cells else None
    names = [op.get_friendly_name() for op in model.get_ops()]
    patterns = [p for p in NOT_QUANTIZED if any(re.fullmatch(p, name) for name in names)]
    logging.getLogger("nncf").setLevel(logging.ERROR)
    with contextlib.redirect_stdout(io.StringIO()):  # hides its progress bars; stdout is the caller's
        return nncf.quantize(
            model,
            nncf.Dataset(samples),
            model_type=nncf.ModelType.TRANSFORMER,
            subset_size=len(samples),
            ignored_scope=nncf.IgnoredScope(patterns=patterns),
            advanced_parameters=nncf.AdvancedQuantizationParameters(activations_quantization_params=whole),
        )


def rollout_samples(world: World, quiet: bool = True, cells: bool = False) -> list[list[np.ndarray]]:
    """Return inputs of single frames, in the order of `TickInputs.flat`, from roll-outs of `world` by the reference.

    cells: before those a quarter of the cells, which changed most in the last frame, as in `FlatCellTick`.
    """
    if not world.contexts:
        raise BackendError("`world.contexts` must hold a clip to calibrate int8 from, got none. Use openvino-bf16.")
    rng = np.random.default_rng(0)
    count = world.config.context
    clips = [world.contexts[i % len(world.contexts)] for i in range(ROWS)]
    state = world.start(np.stack([c.frames[:count] for c in clips]), np.stack([c.actions[: count - 1] for c in clips]))
    actions = torch.from_numpy(world.action_space.encode(rollout_actions(world, ROWS, STEPS, rng)))
    chosen = set(rng.permutation(STEPS * ROWS)[:SAMPLES].tolist())
    samples = []
    with Progress("calibrating int8", STEPS, "frames", quiet) as progress, torch.inference_mode():
        for t in range(STEPS):
            inputs = world.inputs(state, actions[:, t], world.guess(state, actions[:, t]))
            flat = inputs.flat()
            if cells:
                change = (inputs.latent - inputs.previous).abs().amax(-1)
                own = torch.zeros(len(change), dtype=torch.long)  # each sample has a memory of its own
                flat = (change.topk(max(1, change.shape[1] // 4)).indices, own, *flat)
            for row in range(ROWS):
                if t * ROWS + row in chosen:
                    samples.append([x[row : row + 1].numpy().copy() for x in flat])
            world.advance(state, actions[:, t], decode=False)
            progress.update(t + 1)
    return samples


def rollout_actions(world: World, rows: int, steps: int, rng: np.random.Generator) -> np.ndarray:
    """Return raw actions `[rows, steps, ...]`: sequences from the contexts, and in every fourth row random ones."""
    done = np.concatenate([c.actions for c in world.contexts])
    made: list[Any] = []
    for row in range(rows):
        if row % 4 == 3 or len(done) < 2:
            made.append(np.stack([world.action_space.sample(rng) for _ in range(steps)]))
        else:
            made.append(done[(rng.integers(len(done)) + np.arange(steps)) % len(done)])
    return np.stack(made)
