"""Clips whose history is the model's own roll-out, so that it learns to go on from its own mistakes.

Scheduled sampling by replay: every so often many clips are rolled out together (one batch is far cheaper
than one clip a step), kept, and mixed into the batches. The targets stay the true next frames.
"""

from __future__ import annotations

import torch
from torch import Tensor

from worldling.dynamics.memory import Memory
from worldling.dynamics.model import Dynamics
from worldling.dynamics.sampler import denoise


@torch.no_grad()
def roll_out(model: Dynamics, clips: dict[str, Tensor], context: int, generator: torch.Generator) -> dict[str, Tensor]:
    """Return `clips` with every frame from number `context` on replaced by the model's own prediction.

    clips: as from `Clips.sample`, on the model's device.
    """
    config = model.config
    latent, previous = clips["latent"].clone(), clips["previous"].clone()
    device, count = latent.device, latent.shape[1]
    memory = Memory.empty(config, len(latent), device)
    for t in range(count - 1):
        memory.index = clips["position"][:, t].clone()
        age = memory.age(config).to(device)
        h, fresh = model.backbone.step(latent[:, t], previous[:, t], clips["action"][:, t], memory.tensors, age)
        memory.remember(fresh, config)
        if t + 1 < context:
            continue
        noise = torch.randn(latent[:, t].shape, generator=generator).to(device) if config.passes > 1 else latent[:, t]
        latent[:, t + 1] = denoise(model.head, h, latent[:, t], noise, config.passes)
        if t + 2 < count:
            previous[:, t + 2] = latent[:, t + 1]
    return {**clips, "latent": latent, "previous": previous}


def mixed(true: dict[str, Tensor], own: dict[str, Tensor] | None, share: float, generator: torch.Generator) -> dict[str, Tensor]:
    """Return `true` with the last `share` of its clips replaced by clips drawn from `own`."""
    count = round(len(true["latent"]) * share) if own is not None else 0
    if not count or own is None:
        return true
    pick = torch.randint(len(own["latent"]), (count,), generator=generator)
    return {name: torch.cat([true[name][:-count], own[name][pick]]) for name in true}
