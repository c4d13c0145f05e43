"""The world's own latents as features of a readout: Physion's protocol (arXiv 2106.08261).

There a readout is given what the model itself holds of each frame, not what is seen in its pictures. Ours
takes at most `MOMENTS` frames of what was shown and of what followed, keeps their latents as float16 and reduces
each of the two to its principal components.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from worldling.judge.measures.readout import reduce
from worldling.protocol import WorldModel, WorldState

if TYPE_CHECKING:
    import torch

MOMENTS = 8


def noop_actions(world: WorldModel, batch: int, steps: int) -> np.ndarray:
    """Return no-op actions `[batch, steps, ...]`."""
    noop = world.action_space.noop
    return np.broadcast_to(noop, (batch, steps, *noop.shape))


def start_unpushed(world: WorldModel, shown: np.ndarray, seed: int) -> WorldState:
    """Return the state of a world after frames `[B, T, H, W, 3]` under no action, each row with a seed of its own."""
    return world.start(
        shown, noop_actions(world, len(shown), shown.shape[1] - 1), seed=[seed + row for row in range(len(shown))]
    )


def latents_of(world: WorldModel, frames: np.ndarray) -> np.ndarray:
    """Encode some moments of frames uint8 `[B, T, H, W, 3]`: float16 `[B, F]`."""
    return _flat(world.encode(frames[:, _moments(frames.shape[1])]))


def predict_with_latents(world: WorldModel, shown: np.ndarray, steps: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Predict as `contact.predict` does; also return the latents of some moments, those of the prediction itself.

    Returns frames uint8 `[B, steps, H, W, 3]` and float16 `[B, F]`, the same F as `latents_of` `steps` frames.
    """
    state = start_unpushed(world, shown, seed)
    kept = set(_moments(steps))
    frames: list[np.ndarray] = []
    latents: list[np.ndarray] = []
    action = noop_actions(world, len(shown), 1)[:, 0]
    for t in range(steps):
        step = world.step(state, action)
        assert step.frame is not None, "frames are decoded unless it is said otherwise"
        frames.append(step.frame)
        if t in kept:
            latents.append(_flat(step.latent))
    return np.stack(frames, 1), np.concatenate(latents, 1)


def latent_features(
    fit: Mapping[str, np.ndarray], test: Mapping[str, np.ndarray]
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Reduce the latents of the trials fitted on and tested on, by components of the first: features of A, B and C.

    Each is (fitted on, tested on). C is part of A and of B, so that B - C is what the prediction adds.
    """
    shown, real, predicted = (
        reduce(fit[name], test[name]) for name in ("shown_latents", "true_latents", "predicted_latents")
    )
    return {
        "A_latent": (np.concatenate([shown[0], real[0]], 1), np.concatenate([shown[1], real[1]], 1)),
        "B_latent": (np.concatenate([shown[0], predicted[0]], 1), np.concatenate([shown[1], predicted[1]], 1)),
        "C_latent": shown,
    }


def _moments(count: int) -> np.ndarray:
    """Numbers of at most MOMENTS of `count` frames, spread evenly, the first and the last among them."""
    return np.unique(np.linspace(0, count - 1, min(MOMENTS, count)).round().astype(int))


def _flat(latents: torch.Tensor) -> np.ndarray:
    """Latents `[B, ..., N, C]` as float16 `[B, F]`; what is too large for it becomes its largest number."""
    limit = float(np.finfo(np.float16).max)
    flat: np.ndarray = latents.flatten(1).float().clamp(-limit, limit).cpu().numpy().astype(np.float16)
    return flat
