"""The two stages: the tokenizer from frames, then the dynamics from cached latents."""

from __future__ import annotations

import contextlib
import copy
import math
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from worldling.dynamics.loss import changing_weight, dynamics_loss
from worldling.dynamics.memory import clip_age
from worldling.dynamics.model import Dynamics
from worldling.tokenizer.loss import tokenizer_loss
from worldling.tokenizer.model import Tokenizer
from worldling.learn.clips import Clips, FramePool, busiest
from worldling.learn.reflection import Mirror
from worldling.learn.optimizer import optimizer_for
from worldling.learn.scheduled_sampling import OwnHistory, on
from worldling.train.recipe import TrainConfig
from worldling.learn.stage import Stage
from worldling.learn.augmentation import spoil
from worldling.learn.prioritized_sampling import Surprise
from worldling.types import frames_to_float

SAVE_EVERY_S = 60.0
#: A world that can be played is written at each tenth of the second stage, but not more often than this.
SHOW_EVERY_S = 60.0
#: Left before a deadline for the pictures and the world that are written at the end; those on the way take a twentieth.
LAST_PICTURES_S = 10.0


def autocast_for(device: torch.device) -> torch.autocast:
    """Return bf16 autocast where the hardware computes in it, else a disabled one."""
    fast = device.type == "cuda" or (device.type == "cpu" and torch.cpu._is_avx512_bf16_supported())
    return torch.autocast(device.type, torch.bfloat16, enabled=fast)


def wants_compile(config: TrainConfig, device: torch.device) -> bool:
    """Whether torch.compile pays: its 40 seconds come back in runs of ten minutes or more, on a GPU of four."""
    if config.compile != "auto":
        return config.compile == "on"
    return not config.steps and config.minutes >= (10 if device.type == "cpu" else 4)


