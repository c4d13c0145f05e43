"""Two stages of worlds with keypoints, between tokenizer and dynamics: finder with painter, then motion.

Both are small: a frame costs them a fraction of what it costs the dynamics, so they see far more of them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from worldling.dynamics.keypoints import (
    FIRST_OCTAVES,
    OCTAVES,
    SAME_THING,
    Finder,
    Keypoints,
    Motion,
    apart,
    patches,
    rigid_groups,
    seen,
    turned,
)
from worldling.errors import ConfigError
from worldling.learn.clips import Clips
from worldling.learn.frames import FramePool
from worldling.learn.latents import weights_digest
from worldling.learn.optimizer import optimizer_for
from worldling.learn.reflection import Reflection
from worldling.learn.stage import Budget, Stage
from worldling.train.recipe import TrainConfig
from worldling.types import frames_to_float

Network = TypeVar("Network", Keypoints, Motion)
SAVE_EVERY_S = 60.0
#: Finder and painter: peak rate; pairs of frames, and cells painted of each frame, in a step.
FIND_RATE, PAIRS, CELLS = 4e-3, 48, 24
#: A pixel is unusual if it differs by more than this from the mean picture, of a range of 2; weight of those that do.
UNUSUAL, UNUSUAL_WEIGHT = 0.1, 8.0
#: Standard deviation of the noise in the points that are painted; share of the stage until all octaves are there.
PAINT_NOISE, ALL_OCTAVES = 0.012, 0.6
#: Price of how far points go from frame to frame, which keeps each on one thing.
CALM = 0.05
#: Price of points that do not turn and shift with a picture that is turned and shifted, the share of the stage from
#: which on it is asked, and that in which it rises; the furthest shift; lengths count as this at least.
FOLLOW, FOLLOW_FROM, FOLLOW_RISE, SHIFT, SMALLEST_ARM = 0.1, 0.3, 0.1, 0.2, 0.1
#: Points are asked for only as far as this from the middle, where half a side is 1.
INSIDE = 0.95
#: Frames by which points are put into groups, at most.
MOST_GROUPED = 4000
#: Motion: peak rate, steps of the data in a step, standard deviation of the noise in points, price of moving alone.
MOVE_RATE, MOVES, MOVE_NOISE, ALONE = 3e-3, 512, 0.005, 0.1
#: From this share of its stage on the motion goes so many steps by itself, and learns from where that leads.
UNROLL_FROM, UNROLL = 0.5, 4
#: Scale of the motion's error, where its loss turns from a square into an absolute value.
ERROR_SCALE = 0.01


def train_keypoints(
    keypoints: Keypoints, pool: FramePool, reflections: list[Reflection], folder: Path, config: TrainConfig, quiet: bool
) -> float:
    """Train finder and painter in place, on the frames of `pool`. Returns the seconds it took."""
    device = pool.device
    stage = _stage("keypoints", folder, keypoints, FIND_RATE, config, {"keypoints": config.keypoints}, quiet)
    usual = [reflection.frames(torch.from_numpy(pool.mean_frame())) for reflection in reflections]
    means = seen(frames_to_float(torch.stack(usual).to(device)))
    with stage.running():
        while stage.share_done < 1:
            generator = stage.generator(device=device)
            stage.set_learning_rate(FIND_RATE)
            growing = min(1, stage.share_done / ALL_OCTAVES)
            keypoints.painter.sines.use(FIRST_OCTAVES + (OCTAVES - FIRST_OCTAVES) * growing)
            rows = torch.randint(len(pool.pairs), (PAIRS,), generator=generator, device=device)
            groups, which = [], torch.randint(len(reflections), (4,), generator=stage.generator("reflection")).tolist()
            for number, part in zip(which, rows.chunk(4), strict=False):
                groups.append(reflections[number].frames(pool.pairs[part]))
            pictures = seen(frames_to_float(torch.cat(groups).flatten(0, 1)))
            mean = torch.cat(
                [means[n].expand(2 * len(part), -1, -1, -1) for n, part in zip(which, groups, strict=False)]
            )
            following = FOLLOW * min(1, max(0, stage.share_done - FOLLOW_FROM) / FOLLOW_RISE)
            stage.update(painting_loss(keypoints, pictures, mean, generator, following))
            if stage.due(SAVE_EVERY_S):
                with stage.paused():
                    stage.save()
    keypoints.painter.sines.use(OCTAVES)
    keypoints.load_state_dict(stage.ema.state_dict())
    return stage.seconds


def _stage(
    name: str, folder: Path, network: Network, rate: float, config: TrainConfig, made_of: dict[str, Any], quiet: bool
) -> Stage[Network]:
    """Return the stage that trains `network` in place, with half of the share that keypoints have of the minutes."""
    budget = Budget(config.minutes * config.keypoint_share / 2, config.steps)
    optimizer = optimizer_for(network, rate, 0.0)
    return Stage(name, folder, network, optimizer, budget, config.ema, config.seed, made_of, quiet=quiet)


def painting_loss(
    keypoints: Keypoints, pictures: Tensor, means: Tensor, generator: torch.Generator, following: float
) -> Tensor:
    """Return the loss of painting pictures from the points found in them.

    pictures `[2 P, 3, S, S]`: in turns a frame and the next one; means `[2 P, 3, S, S]`: what each usually looks like;
    following: the price of `turning_error`.
    """
    points = keypoints.finder(pictures)
    grid = round(len(keypoints.painter.place) ** 0.5)
    pixels, usual = patches(pictures, grid), patches(means, grid)
    unusual = ((pixels - usual).abs() > UNUSUAL).float()
    chance = unusual.amax(-1) + 0.6 * torch.rand(unusual.shape[:2], generator=generator, device=pictures.device)
    cells = chance.topk(min(CELLS, grid**2), dim=1).indices
    noise = torch.randn(points.shape, generator=generator, device=pictures.device)
    painted = keypoints.painter.paint(keypoints.painter(points + PAINT_NOISE * noise, cells)).float()
    goal, weight = (
        (part.gather(1, cells[..., None].expand(-1, -1, part.shape[2]))) for part in (pixels - usual, unusual)
    )
    error = ((1 + UNUSUAL_WEIGHT * weight) * (painted - goal).square()).mean()
    first, second = points.unflatten(0, (-1, 2)).unbind(1)
    error = error + CALM * (first - second).abs().mean()
    if following:
        error = error + following * turning_error(keypoints.finder, pictures[::3], points[::3], generator)
    return error


def turning_error(finder: Finder, pictures: Tensor, points: Tensor, generator: torch.Generator) -> Tensor:
    """Return how far points are from turning and shifting with the picture, in shares of their way to their centre.

    So each is fixed to a place of a thing, however the thing lies (equivariance: Thewlis et al., arXiv 1705.02193);
    else it may be the thing's upper edge, which no rigid motion describes. A point's centre is the mean of those that
    keep their distance to it. pictures `[P, 3, S, S]`; points `[P, K, 2]`: as found in them.
    """
    angle = torch.pi * (2 * torch.rand(len(pictures), 1, generator=generator, device=pictures.device) - 1)
    shift = SHIFT * (2 * torch.rand(len(pictures), 1, 2, generator=generator, device=pictures.device) - 1)
    cos, sin = angle.cos(), angle.sin()
    back = torch.stack([torch.cat([cos, sin], 1), torch.cat([-sin, cos], 1)], 1)  # [P, 2, 2]: turns by -angle
    where = torch.cat([back, -back @ shift.transpose(1, 2)], 2)
    grid = F.affine_grid(where, list(pictures.shape), align_corners=False)
    found = finder(F.grid_sample(pictures, grid, padding_mode="border", align_corners=False))
    wanted = turned(points, cos[..., None], sin[..., None]) + shift
    inside = torch.maximum(points, wanted).detach().amax(-1) < INSIDE
    inside &= torch.minimum(points, wanted).detach().amin(-1) > -INSIDE
    near = (-apart(points.detach()) / SAME_THING).exp()
    arm = (points - (near / near.sum(1, keepdim=True)) @ points).norm(dim=-1) + SMALLEST_ARM
    return ((found - wanted).abs().sum(-1) / arm * inside).sum() / inside.sum().clamp(min=1)


def train_motion(
    keypoints: Keypoints, clips: Clips, folder: Path, config: TrainConfig, device: torch.device, quiet: bool
) -> float:
    """Train `keypoints.motion` in place, on `clips.points`. Returns the seconds it took. Raises `ConfigError`."""
    assert clips.points is not None, "points are found before their motion is learnt"
    motion, made_of = keypoints.motion, {"keypoints": weights_digest(keypoints.finder)}
    some = torch.linspace(0, len(clips.points) - 1, min(len(clips.points), MOST_GROUPED)).long()
    motion.groups.copy_(rigid_groups(clips.points[some.to(clips.points.device)], motion.groups.shape[1]))
    for number, members in enumerate(motion.groups.sum(0).tolist()):
        for networks in (motion.free, motion.touch):
            networks[number].requires_grad_(members > 0)  # a group of no points has nothing to learn
    stage = _stage("motion", folder, motion, MOVE_RATE, config, made_of, quiet)
    points, action = clips.points.to(device), clips.action.to(device)
    rows = torch.arange(len(points), device=clips.device)
    rows = rows[clips.follows(rows, UNROLL) & ~starts(clips, rows)].to(device)
    if not len(rows):
        raise ConfigError(
            f"`keypoints` must be 0 for episodes of fewer than {UNROLL + 3} frames, got {config.keypoints}. Record "
            "longer episodes, or train without."
        )
    chance = busy_rows(points, rows)
    with stage.running():
        while stage.share_done < 1:
            generator = stage.generator(device=device)
            stage.set_learning_rate(MOVE_RATE)
            length = UNROLL if stage.share_done >= UNROLL_FROM else 1
            draw = torch.rand(MOVES // length, generator=generator, device=device, dtype=torch.float64) * chance[-1]
            row = rows[torch.searchsorted(chance, draw)]
            noise = torch.randn(2, len(row), *points.shape[1:], generator=generator, device=device)
            scale = MOVE_NOISE * torch.rand(2, len(row), 1, 1, generator=generator, device=device)
            moved = scale[0] * noise[0]
            now, before = points[row] + moved, points[row - 1] + moved + 0.2 * scale[1] * noise[1]
            stage.update(motion_loss(motion, points, action, row, now, before, length))
            if stage.due(SAVE_EVERY_S):
                with stage.paused():
                    stage.save()
    motion.load_state_dict(stage.ema.state_dict())
    return stage.seconds


def motion_loss(
    motion: Motion, points: Tensor, action: Tensor, row: Tensor, now: Tensor, before: Tensor, length: int
) -> Tensor:
    """Return the loss of going `length` steps from rows `[M]` of the data, each from where the last one led.

    points `[F, K, 2]`, action `[F, A]`: of the data; now, before `[M, K, 2]`: where the points are taken to be.
    """
    total = points.new_zeros(())
    for ahead in range(length):
        following, alone = motion(now, before, action[row + ahead])
        error = (following - points[row + ahead + 1]) / ERROR_SCALE
        total = total + F.smooth_l1_loss(error, torch.zeros_like(error)) + ALONE * (alone / ERROR_SCALE).abs().mean()
        now, before = following, now
    return total / length


def starts(clips: Clips, rows: Tensor) -> Tensor:
    """Whether each of `rows` is the first of its episode, before which no frame is known."""
    return torch.isin(rows, torch.tensor(clips.offsets, device=rows.device))


def busy_rows(points: Tensor, rows: Tensor) -> Tensor:
    """Return the running sum of the chance to draw each of `rows`: more where points move that seldom do."""
    moved = (points[rows + 1] - points[rows]).norm(dim=-1)
    return (moved / moved.mean(0).clamp(min=1e-6)).amax(1).clamp(0.2, 5.0).double().cumsum(0)
