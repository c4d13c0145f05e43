"""Train dynamics of another shape from those of a trained world: what they share is where they begin."""

from __future__ import annotations

import copy
import dataclasses
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from worldling.checkpoint import read_json
from worldling.compress.rounding import round_in_steps, settled
from worldling.config import from_dict, renamed, to_dict
from worldling.data.store import open_dataset
from worldling.dynamics.loss import Teacher
from worldling.dynamics.model import Dynamics, DynamicsConfig
from worldling.errors import CheckpointError, ConfigError, nearest
from worldling.judge.needs import check_fits
from worldling.learn.frames import mean_picture, split
from worldling.learn.latents import encode_episodes, find_points, forget_latents
from worldling.learn.precision import autocast_for
from worldling.learn.reflection import reflections
from worldling.learn.stage import Budget, Stage
from worldling.packed import Packing
from worldling.train.dynamics_stage import train_dynamics
from worldling.train.quality import TokenizerCheck, check_world
from worldling.train.recipe import SIZES, TrainConfig
from worldling.world import World
from worldling.world_files import save_world

#: Of a rate from scratch: what is known already must not be unlearnt.
RATE_SHARE = 0.4


def data_of(world: World, given: str | Path | None) -> Path:
    """Return the data set to train on: the one given, or the one that the world says it was trained on.

    Raises `ConfigError` if neither is there.
    """
    if given is not None:
        return Path(given)
    file = world.path / "train" / "train.json" if world.path is not None else None
    known = read_json(file, "the settings of a run").get("data") if file is not None and file.exists() else None
    if not isinstance(known, str) or not (Path(known) / "dataset.json").exists():
        raise ConfigError(
            f"`data` must be given for this world, got none, and {known or 'none'} is not here. Add --data FOLDER, "
            "with the data set that it was trained on."
        )
    return Path(known)


def settings_of(world: World, minutes: float, steps: int, anew: bool = False) -> TrainConfig:
    """Return the settings of the world's training, for so long.

    anew: to train from the beginning, not to go on, where the rate is lower and roll-outs come from the start.
    Raises `CheckpointError` if the card holds others.
    """
    try:
        known = renamed(TrainConfig, dict(world.card.get("training", {})))
        fields = {field.name for field in dataclasses.fields(TrainConfig)}
        config = from_dict(TrainConfig, {name: value for name, value in known.items() if name in fields}, "training")
    except (ConfigError, TypeError, ValueError) as error:
        raise CheckpointError(f"`card.json` must say how the world was trained, got: {error}") from None
    if anew:
        return dataclasses.replace(config, minutes=minutes, steps=steps)
    rate = RATE_SHARE * config.dynamics_lr
    return dataclasses.replace(config, minutes=minutes, steps=steps, dynamics_lr=rate, rollout_from=0.0)


def finetune(
    world: World,
    shape: DynamicsConfig,
    start: dict[str, Tensor],
    data: Path,
    out: Path,
    config: TrainConfig,
    said: dict[str, Any],
    quiet: bool = True,
    teacher: Teacher | None = None,
    packing: Packing | None = None,
) -> World:
    """Train dynamics of `shape` for `config.minutes`, and write the world with them to folder `out`.

    start: weights to begin with, by name; those that are not there begin at random. said: of the change, for the card's
    `compression`; teacher: whose scores are to be met; packing: of a world with weights of few bits, which are rounded
    in every step and when they are written. Run again to go on. Raises `ConfigError`, `DatasetError` or
    `JudgeError` (data that do not fit).
    """
    folder, device = out / "train", world.device
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(config.seed)
    dynamics = Dynamics(shape).to(device)
    dynamics.load_state_dict(start, strict=False)
    if packing is not None:
        round_in_steps(dynamics, packing)
    with closing(open_dataset(data)) as dataset:
        check_fits(world, dataset.meta, data)
        training, held = split(dataset, config.clip_frames)
        every, autocast = reflections(config.mirror, shape.action_size), autocast_for(device)
        clips = encode_episodes(world.tokenizer, dataset, training, every, device, autocast, folder, quiet)
        if dynamics.keypoints is not None:
            clips.points = find_points(dynamics.keypoints.finder, dataset, training, every, device, folder, quiet)
        mean = world.mean_frame if world.mean_frame is not None else mean_picture(dataset.frames(held[0]))
        seen = TokenizerCheck(dataset, held, np.asarray(mean), device).measure(world.tokenizer)

        def show(dynamics: Dynamics, stage: Stage[Dynamics]) -> World:
            dynamics = dynamics if packing is None else settled(dynamics)
            made = World(
                dataclasses.replace(world.config, dynamics=shape), world.tokenizer, dynamics,
                copy.deepcopy(world.card), world.contexts, np.asarray(mean), outcome=world.outcome,
            )  # fmt: skip
            made.card["compression"] = {**said, "minutes": round(stage.seconds / 60, 2), "steps": stage.step}
            made.card["parameters"] = {
                name: sum(p.numel() for p in network.parameters())
                for name, network in (("tokenizer", world.tokenizer), ("dynamics", dynamics))
            }
            made.card["quality"] = check_world(made, dataset, held, seen, out).card()
            save_world(made, out, packing=packing)
            return made

        budget = Budget(config.minutes, config.steps)
        stage = train_dynamics(
            dynamics, world.tokenizer, clips.to(device), folder, config, budget, device, quiet, show, teacher=teacher
        )
        made = show(stage.ema, stage)
    stage.keep = dict
    del clips
    forget_latents(folder)
    return made


def sparse_shape(world: World, pattern: str) -> DynamicsConfig:
    """Return the shape of a world's dynamics with another pattern of attention over space. Raises `ConfigError`."""
    shape = dataclasses.replace(world.config.dynamics, sparse=pattern)
    if to_dict(shape) == to_dict(world.config.dynamics):
        raise ConfigError(f"`sparse` must be another pattern than the world has, got {pattern!r}. Choose another.")
    return shape


def student_shape(world: World, size: str) -> DynamicsConfig:
    """Return the shape of smaller dynamics for the same tokenizer: width and layers of `size`. Raises `ConfigError`."""
    if size not in SIZES:
        raise ConfigError(f"`size` must be one of {', '.join(SIZES)}, got {size!r}. {nearest(size, SIZES)}")
    _, width, head_dim, backbone, head_layers = SIZES[size]
    now = world.config.dynamics
    shape = dataclasses.replace(now, width=width, head_dim=head_dim, backbone=backbone, head_layers=head_layers)
    layers = [len(one.backbone) + one.head_layers for one in (now, shape)]
    if layers[1] * width**2 >= layers[0] * now.width**2:
        raise ConfigError(
            f"`size` must be smaller than the world's own, got {size} with {layers[1]} layers of {width} for "
            f"{layers[0]} of {now.width}. Choose a smaller one."
        )
    return shape


def known_to_student(world: World) -> dict[str, Tensor]:
    """Return the weights that dynamics of another width begin with: the keypoints', which have a width of their own."""
    weights = world.dynamics.state_dict().items()
    return {name: weight for name, weight in weights if name.startswith("keypoints.")}
