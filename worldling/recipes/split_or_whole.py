"""The experiment behind the design: a split dynamics against one whole network that denoises, then commits.

    python -m worldling.recipes.split_or_whole worlds/pong data/pong --minutes 8

Takes a trained world for its tokenizer, and trains two dynamics of equal parameters for equal time on the same
latents: ours (backbone once per frame, then a light head) and the usual one, in which every layer runs once to
draw the frame and once more to write the finished frame into the memory. Both by regression (K = 1), without
own roll-outs. Prints parameters, training steps, milliseconds per frame and open-loop PSNR as json.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from worldling.data.store import open_dataset
from worldling.dynamics.loss import ClipBatch, changing_weight, dynamics_loss
from worldling.dynamics.memory import Memory, clip_age
from worldling.dynamics.model import Backbone, Dynamics, DynamicsConfig, Head
from worldling.dynamics.sampler import denoise
from worldling.frame_error import psnr
from worldling.learn.augmentation import augment_history
from worldling.learn.clips import Clips
from worldling.learn.frames import split
from worldling.learn.latents import encode_episodes
from worldling.learn.optimizer import optimizer_for
from worldling.learn.precision import autocast_for
from worldling.learn.reflection import reflections
from worldling.nn.lattice import from_levels, jitter
from worldling.timing.steps import time_steps
from worldling.train.recipe import TrainConfig
from worldling.world import World
from worldling.world_files import load_world

HORIZONS, CONTEXT = (1, 10, 25), 8
# latent, previous, action, memory, the true next latent where it is known -> next latent
Step = Callable[[Tensor, Tensor, Tensor, Memory, Tensor | None], Tensor]


class Whole(nn.Module):
    """The usual design: the frame to come enters as a token grid of its own, empty at first, then finished.

    Built from the same layers as ours: the backbone's and the head's in one stack, and a flag that says
    whether a frame is finished. A frame's pass sees the two frames before it, as ours does.
    """

    def __init__(self, config: DynamicsConfig) -> None:
        super().__init__()
        stack = DynamicsConfig(
            **{**config.__dict__, "backbone": config.backbone + "S" * config.head_layers, "head_layers": 0}
        )
        self.config = config
        self.stack, self.scores = Backbone(stack), Head(stack)
        self.frame_in = nn.Linear(config.channels + 1, config.width)

    def enter(self, frame: Tensor, finished: bool, latent: Tensor, previous: Tensor, action: Tensor) -> Tensor:
        """Embed frames `[..., N, C]` that are to come, empty or finished, with what came before: `[..., N, D]`."""
        flag = torch.full_like(frame[..., :1], float(finished))
        joined = torch.cat([frame if finished else torch.zeros_like(frame), flag], -1)
        return self.stack.enter(latent, previous, action) + self.frame_in(joined)

    def draw(self, latent: Tensor, previous: Tensor, action: Tensor, age: Tensor, frames: Tensor) -> Tensor:
        """Return scores `[B * T, N, C, L]` of a whole clip.

        Finished and empty copies of every frame run side by side, and empty ones see the finished frames before them.
        frames `[B, T, N, C]`: the next latents, as they are committed.
        """
        finished = self.enter(frames, True, latent, previous, action)
        empty = self.enter(frames, False, latent, previous, action)
        missing = self.config.window + 2
        before = age.masked_fill(age == 0, missing)  # an empty frame never sees itself finished
        itself = torch.where(torch.eye(age.shape[-1], dtype=torch.bool), 0, missing).expand_as(age)
        ages = torch.cat([torch.cat([age, torch.full_like(age, missing)], 2), torch.cat([before, itself], 2)], 1)
        x = self.stack.layer_by_layer(torch.cat([finished, empty], 1), ages)[:, latent.shape[1] :]
        one, latent = torch.ones(x.shape[0] * x.shape[1]), latent.flatten(0, 1)
        return self.scores(x.flatten(0, 1), latent, torch.zeros_like(latent), 0 * one, one)

    def loss(
        self,
        latent: Tensor,
        previous: Tensor,
        action: Tensor,
        age: Tensor,
        target: Tensor,
        weight: Tensor,
        frames: Tensor,
    ) -> Tensor:
        """Return the cross-entropy of a clip, as `dynamics_loss` does; frames as in `draw`."""
        scores = self.draw(latent, previous, action, age, frames)
        entropy = F.cross_entropy(scores.flatten(0, 2), target.flatten(), reduction="none")
        by_cell = weight.flatten()
        return (entropy.unflatten(0, (len(by_cell), -1)).sum(-1) * by_cell).sum() / by_cell.sum()

    def step(
        self, latent: Tensor, previous: Tensor, action: Tensor, memory: Memory, true: Tensor | None = None
    ) -> Tensor:
        """Draw the next frame with one pass, then commit it, or the true one, with another."""
        one = torch.ones(len(latent))
        following = latent  # until it is drawn in the first round
        for finished in (False, True):
            frame = following
            x = self.enter(frame, finished, latent, previous, action)
            x, fresh = self.stack.layers_with_memory(x, memory.tensors, memory.age(self.config))
            if not finished:
                scores = self.scores(x, latent, torch.zeros_like(latent), 0 * one, one)
                following = from_levels(scores.argmax(-1), self.config.levels) if true is None else true
        memory.remember(fresh, self.config)
        return following


def split_step(dynamics: Dynamics) -> Step:
    """Return one frame of our design, as `Whole.step`; what is committed is what comes in next, true or not."""

    def step(latent: Tensor, previous: Tensor, action: Tensor, memory: Memory, true: Tensor | None = None) -> Tensor:
        h, fresh = dynamics.backbone.step(latent, previous, action, memory.tensors, memory.age(dynamics.config))
        memory.remember(fresh, dynamics.config)
        return denoise(dynamics.head, h, latent, latent, 1) if true is None else true

    return step


def split_loss(dynamics: Dynamics) -> Callable[..., Tensor]:
    """Return the loss of our design, as `Whole.loss`; the frames to be committed are not asked for."""
    return lambda *clip: dynamics_loss(dynamics, ClipBatch(*clip[:-1])).total


def train(
    model: Dynamics | Whole, loss_of: Callable[..., Tensor], clips: Clips, minutes: float, config: TrainConfig
) -> int:
    """Train for some minutes from the end of compilation on; returns the number of steps."""
    optimizer, step, began = optimizer_for(model, config.dynamics_lr, config.weight_decay), 0, None
    shape, autocast = model.config, autocast_for(torch.device("cpu"))

    def losses(batch: dict[str, Tensor], age: Tensor) -> Tensor:
        target, clean = batch["target"], batch["clean"]
        weight = changing_weight(target, clean, torch.linspace(-1, 1, shape.levels))
        weight[:, 0] = 0
        with autocast:
            return loss_of(batch["latent"], batch["previous"], batch["action"], age, target, weight, batch["committed"])

    compiled = torch.compile(losses, dynamic=False)
    while began is None or time.monotonic() - began < 60 * minutes:
        done = 0.0 if began is None else (time.monotonic() - began) / (60 * minutes)
        generator = torch.Generator().manual_seed(step)
        batch = clips.sample(config.batch_clips, config.clip_frames, shape.sinks, generator)
        batch = augment_history(batch, shape.levels, shape.sinks, config.jitter, 0.0, generator)
        # The whole commits the same spoilt frames that come in next; after a jump, ones spoilt likewise.
        committed = jitter(from_levels(batch["target"], shape.levels), shape.levels, config.jitter / 2, generator)
        follows = (batch["position"].diff(dim=1) == 1)[..., None, None]
        committed[:, :-1] = torch.where(follows, batch["latent"][:, 1:], committed[:, :-1])
        batch["committed"], age = committed, clip_age(batch.pop("position"), shape)
        del batch["row"]
        for group in optimizer.param_groups:
            group["lr"] = config.dynamics_lr * min(1.0, (step + 1) / 50) * max(1 - done, 0.01)
        loss = compiled(batch, age)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        step += 1
        began = began or time.monotonic()
    return step


@torch.inference_mode()
def judge(step: Step, world: World, clips: Clips, starts: int = 128) -> dict[str, float]:
    """Return PSNR in dB at the horizons, and milliseconds per frame at batch 1."""
    length = CONTEXT + max(HORIZONS)
    batch = clips.sample(starts, length, 0, torch.Generator().manual_seed(0))
    config = world.dynamics.config
    truth = from_levels(batch["target"], clips.num_levels)
    memory, latent, previous, dream = Memory.empty(config, starts), batch["latent"][:, 0], batch["latent"][:, 0], []
    for t in range(length):
        previous, latent = (
            latent,
            step(latent, previous, batch["action"][:, t], memory, truth[:, t] if t + 1 < CONTEXT else None),
        )
        dream.append(latent)
    result = {}
    for h in HORIZONS:
        ours, theirs = (world.decode(x) for x in (dream[CONTEXT - 2 + h], truth[:, CONTEXT - 2 + h]))
        result[f"psnr_h{h}_db"] = float(psnr(ours, theirs).mean())
    memory = Memory.empty(config, 1)
    alone = latent[:1], previous[:1], batch["action"][:1, 0], memory, None
    times = time_steps(lambda _: step(*alone), 0.0, 0.0, warm_steps=50, least_steps=150)
    return {**result, "ms_per_frame": times.percentile_ms(50)}


def main() -> None:
    """Run the experiment and print its table as json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("world")
    parser.add_argument("data")
    parser.add_argument("--minutes", type=float, default=8.0)
    a = parser.parse_args()
    world, dataset, config = load_world(a.world), open_dataset(a.data), TrainConfig()
    training, held = split(dataset, CONTEXT + max(HORIZONS))
    autocast, cpu = autocast_for(torch.device("cpu")), torch.device("cpu")
    same = reflections("", dataset.meta.action_space.size)
    with tempfile.TemporaryDirectory() as folder:
        clips, test = (
            encode_episodes(world.tokenizer, dataset, e, same, cpu, autocast, Path(folder)) for e in (training, held)
        )
        print(json.dumps(compare(world, clips, test, a.minutes, config)))
        del clips, test


def compare(
    world: World, clips: Clips, test: Clips, minutes: float, config: TrainConfig
) -> dict[str, dict[str, float]]:
    """Train both on `clips` for so many minutes each, and judge them on `test`."""
    rows, shape = {}, dataclasses.replace(world.dynamics.config, warp=0)  # heads are not what is compared
    for name in ("split", "whole"):
        torch.manual_seed(0)
        model: Dynamics | Whole = Dynamics(shape) if name == "split" else Whole(shape)
        loss_of = split_loss(model) if isinstance(model, Dynamics) else model.loss
        steps = train(model, loss_of, clips, minutes, config)
        step = split_step(model) if isinstance(model, Dynamics) else model.step
        rows[name] = {
            "parameters": sum(p.numel() for p in model.parameters()),
            "steps": steps,
            **judge(step, world, test),
        }
        print(name, rows[name], flush=True)
    return rows


if __name__ == "__main__":
    main()
