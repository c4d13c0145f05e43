"""The world's own latents as what a readout is given: Physion's protocol (arXiv 2106.08261).

There a readout reads what the model itself holds of each frame, not what a person would see in its pictures. Ours
takes at most `MOMENTS` frames of what was shown and of what followed, keeps their latents as float16 and reduces
each of the two to its principal components.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from worldling.judge.measures.readout import reduce
from worldling.protocol import WorldModel

MOMENTS = 8


def rest(world: WorldModel, batch: int, steps: int) -> np.ndarray:
    """Return the actions `[batch, steps, ...]` of a hand that does nothing."""
    noop = world.action_space.noop
    return np.broadcast_to(noop, (batch, steps, *noop.shape))


def begin(world: WorldModel, shown: np.ndarray, seed: int) -> Any:
    """Show a world frames `[B, T, H, W, 3]` in which no hand moved; returns its state, each row with a seed of its own."""
    return world.start(
        shown, rest(world, len(shown), shown.shape[1] - 1), seed=[seed + row for row in range(len(shown))]
    )


def latents_of(world: WorldModel, frames: np.ndarray) -> np.ndarray:
    """Encode some moments of frames uint8 `[B, T, H, W, 3]`: float16 `[B, F]`."""
    return _flat(world.encode(frames[:, _moments(frames.shape[1])]))


def dream_with_latents(world: WorldModel, shown: np.ndarray, steps: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Dream as `ocp.dream_on` does; also return the latents of some moments, those of the dream itself.

    Returns frames uint8 `[B, steps, H, W, 3]` and float16 `[B, F]`, the same F as `latents_of` `steps` frames.
    """
    state = begin(world, shown, seed)
    kept, frames, latents = set(_moments(steps)), [], []
    action = rest(world, len(shown), 1)[:, 0]
    for t in range(steps):
        step = world.step(state, action)
        frames.append(step.frame)
        if t in kept:
            latents.append(_flat(step.latent))
    return np.stack(frames, 1), np.concatenate(latents, 1)


def latent_features(
    fit: Mapping[str, np.ndarray], test: Mapping[str, np.ndarray]
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Reduce the latents of the trials fitted on and tested on, by components of the first: features of A, B and C of both.

    C is part of A and of B, so that B - C is what the dream adds.
    """
    shown, real, dreamed = (
        reduce(fit[name], test[name]) for name in ("shown_latents", "real_latents", "dreamed_latents")
    )
    return {
        "A_latent": (np.concatenate([shown[0], real[0]], 1), np.concatenate([shown[1], real[1]], 1)),
        "B_latent": (np.concatenate([shown[0], dreamed[0]], 1), np.concatenate([shown[1], dreamed[1]], 1)),
        "C_latent": shown,
    }


def _moments(count: int) -> np.ndarray:
    """Numbers of at most MOMENTS of `count` frames, spread evenly, the first and the last among them."""
    return np.unique(np.linspace(0, count - 1, min(MOMENTS, count)).round().astype(int))


def _flat(latents: Any) -> np.ndarray:
    """Latents `[B, ..., N, C]` as float16 `[B, F]`; what is too large for it becomes its largest number."""
    limit = np.finfo(np.float16).max
    return latents.flatten(1).float().clamp(-limit, limit).cpu().numpy().astype(np.float16)
