"""How long a playable world takes on this machine: steps of both stages, timed before training begins."""

from __future__ import annotations

import dataclasses
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from worldling.dynamics.model import Dynamics
from worldling.learn.clips import Clips
from worldling.learn.frames import FramePool
from worldling.learn.optimizer import optimizer_for
from worldling.learn.precision import autocast_for
from worldling.learn.stage import Budget
from worldling.tokenizer.loss import tokenizer_loss
from worldling.tokenizer.model import Tokenizer
from worldling.train.dynamics_stage import DynamicsTraining, wants_compile
from worldling.train.recipe import TrainConfig
from worldling.types import frames_to_float
from worldling.world import WorldConfig

#: Steps after which a small game is playable: of the tokenizer, and of the dynamics at 8 clips of 19 frames. Measured
#: on examples/my_game.py (docs/lab.md).
PLAYABLE_STEPS = (400, 800)
#: Minutes that training takes at least and at most when it chooses them, and how much more than the estimate: steps are
#: timed by the fastest of a few, and other programs come and go.
LEAST_MINUTES, MOST_MINUTES, MARGIN = 15, 240, 1.5
#: A compiled step takes so much of the time of one that is not.
COMPILED = 0.6
#: Seconds that timing one kind of step may take, and steps at least and at most.
TIMING_S, TIMING_STEPS = 4.0, (3, 10)
ROWS = 256  # of made-up latents


@dataclass(frozen=True)
class Estimate:
    """Seconds of a step of each stage, and of encoding all frames; share of the minutes that keypoints take."""

    tokenizer_step_s: float
    dynamics_step_s: float
    encoding_s: float
    keypoint_share: float = 0.0

    @property
    def playable_minutes(self) -> int:
        """Whole minutes in all after which a small game is playable."""
        first, second = PLAYABLE_STEPS
        seconds = first * self.tokenizer_step_s + second * self.dynamics_step_s + self.encoding_s
        return max(1, round(seconds / 60 / (1 - self.keypoint_share)))

    @property
    def chosen_minutes(self) -> float:
        """The minutes that training takes when nobody says how many."""
        return float(min(MOST_MINUTES, max(LEAST_MINUTES, round(MARGIN * self.playable_minutes))))

    def sentence(self, minutes: float, chosen: bool = False) -> str:
        """Say what to expect of `minutes`, in one line; chosen: whether they are `chosen_minutes`."""
        needed = self.playable_minutes
        about = f"about {needed} minutes for a playable world of a small game on this machine"
        if chosen:
            return f"{about}: training takes {minutes:g} (--minutes sets another time)"
        if minutes >= needed:
            return f"{about}; you asked for {minutes:g}, which are enough"
        outcome = "will hardly be playable" if minutes < needed / 2 else "will follow the actions but blur"
        return f"{about}; you asked for {minutes:g}: it {outcome}. Run again with more --minutes to go on"


def estimate(
    networks: WorldConfig, config: TrainConfig, pool: FramePool, num_frames: int, device: torch.device
) -> Estimate:
    """Time a few steps of both stages with throw-away networks; num_frames: to be encoded. Cost: about ten seconds."""
    tokenizer = Tokenizer(networks.tokenizer).to(device)
    optimizer = optimizer_for(tokenizer, 1e-4)
    autocast = autocast_for(device)
    pairs, means = pool.pairs[: config.batch_frames // 2], pool.means[pool.episode[: config.batch_frames // 2]]
    images, usual = frames_to_float(pairs), frames_to_float(means)

    def tokenizer_step() -> None:
        with autocast:
            loss, _ = tokenizer_loss(tokenizer, images, usual, 0.0, config.latent_smoothness, config.tokenizer_levels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    first = seconds_per_step(tokenizer_step)
    with torch.inference_mode(), autocast:
        encoding = seconds_per_step(lambda: tokenizer.encode(images.flatten(0, 1))) / images[:, :, 0, 0, 0].numel()
    shape = networks.dynamics
    levels = torch.randint(shape.levels, (ROWS, shape.tokens, shape.channels), dtype=torch.uint8)
    points = torch.zeros(ROWS, shape.keypoints, 2) if shape.keypoints else None
    clips = Clips(levels, torch.zeros(ROWS, shape.action_size), [0, ROWS], shape.levels, points=points)
    with tempfile.TemporaryDirectory() as folder:
        training = DynamicsTraining(
            Dynamics(shape).to(device),
            tokenizer,
            clips.to(device),
            Path(folder),
            dataclasses.replace(config, compile="off", sparse_share=config.sparse_share or 0.25),
            Budget(1.0, steps=1_000_000),
            device,
            quiet=True,
        )
        training.stage.step = 1  # most steps are sparse
        second = seconds_per_step(training.take_step)
    share = config.keypoint_share if shape.keypoints else 0.0
    return Estimate(first, second * (COMPILED if wants_compile(config, device) else 1.0), encoding * num_frames, share)


def seconds_per_step(step: Callable[[], object]) -> float:
    """Return the time of one call of `step`, the fastest of some: the first ones also allocate."""
    times: list[float] = []
    least, most = TIMING_STEPS
    while len(times) < least or (sum(times) < TIMING_S and len(times) < most):
        before = time.perf_counter()
        step()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        times.append(time.perf_counter() - before)
    return min(times)


def wanted_minutes(known: Estimate | None, config: TrainConfig) -> int:
    """Return the --minutes to go on with: what a playable world needs, or twice what was asked for if that is more."""
    twice = round(2 * config.minutes)
    return max(known.playable_minutes, twice if config.minutes >= known.playable_minutes else 0) if known else twice
