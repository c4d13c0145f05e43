"""The first stage: the tokenizer, from pairs of consecutive frames."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from worldling.frame_error import psnr_of
from worldling.learn.frames import FramePool
from worldling.learn.optimizer import optimizer_for
from worldling.learn.precision import autocast_for
from worldling.learn.reflection import Reflection
from worldling.learn.stage import Budget, Stage
from worldling.tokenizer.loss import tokenizer_loss
from worldling.tokenizer.model import Tokenizer
from worldling.train.recipe import TrainConfig
from worldling.types import frames_to_float

SAVE_EVERY_S = 60.0
SMOOTH_FROM = 0.2  # share of the stage over which the price of a latent's change rises to its full weight


def train_tokenizer(
    tokenizer: Tokenizer, pool: FramePool, reflections: list[Reflection], folder: Path, config: TrainConfig, quiet: bool
) -> Stage[Tokenizer]:
    """Train on random pairs of frames of `pool`, which lies on the tokenizer's device, each step in one of the
    reflections. Returns the finished stage, whose `ema` is the tokenizer to use."""
    stage = Stage(
        "tokenizer",
        folder,
        tokenizer,
        optimizer_for(tokenizer, config.tokenizer_lr),
        Budget(config.minutes * config.tokenizer_share, config.steps),
        config.ema,
        config.seed,
        {"size": config.size},
        quiet=quiet,
    )
    tokenizer.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch leaves it out of its stubs
    autocast = autocast_for(pool.device)
    with stage.running():
        while stage.share_done < 1:
            generator = stage.generator(device=pool.device)
            stage.set_learning_rate(config.tokenizer_lr)
            rows = torch.randint(len(pool.pairs), (config.batch_frames // 2,), generator=generator, device=pool.device)
            which = torch.randint(len(reflections), (1,), generator=stage.generator("reflection"))
            reflection = reflections[int(which)]
            pairs, means = pool.pairs[rows], pool.means[pool.episode[rows]]
            images, usual = (frames_to_float(reflection.frames(frames)) for frames in (pairs, means))
            smoothness = config.latent_smoothness * min(1.0, stage.share_done / SMOOTH_FROM)
            with autocast:
                loss, error = tokenizer_loss(
                    tokenizer, images, usual, config.tokenizer_jitter, smoothness, config.tokenizer_levels, generator
                )
            stage.update(loss, metrics=partial(_metrics, error))
            if stage.due(SAVE_EVERY_S):
                with stage.paused():
                    stage.save()
    stage.ema.eval()
    return stage


def _metrics(error: Tensor) -> dict[str, float]:
    """Return the PSNR of a mean squared error of pictures in [-1, 1]."""
    return {"psnr_db": float(psnr_of(error.item() / 4))}
