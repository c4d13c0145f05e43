"""Clips whose history is the model's own roll-out, so that it learns to go on from its own mistakes.

Scheduled sampling by replay: every so often many clips are rolled out together (one batch is far cheaper
than one clip a step), kept, and mixed into the batches. The targets stay the true next frames, and only the
last few frames of a clip are the model's own: a dream that has gone elsewhere is never asked to jump back.
"""

from __future__ import annotations

import torch
from torch import Tensor

from worldling.dynamics.loss import hint_of
from worldling.dynamics.memory import Memory
from worldling.dynamics.model import Dynamics
from worldling.dynamics.sampler import denoise
from worldling.dynamics.warp import TokenizerLike
from worldling.learn.clips import Clips
from worldling.nn.lattice import from_levels, to_levels


class RolloutPool:
    """A pool of `count` clips of `length` frames, of which the last known 1 to `rollout_frames` are the model's own."""

    def __init__(self, clips: Clips, tokenizer: TokenizerLike, count: int, length: int, rollout_frames: int) -> None:
        self.clips, self.tokenizer, self.count, self.length, self.rollout_frames = (
            clips,
            tokenizer,
            count,
            length,
            rollout_frames,
        )
        self.pool: dict[str, Tensor] | None = None
        self.made_at = -1

    def refresh(self, model: Dynamics, step: int, generator: torch.Generator) -> None:
        """Roll out a new pool, once per training step; all of it is on the model's device. generator: on the clips'."""
        if step == self.made_at:
            return
        sinks = model.config.sinks
        batch = self.clips.sample(self.count, self.length, sinks, generator)
        longest = max(1, min(self.rollout_frames, self.length - sinks - 2))
        own = torch.randint(longest, (self.count,), generator=generator, device=generator.device)
        context = (batch["known"].sum(1) - 1 - own).clamp(min=sinks + 1)
        batch = on(batch, next(model.parameters()).device)
        self.pool, self.made_at = roll_out(model, self.tokenizer, batch, context, generator), step

    def tensors(self) -> dict[str, Tensor]:
        """Return what a checkpoint must hold for the run to go on as if it had not stopped."""
        if self.pool is None:
            return {}
        levels = {
            name: to_levels(self.pool[name], self.clips.num_levels).to(torch.uint8) for name in ("latent", "previous")
        }
        return {"row": self.pool["row"], "made_at": torch.tensor(self.made_at), **levels}

    def restore(self, tensors: dict[str, Tensor], device: torch.device) -> None:
        """Take up what `tensors` returned, if anything."""
        if "made_at" in tensors:
            drawn = {name: from_levels(tensors[name], self.clips.num_levels) for name in ("latent", "previous")}
            rows = tensors["row"].to(self.clips.device)
            self.pool, self.made_at = on({**self.clips.at(rows), **drawn}, device), int(tensors["made_at"])

    def count_in(self, clips: int, share: float) -> int:
        """Return how many of a batch of `clips` come from the pool; none before there is one."""
        return round(clips * share) if self.pool is not None else 0

    def mix(self, true: dict[str, Tensor], share: float, generator: torch.Generator) -> dict[str, Tensor]:
        """Return `true` with the last `share` of its clips replaced by clips of the pool, once there is one.

        What a pool's clip shows is its own `clean` history too: its mistakes are what is to be put right.
        """
        count = self.count_in(len(true["latent"]), share)
        if not count or self.pool is None:
            return true
        pick = torch.randint(self.count, (count,), generator=generator, device=generator.device)
        pick = pick.to(self.pool["latent"].device)
        own = {**self.pool, "clean": self.pool["latent"]}
        return {name: torch.cat([true[name][:-count], own[name][pick]]) for name in own}


@torch.no_grad()
def roll_out(
    model: Dynamics, tokenizer: TokenizerLike, clips: dict[str, Tensor], context: Tensor, generator: torch.Generator
) -> dict[str, Tensor]:
    """Return `clips` with every frame from number `context` `[B]` on replaced by the model's own prediction.

    In worlds with keypoints it is given the true ones: the head draws what the points say, whatever they say.
    """
    config = model.config
    latent, previous = clips["latent"].clone(), clips["previous"].clone()
    device, count = latent.device, latent.shape[1]
    memory = Memory.empty(config, len(latent), device)
    position, begin = clips["position"].cpu(), int(context.min())  # the memory counts frames on the CPU
    for t in range(count - 1):
        memory.index = position[:, t].clone()
        age = memory.age(config).to(device)
        h, fresh = model.backbone.step(latent[:, t], previous[:, t], clips["action"][:, t], memory.tensors, age)
        memory.remember(fresh, config)
        if t + 1 < begin:
            continue
        own = (context <= t + 1)[:, None, None].to(device)
        noise = latent[:, t]
        if config.passes > 1:
            noise = torch.randn(noise.shape, generator=generator, device=generator.device).to(device)
        shown = model.head.render(latent[:, t], tokenizer)
        hint = hint_of(model, clips["points"][:, t : t + 1]) if "points" in clips else None
        drawn = denoise(model.head, h, latent[:, t], noise, config.passes, shown, hint)
        latent[:, t + 1] = torch.where(own, drawn, latent[:, t + 1])
        if t + 2 < count:
            previous[:, t + 2] = torch.where(own, latent[:, t + 1], previous[:, t + 2])
    return {**clips, "latent": latent, "previous": previous}


def on(batch: dict[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    """Move a batch to `device`."""
    return {name: t.to(device) for name, t in batch.items()}
