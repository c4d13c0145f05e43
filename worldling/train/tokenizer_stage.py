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
from worldling.train.quality import TokenizerCheck, TokenizerQuality
from worldling.train.recipe import TrainConfig
from worldling.types import frames_to_float

SAVE_EVERY_S = 60.0
SMOOTH_FROM = 0.2  # share of the stage over which the weight on a latent's change rises to its full value
#: The stage ends when the tokenizer is good and, over the second half of its steps, gained less than `FLAT_DB`; but
#: not before `LEAST_STEPS`, and with `LONGEST` times its share of the minutes in any case.
FLAT_DB, LEAST_STEPS, CHECK_EVERY, LONGEST = 0.7, 1_000, 200, 1.6


def tokenizer_budget(config: TrainConfig) -> Budget:
    """Return the most that the first stage may take: all, where there is no other."""
    if config.enlarges:
        return Budget(config.minutes, config.steps)
    return Budget(config.minutes * min(0.5, LONGEST * config.tokenizer_share), config.steps)


def train_tokenizer(
    tokenizer: Tokenizer,
    pool: FramePool,
    check: TokenizerCheck,
    reflections: list[Reflection],
    folder: Path,
    config: TrainConfig,
    quiet: bool,
) -> tuple[Stage[Tokenizer], TokenizerQuality]:
    """Train on random pairs of frames, each step in one of the reflections.

    pool: lies on the tokenizer's device; check: measures the tokenizer now and then. Returns the finished stage, whose
    `ema` is the tokenizer to use, and how good that is. A stage that had ended goes on if the budget has grown, unless
    its tokenizer was good and dynamics know it. What needs no gradient stays as it is.
    """
    stage = Stage(
        "tokenizer",
        folder,
        tokenizer,
        optimizer_for(tokenizer, config.tokenizer_lr),
        tokenizer_budget(config),
        config.ema,
        config.seed,
        {"size": config.size},
        open_ended=True,
        quiet=quiet,
    )
    history = [(int(step), float(db)) for step, db in stage.extra.get("history", torch.zeros(0, 2)).tolist()]
    stage.keep = lambda: {"history": torch.tensor(history, dtype=torch.float64).view(-1, 2)}
    if stage.finished and stage.has_time and (config.enlarges or not check.measure(stage.ema).is_good):
        stage.reopen()
    tokenizer.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs leave it out
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
            if stage.open_ended and stage.step % CHECK_EVERY == 0 and not stage.cooling_from:
                with stage.paused():
                    quality = check.measure(stage.ema)
                history.append((stage.step, quality.reconstructed))
                stage.log(held_out_db=quality.reconstructed)
                if stage.step >= LEAST_STEPS and quality.is_good and is_flat(history):
                    stage.cool_down()
            if stage.due(SAVE_EVERY_S):
                with stage.paused():
                    stage.save()
    return stage, check.measure(stage.ema.eval())


def is_flat(history: list[tuple[int, float]]) -> bool:
    """Whether quality, in dB by step, gained less than `FLAT_DB` over the second half of the steps."""
    step, latest = history[-1]
    halfway = [db for at, db in history if at <= step / 2]
    return bool(halfway) and latest - max(halfway) < FLAT_DB


def _metrics(error: Tensor) -> dict[str, float]:
    """Return the PSNR of a mean squared error of pictures in [-1, 1]."""
    return {"psnr_db": float(psnr_of(error.item() / 4))}
