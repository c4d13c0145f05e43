"""Clips whose history is the model's own roll-out, so that it learns to go on from its own mistakes.

Scheduled sampling by replay: every so often many clips are rolled out together (one batch is far cheaper
than one clip a step), kept, and mixed into the batches. The targets stay the true next frames. Half of the
roll-outs go on from where earlier ones ended, those that are still closest to the truth: as the model gets
better they grow longer by themselves, and a dream that has gone elsewhere is never asked to jump back.
"""

from __future__ import annotations

import torch
from torch import Tensor

from worldling.dynamics.memory import Memory
from worldling.dynamics.model import Dynamics
from worldling.dynamics.sampler import denoise
from worldling.nn.lattice import from_levels, to_levels
from worldling.train.latents import Clips


class OwnHistory:
    """A pool of `count` clips of `length` frames of the model's own making."""

    def __init__(self, clips: Clips, count: int, length: int) -> None:
        self.clips, self.count, self.length = clips, count, length
        self.pool: dict[str, Tensor] | None = None
        self.made_at = -1

    def refresh(self, model: Dynamics, step: int, generator: torch.Generator) -> None:
        """Roll out a new pool, once per training step; all is on the model's device but positions and rows."""
        if step == self.made_at:
            return
        device, sinks = next(model.parameters()).device, model.config.sinks
        context = sinks + 2 + int(torch.randint(max(1, min(5, self.length - sinks - 3)), (1,), generator=generator))
        batch = self.clips.sample(self.count, self.length, sinks, generator)
        if self.pool is not None:
            going_on = self._go_on(self.pool, context)
            batch = {name: torch.cat([t[: self.count - len(going_on[name])], going_on[name]]) for name, t in batch.items()}
        self.pool, self.made_at = roll_out(model, on(batch, device), context, generator), step

    def tensors(self) -> dict[str, Tensor]:
        """Return what a checkpoint must hold for the run to go on as if it had not stopped."""
        if self.pool is None:
            return {}
        levels = {name: to_levels(self.pool[name], self.clips.num_levels).to(torch.uint8) for name in ("latent", "previous")}
        return {"row": self.pool["row"], "made_at": torch.tensor(self.made_at), **levels}

    def restore(self, tensors: dict[str, Tensor], device: torch.device) -> None:
        """Take up what `tensors` returned."""
        if tensors:
            drawn = {name: from_levels(tensors[name], self.clips.num_levels) for name in ("latent", "previous")}
            self.pool, self.made_at = on({**self.clips.at(tensors["row"]), **drawn}, device), int(tensors["made_at"])

    def _go_on(self, pool: dict[str, Tensor], context: int) -> dict[str, Tensor]:
        """Return clips that begin with the last `context` frames of the pool's closest roll-outs."""
        dream, row = pool["latent"].cpu(), pool["row"]
        truth = self.clips.at(row[:, -1:])["latent"][:, 0]
        closest = (dream[:, -1] - truth).abs().mean((1, 2)).argsort()[: self.count // 2]
        closest = closest[self.clips.follows(row[closest, -context], self.length)]
        batch = self.clips.at(row[closest, -context, None] + torch.arange(self.length))
        batch["latent"][:, :context] = dream[closest, -context:]
        batch["previous"][:, 0] = dream[closest, -context - 1]
        batch["previous"][:, 1 : context + 1] = dream[closest, -context:]
        return batch

    def mix(self, true: dict[str, Tensor], share: float, generator: torch.Generator) -> dict[str, Tensor]:
        """Return `true` with the last `share` of its clips replaced by clips of the pool, once there is one."""
        count = round(len(true["latent"]) * share) if self.pool is not None else 0
        if not count or self.pool is None:
            return true
        pick = torch.randint(self.count, (count,), generator=generator)
        return {name: torch.cat([true[name][:-count], self.pool[name][pick]]) for name in self.pool}


@torch.no_grad()
def roll_out(model: Dynamics, clips: dict[str, Tensor], context: int, generator: torch.Generator) -> dict[str, Tensor]:
    """Return `clips` with every frame from number `context` on replaced by the model's own prediction."""
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


def on(batch: dict[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    """Move a batch to `device`, except positions and rows, which stay with the bookkeeping."""
    return {name: t if name in ("position", "row") else t.to(device) for name, t in batch.items()}
