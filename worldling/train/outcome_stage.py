"""A short stage between the two: reward and termination, from the latents of recorded steps.

Half of a batch are steps that give a reward other than the usual one or end an episode, so that rare events are learnt;
each step is weighted by how much more often it is drawn than it occurs, so that they are not predicted too often.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from worldling.dynamics.outcome import Outcome, OutcomeConfig, outcome_loss
from worldling.learn.clips import Clips
from worldling.learn.latents import digest
from worldling.learn.optimizer import optimizer_for
from worldling.learn.stage import Budget, Stage
from worldling.nn.lattice import from_levels, jitter
from worldling.tokenizer.model import Tokenizer
from worldling.train.recipe import TrainConfig

STEPS, BATCH, PEAK_RATE = 1_500, 256, 3e-3
#: Share of the minutes that it takes at most.
MOST_SHARE = 0.08
#: Share of latent values moved by one level, as the dynamics' errors move them.
JITTER = 0.02


def train_outcome(
    config: OutcomeConfig,
    clips: Clips,
    tokenizer: Tokenizer,
    folder: Path,
    settings: TrainConfig,
    device: torch.device,
    quiet: bool,
) -> Outcome:
    """Train on single steps of `clips`; returns the averaged network. Cost: some ten seconds on two quiet cores."""
    tokens, channels = clips.levels.shape[1:]
    outcome = Outcome(config, tokens, channels, clips.action.shape[1]).to(device)
    stage = Stage(
        "outcome",
        folder,
        outcome,
        optimizer_for(outcome, PEAK_RATE),
        Budget(MOST_SHARE * settings.minutes, min(STEPS, settings.steps or STEPS), either=not settings.steps),
        settings.ema,
        settings.seed,
        {"tokenizer": digest(tokenizer), "rewards": list(config.rewards), "ends": config.ends},
        extendable=True,  # one that had too little time goes on in a longer run
        quiet=quiet,
    )
    rows, rare = rare_steps(clips)
    with stage.running():
        while stage.share_done < 1:
            stage.set_learning_rate(PEAK_RATE)
            row, weight = draw(rows, rare, stage.generator(device=clips.device))
            latent, following = (from_levels(clips.levels[row + ahead], clips.num_levels) for ahead in (0, 1))
            noise = stage.generator("jitter", clips.device)
            latent, following = (jitter(part, clips.num_levels, JITTER, noise) for part in (latent, following))
            scores = outcome(latent.to(device), following.to(device), clips.action[row].to(device))
            loss = outcome_loss(
                scores, clips.reward[row].to(device), clips.ends[row].to(device), weight.to(device), config
            )
            stage.update(loss)
    return stage.ema.eval()


def rare_steps(clips: Clips) -> tuple[Tensor, Tensor]:
    """Return the rows of steps within an episode, and of those that are not the usual: int64 `[n]` and `[m]`."""
    rows = torch.arange(len(clips.levels), device=clips.device)
    rows = rows[clips.follows(rows, 1)]
    usual = clips.reward[rows].mode().values
    return rows, rows[(clips.reward[rows] != usual) | clips.ends[rows]]


def draw(rows: Tensor, rare: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return `BATCH` rows, half of them rare if there are any, and their weights, of mean 1 over the data."""
    count = BATCH // 2 if len(rare) else 0
    any_row, rare_row = (
        of[torch.randint(max(1, len(of)), (size,), generator=generator, device=of.device)] if size else of[:0]
        for of, size in ((rows, BATCH - count), (rare, count))
    )
    row = torch.cat([any_row, rare_row])
    if not count:
        return row, torch.ones(len(row), device=row.device)
    share = len(rare) / len(rows)
    is_rare = torch.isin(row, rare)
    # A rare step is drawn by both halves, (.5 + .5 / share) times as often as it occurs; a usual one half as often.
    return row, torch.where(is_rare, 1 / (0.5 + 0.5 / share), 2.0)
