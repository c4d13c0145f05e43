"""The two stages: the tokenizer from frames, then the dynamics from cached latents."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from worldling.dynamics.loss import changing_weight, dynamics_loss
from worldling.dynamics.memory import clip_age
from worldling.dynamics.model import Dynamics
from worldling.frame_error import psnr_of
from worldling.machine import cpu_has_bf16
from worldling.tokenizer.loss import tokenizer_loss
from worldling.tokenizer.model import Tokenizer
from worldling.train.latents import Clips, FramePool, busiest
from worldling.train.mirror import Mirror
from worldling.train.optimizer import optimizer_for
from worldling.train.own_history import OwnHistory, on
from worldling.train.recipe import TrainConfig
from worldling.train.run import Stage
from worldling.train.spoil import spoil
from worldling.train.surprise import Surprise
from worldling.types import frames_to_float

SAVE_EVERY_S = 60.0


def autocast_for(device: torch.device) -> torch.autocast:
    """Return bf16 autocast where the hardware computes in it, else a disabled one."""
    fast = device.type == "cuda" or (device.type == "cpu" and cpu_has_bf16())
    return torch.autocast(device.type, torch.bfloat16, enabled=fast)


def wants_compile(config: TrainConfig) -> bool:
    """Whether torch.compile pays: its 40 seconds come back in runs of ten minutes or more."""
    if config.compile != "auto":
        return config.compile == "on"
    return not config.steps and config.minutes >= 10


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
            generator = stage.generator()
            stage.set_lr(config.tokenizer_lr)
            rows = torch.randint(len(pool.pairs), (config.frames // 2,), generator=generator)
            reflection = reflections[int(torch.randint(len(reflections), (1,), generator=generator))]
            images, usual = (
                frames_to_float(reflection.frames(f.to(device)))
                for f in (pool.pairs[rows], pool.means[pool.episode[rows]])
            )
            with autocast:
                calm = config.calm * min(1.0, stage.done / 0.2)
                loss, error = tokenizer_loss(
                    tokenizer, images, usual, config.tokenizer_jitter, calm, config.coarse, generator
                )
            stage.update(loss, psnr_db=float(psnr_of(error.item() / 4)))
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
) -> tuple[Dynamics, Stage]:
    """Train on random clips of latents, which the frozen tokenizer made; returns the averaged dynamics. show is called with it now and then."""
    tokenizer.requires_grad_(False)
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

    compiled = torch.compile(losses, dynamic=False) if wants_compile(config) else losses
    num_own = max(8, round(config.clips * config.own_share * config.own_every / config.own_reuse))
    own = OwnHistory(clips, tokenizer, num_own, config.clip_frames, config.own_frames)
    own.restore(stage.extra, device)
    surprise = Surprise(clips)
    surprise.restore(stage.extra)
    stage.keep = lambda: {**own.tensors(), **surprise.tensors()}
    shown = stage.done
    with guarded(stage):
        while stage.done < 1:
            generator = stage.generator()
            if stage.step % config.own_every == 0:
                if stage.due(SAVE_EVERY_S):
                    with stage.pause():
                        stage.save()
                if stage.step and stage.done - shown >= 0.1:
                    shown = stage.done
                    with stage.pause():
                        show(ema, stage)
                if config.by_surprise:
                    surprise.renew()
                if stage.done >= config.own_from:
                    with autocast:
                        own.refresh(dynamics, stage.step, stage.generator(1))
            stage.set_lr(config.dynamics_lr)
            batch = clips.sample(config.clips, config.clip_frames, shape.sinks, generator)
            cutmix = config.cutmix if stage.done >= config.own_from else 0.0
            batch = spoil(batch, shape.levels, shape.sinks, config.jitter, cutmix, generator)
            true_rows = batch["row"][: config.clips - own.count_in(config.clips, config.own_share), 1:]
            batch = own.mix(on(batch, device), config.own_share, generator)
            age = clip_age(batch.pop("position"), shape).to(device)
            del batch["row"]
            drawn = batch["latent"].shape if shape.passes > 1 else (1, 1, 1, 1)
            noise = torch.randn(drawn, generator=generator).to(device)
            signal = torch.rand(drawn[:2], generator=generator).to(device)
            halvings = max(1, shape.passes.bit_length() - 1)
            steps = 2 ** int(torch.randint(halvings, (1,), generator=generator))
            sparse = may_skip and stage.step % config.dense_every > 0 and stage.done < config.dense_from
            loss, nats = compiled(batch, age, noise, signal, steps, sparse)
            stage.update(
                loss,
                lambda: surprise.note(true_rows, nats[: len(true_rows), 1:]),
                nats_per_frame=nats.mean().item(),
                own=float(own.pool is not None),
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