def train_tokenizer(
    tokenizer: Tokenizer,
    pool: FramePool,
    reflections: list[Mirror],
    folder: Path,
    config: TrainConfig,
    device: torch.device,
    quiet: bool,
) -> tuple[Tokenizer, Stage]:
    """Train on random pairs of frames, each step in one of the reflections; returns the averaged tokenizer."""
    ema = copy.deepcopy(tokenizer)
    stage = Stage(
        "tokenizer",
        folder,
        config,
        config.minutes * config.tokenizer_share,
        tokenizer,
        ema,
        optimizer_for(tokenizer, config.tokenizer_lr),
        quiet,
    )
    tokenizer.to(memory_format=torch.channels_last)
    autocast = autocast_for(device)
    with guarded(stage):
        while stage.done < 1:
            generator, which = stage.generator(device=pool.device), stage.generator(1)
            stage.set_lr(config.tokenizer_lr)
            rows = torch.randint(len(pool.pairs), (config.frames // 2,), generator=generator, device=pool.device)
            reflection = reflections[int(torch.randint(len(reflections), (1,), generator=which))]
            images, usual = (
                frames_to_float(reflection.frames(f.to(device)))
                for f in (pool.pairs[rows], pool.means[pool.episode[rows]])
            )
            with autocast:
                calm = config.calm * min(1.0, stage.done / 0.2)
                loss, error = tokenizer_loss(
                    tokenizer, images, usual, config.tokenizer_jitter, calm, config.coarse, generator
                )
            stage.update(loss, metrics=lambda: {"psnr_db": -10 * math.log10(max(error.item() / 4, 1e-10))})
            if stage.due(SAVE_EVERY_S):
                with stage.pause():
                    stage.save()
    return ema.eval(), stage


def train_dynamics(
    dynamics: Dynamics,
    tokenizer: Tokenizer,
    clips: Clips,
    folder: Path,
    config: TrainConfig,
    device: torch.device,
    quiet: bool,
    show: Callable[[Dynamics, Stage], object],
    deadline: float | None = None,
) -> tuple[Dynamics, Stage]:
    """Train on random clips of latents, which the frozen tokenizer made; returns the averaged
    dynamics. show is called with it now and then; deadline: see `train`."""
    tokenizer.requires_grad_(False)
    clips = clips.to(device)
    ema = copy.deepcopy(dynamics)
    stage = Stage(
        "dynamics",
        folder,
        config,
        config.minutes * (1 - config.tokenizer_share),
        dynamics,
        ema,
        optimizer_for(dynamics, config.dynamics_lr, config.weight_decay),
        quiet,
    )
    if deadline is not None:
        stage.budget_s = stage.seconds + max(6.0, 0.95 * (deadline - time.time()) - LAST_PICTURES_S)
    shape, autocast = dynamics.config, autocast_for(device)
    num_cells = cells_to_see(clips, config.cells)
    may_skip = num_cells < shape.tokens and shape.passes == 1
    rows = round(config.bootstrap_share * config.clips * config.clip_frames) if shape.passes > 1 else 0

    def losses(
        batch: dict[str, Tensor], age: Tensor, noise: Tensor, signal: Tensor, steps: int, sparse: bool
    ) -> tuple[Tensor, Tensor]:
        weight = changing_weight(batch["target"], batch["clean"], dynamics.head.values)
        weight[:, 0] = 0  # one frame shows no velocity
        cells = busiest(weight, num_cells) if sparse else None
        with autocast:
            return dynamics_loss(
                dynamics,
                batch["latent"],
                batch["previous"],
                batch["action"],
                age,
                batch["target"],
                weight,
                noise,
                signal,
                rows,
                steps,
                cells,
                tokenizer,
            )

    compiled = torch.compile(losses, dynamic=False) if wants_compile(config, device) else losses
    num_own = max(8, round(config.clips * config.own_share * config.own_every / config.own_reuse))
    own = OwnHistory(clips, tokenizer, num_own, config.clip_frames, config.own_frames)
    own.restore(stage.extra, device)
    surprise = Surprise(clips)
    surprise.restore(stage.extra)
    stage.keep = lambda: {**own.tensors(), **surprise.tensors()}
    shown, when = stage.done, time.monotonic()
    with guarded(stage):
        while stage.done < 1:
            generator = stage.generator(device=clips.device)
            if stage.step % config.own_every == 0:
                if stage.due(SAVE_EVERY_S):
                    with stage.pause():
                        stage.save()
                if stage.step and stage.done - shown >= 0.1 and time.monotonic() - when > SHOW_EVERY_S:
                    with stage.pause():
                        show(ema, stage)
                    shown, when = stage.done, time.monotonic()
                if config.by_surprise:
                    surprise.renew()
                if stage.done >= config.own_from:
                    with autocast:
                        own.refresh(dynamics, stage.step, stage.generator(1, clips.device))
            stage.set_lr(config.dynamics_lr)
            batch = clips.sample(config.clips, config.clip_frames, shape.sinks, generator)
            cutmix = config.cutmix if stage.done >= config.own_from else 0.0
            batch = spoil(batch, shape.levels, shape.sinks, config.jitter, cutmix, generator)
            true_rows = batch["row"][: config.clips - own.count_in(config.clips, config.own_share), 1:]
            batch = own.mix(on(batch, device), config.own_share, generator)
            age = clip_age(batch.pop("position"), shape).to(device)
            del batch["row"]
            drawn = batch["latent"].shape if shape.passes > 1 else (1, 1, 1, 1)
            noise = torch.randn(drawn, generator=generator, device=clips.device).to(device)
            signal = torch.rand(drawn[:2], generator=generator, device=clips.device).to(device)
            halvings = max(1, shape.passes.bit_length() - 1)
            steps = 2 ** int(torch.randint(halvings, (1,), generator=stage.generator(2)))
            sparse = may_skip and stage.step % config.dense_every > 0 and stage.done < config.dense_from
            loss, nats = compiled(batch, age, noise, signal, steps, sparse)
            stage.update(
                loss,
                lambda: surprise.note(true_rows, nats[: len(true_rows), 1:]),
                lambda: {"nats_per_frame": nats.mean().item(), "own": float(own.pool is not None)},
            )
    return ema.eval(), stage


def cells_to_see(clips: Clips, share: float) -> int:
    """Return how many cells most steps look at, 16 at least: `share` of all, or if 0 twice as many as change in a frame.

    All, if that is more than half: where a whole picture scrolls, what comes into a cell was in its neighbour.
    """
    tokens = clips.levels.shape[1]
    share = share or 2 * clips.changed().float().mean().item() / tokens
    return tokens if share > 0.5 else min(tokens, max(16, round(share * tokens)))


@contextlib.contextmanager
def guarded(stage: Stage):
    """Save at the end, and on Ctrl-C before leaving. Finished stages stay as they are."""
    stage.restart_clock()
    already = stage.done >= 1
    try:
        yield
    except KeyboardInterrupt:
        stage.progress.close()
        stage.save()
        raise
    stage.progress.close()
    if not already:
        stage.save()
