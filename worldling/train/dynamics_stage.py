"""The second stage: the dynamics, from random clips of latents that the frozen tokenizer made."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from worldling.checkpoint import read_tensors
from worldling.dynamics.loss import ClipBatch, Denoising, DynamicsLoss, Teacher, changing_weight, dynamics_loss
from worldling.dynamics.memory import clip_age
from worldling.dynamics.model import Dynamics
from worldling.learn.augmentation import augment_history
from worldling.learn.clips import Clips, busiest
from worldling.learn.latents import digest, weights_digest
from worldling.learn.optimizer import optimizer_for
from worldling.learn.precision import autocast_for
from worldling.learn.prioritized_sampling import PrioritizedSampling
from worldling.learn.scheduled_sampling import RolloutPool, on
from worldling.learn.stage import Budget, Stage
from worldling.machine import cpu_has_bf16
from worldling.tokenizer.model import Tokenizer
from worldling.train.recipe import TrainConfig

SAVE_EVERY_S = 60.0
#: A world that can be played is written at each tenth of the stage, but not more often than this.
SHOW_EVERY_S = 60.0
#: Left before a deadline for the pictures and the world that are written at the end; those on the way take a twentieth.
LAST_PICTURES_S = 10.0


def train_dynamics(
    dynamics: Dynamics,
    tokenizer: Tokenizer,
    clips: Clips,
    folder: Path,
    config: TrainConfig,
    budget: Budget,
    device: torch.device,
    quiet: bool,
    show: Callable[[Dynamics, Stage[Dynamics]], object],
    deadline: float | None = None,
    teacher: Teacher | None = None,
) -> Stage[Dynamics]:
    """Train on `clips`. Returns the finished stage, whose `ema` is the dynamics to use.

    A checkpoint of dynamics that know another tokenizer is dropped: its levels mean something else. tokenizer: frozen;
    show: called with the averaged dynamics now and then; deadline: see `train`; teacher: to learn from.
    """
    drop_other(folder / "dynamics.safetensors", digest(tokenizer), quiet)
    training = DynamicsTraining(dynamics, tokenizer, clips.to(device), folder, config, budget, device, quiet, teacher)
    stage = training.stage
    if deadline is not None:
        stage.end_by(max(6.0, 0.95 * (deadline - time.time()) - LAST_PICTURES_S))
    shown, when = stage.share_done, time.monotonic()
    with stage.running():
        while stage.share_done < 1:
            if stage.step % config.rollout_every == 0:
                if stage.due(SAVE_EVERY_S):
                    with stage.paused():
                        stage.save()
                if stage.step and stage.share_done - shown >= 0.1 and time.monotonic() - when > SHOW_EVERY_S:
                    with stage.paused():
                        show(stage.ema, stage)
                    shown, when = stage.share_done, time.monotonic()
                training.refresh()
            training.take_step()
    stage.ema.eval()
    return stage


def drop_other(checkpoint: Path, tokenizer: str, quiet: bool) -> None:
    """Delete a checkpoint of dynamics that know a tokenizer of another digest than `tokenizer`."""
    if not checkpoint.exists():
        return
    _, meta = read_tensors(checkpoint)
    if meta.get("identity", {}).get("tokenizer", tokenizer) != tokenizer:
        checkpoint.unlink()
        if not quiet:
            print("the tokenizer was trained further: the dynamics start anew", file=sys.stderr, flush=True)


class DynamicsTraining:
    """What a step of the second stage is made of. Everything drawn in a step comes from the stage's generators."""

    def __init__(
        self,
        dynamics: Dynamics,
        tokenizer: Tokenizer,
        clips: Clips,
        folder: Path,
        config: TrainConfig,
        budget: Budget,
        device: torch.device,
        quiet: bool,
        teacher: Teacher | None = None,
    ) -> None:
        self.teacher = teacher
        self.dynamics, self.tokenizer, self.clips = dynamics, tokenizer.requires_grad_(False), clips
        if dynamics.keypoints is not None:
            dynamics.keypoints.requires_grad_(False)  # trained before
        self.config, self.device = config, device
        self.stage = Stage(
            "dynamics",
            folder,
            dynamics,
            optimizer_for(dynamics, config.dynamics_lr, config.weight_decay),
            budget,
            config.ema,
            config.seed,
            {"size": config.size, "tokenizer": digest(tokenizer), **keypoints_identity(dynamics)},
            extendable=True,
            quiet=quiet,
        )
        self.autocast = autocast_for(device)
        self.num_cells = cells_to_see(clips, config.sparse_share)
        count = max(8, round(config.batch_clips * config.rollout_share * config.rollout_every / config.rollout_reuse))
        self.rollouts = RolloutPool(clips, tokenizer, count, config.clip_frames, config.rollout_frames)
        self.rollouts.restore(self.stage.extra, device)
        self.priorities = PrioritizedSampling(clips, config.clip_frames)
        self.priorities.restore(self.stage.extra)
        self.stage.keep = lambda: {**self.rollouts.tensors(), **self.priorities.tensors()}
        self._compiles, self._compiled = wants_compile(config, device), set[bool]()
        self._loss = torch.compile(self.loss, dynamic=False) if self._compiles else self.loss

    @property
    def is_sparse(self) -> bool:
        """Whether this step looks at the busiest cells only."""
        config, stage = self.config, self.stage
        possible = self.num_cells < self.dynamics.config.tokens and self.dynamics.config.passes == 1
        return possible and stage.step % config.dense_every > 0 and stage.share_done < config.dense_from

    def refresh(self) -> None:
        """Let the priorities of the last steps count, and roll out new clips, once it is time for that."""
        if self.config.prioritized:
            self.priorities.apply()
        if self.stage.share_done >= self.config.rollout_from:
            with self.autocast:
                self.rollouts.refresh(
                    self.dynamics, self.stage.step, self.stage.generator("roll-outs", self.clips.device)
                )

    def take_step(self) -> None:
        """Draw a batch and take one optimizer step."""
        config, stage = self.config, self.stage
        stage.set_learning_rate(config.dynamics_lr)
        generator = stage.generator(device=self.clips.device)
        batch, rows = self.draw(generator)
        if self._compiles and self.is_sparse not in self._compiled:
            self._compiled.add(self.is_sparse)
            kind = "most steps, which look at a part of the grid" if self.is_sparse else "steps on the whole grid"
            stage.say(f"compiling {kind}: a minute without progress, more on a slow machine")
        loss, nats = self._loss(batch, self.draw_denoising(batch["latent"], generator), self.is_sparse)
        stage.update(
            loss,
            lambda: self.priorities.record(rows, nats[: len(rows), 1:]),
            lambda: {
                "nats_per_frame": nats[batch["known"]].mean().item(),
                "rollouts": float(self.rollouts.pool is not None),
            },
        )

    def draw(self, generator: torch.Generator) -> tuple[dict[str, Tensor], Tensor]:
        """Return a batch on the device.

        latent, previous, clean `[B, T, N, C]`, action `[B, T, A]`, target, age `[B, T, T]` and known `[B, T]`; and the
        rows of the data that its first, true clips predict from, but for each clip's first frame; -1 past its end.
        """
        config, shape = self.config, self.dynamics.config
        batch = self.clips.sample(config.batch_clips, config.clip_frames, shape.sinks, generator)
        cutmix = config.cutmix if self.stage.share_done >= config.rollout_from else 0.0
        batch = augment_history(batch, shape.levels, shape.sinks, config.jitter, cutmix, generator)
        num_true = config.batch_clips - self.rollouts.count_in(config.batch_clips, config.rollout_share)
        rows = torch.where(batch["known"], batch["row"], -1)[:num_true, 1:]
        batch = self.rollouts.mix(on(batch, self.device), config.rollout_share, generator)
        batch["age"] = clip_age(batch.pop("position"), shape)
        if "points" in batch:
            noise = torch.randn(batch["points"].shape, generator=generator, device=generator.device)
            batch["points"] = batch["points"] + config.keypoint_jitter * noise.to(self.device)
        del batch["row"]
        return batch, rows

    def draw_denoising(self, latent: Tensor, generator: torch.Generator) -> Denoising | None:
        """Return the noise for latents `[B, T, N, C]` that a world of several passes learns from, else None."""
        config, passes = self.config, self.dynamics.config.passes
        if passes == 1:
            return None
        noise, signal = (
            draw(shape, generator=generator, device=generator.device).to(self.device)
            for draw, shape in ((torch.randn, latent.shape), (torch.rand, latent.shape[:2]))
        )
        halvings = torch.randint(passes.bit_length() - 1, (1,), generator=self.stage.generator("halvings"))
        rows = round(config.bootstrap_share * config.batch_clips * config.clip_frames)
        return Denoising(noise, signal, rows, 2 ** int(halvings))

    def loss(self, batch: dict[str, Tensor], denoising: Denoising | None, sparse: bool) -> DynamicsLoss:
        """Return the loss of a batch as `draw` returns it; sparse: of the busiest cells only."""
        weight = changing_weight(batch["target"], batch["clean"], self.dynamics.head.values)
        weight[:, 0] = 0  # one frame shows no velocity
        weight = weight * batch["known"][..., None]
        cells = busiest(weight, self.num_cells) if sparse else None
        clips = ClipBatch(
            batch["latent"],
            batch["previous"],
            batch["action"],
            batch["age"],
            batch["target"],
            weight,
            batch.get("points"),
        )
        with self.autocast:
            return dynamics_loss(self.dynamics, clips, cells, self.tokenizer, denoising, self.teacher)


def keypoints_identity(dynamics: Dynamics) -> dict[str, str]:
    """Return the digest of the keypoints by which a checkpoint knows its own; nothing without keypoints."""
    return {} if dynamics.keypoints is None else {"keypoints": weights_digest(dynamics.keypoints)}


def wants_compile(config: TrainConfig, device: torch.device) -> bool:
    """Whether torch.compile pays: it takes 40 seconds on a CPU with bf16, where they come back in ten minutes.

    On one without it takes four minutes, which come back in thirty; on a GPU less than one.
    """
    if config.compile != "auto":
        return config.compile == "on"
    least = 4 if device.type != "cpu" else 10 if cpu_has_bf16() else 30
    return not config.steps and config.minutes >= least


def cells_to_see(clips: Clips, share: float) -> int:
    """Return how many cells a sparse step looks at, 16 at least: `share` of all, or if 0 twice as many as change.

    All, if that is more than half: where a whole picture scrolls, what comes into a cell was in its neighbour.
    """
    tokens = clips.levels.shape[1]
    share = share or 2 * clips.changed().float().mean().item() / tokens
    return tokens if share > 0.5 else min(tokens, max(16, round(share * tokens)))
