"""`worldling train`: a data set in, a world out."""

from __future__ import annotations

import contextlib
import dataclasses
import platform
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import torch

from worldling.checkpoint import read_json
from worldling.config import renamed, to_dict
from worldling.data.dataset import Dataset
from worldling.data.store import open_dataset
from worldling.dynamics.model import Dynamics, DynamicsConfig
from worldling.dynamics.outcome import outcome_config
from worldling.errors import ConfigError
from worldling.folder_lock import only_writer
from worldling.learn.frames import frame_pool, short_episodes, split
from worldling.learn.latents import encode_episodes, find_points, forget_latents, identity
from worldling.learn.precision import autocast_for
from worldling.learn.reflection import reflections
from worldling.learn.stage import Budget, Stage, write_settings
from worldling.machine import cpu_name, find_device, keep_memory
from worldling.tokenizer.model import Tokenizer, TokenizerConfig
from worldling.train.dynamics_stage import train_dynamics
from worldling.train.estimate import estimate, wanted_minutes
from worldling.train.keypoint_stage import train_keypoints, train_motion
from worldling.train.outcome_stage import train_outcome
from worldling.train.pictures import draw_curves
from worldling.train.quality import CONTEXT_FRAMES, PLAYS_WELL, TokenizerCheck, check_world
from worldling.train.recipe import TrainConfig, world_config
from worldling.train.take_over import (
    begin_decoder,
    enlarged_config,
    enlarged_world,
    keypoints_of,
    smaller_world,
    take_over,
    tokenizer_of,
)
from worldling.train.tokenizer_stage import train_tokenizer
from worldling.types import Episode
from worldling.world import World
from worldling.world_files import save_world

#: The second stage gets so much of the minutes at least.
LEAST_SHARE = 0.3


def train(
    data: str | Path,
    out: str | Path,
    config: TrainConfig | None = None,
    device: str = "auto",
    quiet: bool = False,
    deadline: float | None = None,
) -> World:
    """Train a world on the data set `data` and write it to folder `out`.

    Run again to resume, with more minutes to train the dynamics further.

    `out` holds a world that can be played from the first tenth of the second stage on, and `out/train` the checkpoints,
    metrics.jsonl, curves.png, strip.png (truth over dream) and until the end the latents (size s: 2 to 3 kB a frame and
    reflection). deadline: the time (of `time.time`) to be done by; the second stage then takes all that is left,
    whatever `config.minutes` says. Raises `DatasetError`, `ConfigError`, `BackendError` (no such device),
    `CheckpointError` or `DiskFullError`; Ctrl-C saves first.
    """
    with contextlib.ExitStack() as held_open:
        return _train(data, out, config or TrainConfig(), device, quiet, deadline, held_open)


def _train(
    data: str | Path,
    out: str | Path,
    config: TrainConfig,
    device: str,
    quiet: bool,
    deadline: float | None,
    held_open: contextlib.ExitStack,
) -> World:
    """Do what `train` says; held_open: keeps the lock of the folder until the training ends."""
    if config.minutes < 0 or config.steps < 0:
        raise ConfigError(f"`minutes` must be 0 or more, got {min(config.minutes, config.steps)}. Use --minutes 30.")
    where = find_device(device)
    dataset = open_dataset(data)
    began = time.time()
    torch.manual_seed(config.seed)
    folder, known_points = Path(out) / "train", keypoints_of(config.keypoints_from)
    if known_points is not None:
        count, groups = known_points.motion.groups.shape
        config = dataclasses.replace(config, keypoints=count, keypoint_groups=groups, keypoint_share=0.0)
    name, meta, small = Path(out).name, dataset.meta, smaller_world(config, dataset.meta)
    if small is None:
        networks = world_config(name, config, meta.size_px, meta.action_space, meta.fps)
    else:
        networks = enlarged_config(small, name, meta.size_px)
    training, held = split(dataset, config.clip_frames)
    if not quiet and (line := short_episodes(dataset, config.clip_frames)):
        print(line, file=sys.stderr, flush=True)
    known = config.minutes or minutes_before(folder)
    chooses = not known and not config.steps and deadline is None
    config = dataclasses.replace(config, minutes=known or 30.0)
    every_reflection = reflections(config.mirror, networks.dynamics.action_size)
    held_open.enter_context(only_writer(folder, ".training", "trained"))
    made_of = {
        "tokenizer": to_dict(networks.tokenizer),
        "dynamics": to_dict(networks.dynamics),
        "mirror": config.mirror,
        "data": identity(dataset),
    }
    write_settings(folder, {"data": str(data), **to_dict(config), "minutes": known}, made_of, _upgrade)
    pool = frame_pool(dataset, training, config.pool_frames, quiet)
    mean = pool.mean_frame()
    network = Tokenizer(networks.tokenizer)
    if small is not None:
        begin_decoder(network, small.tokenizer)
    is_known = tokenizer_of(config.tokenizer_from, network)
    network, check = network.to(where), TokenizerCheck(dataset, held, mean, where)
    pool = pool.to(where)
    say = partial(print, file=sys.stderr, flush=True) if not quiet else lambda *_: None
    go_on = f"worldling train {data} --out {out} --minutes"
    needed = None
    if small is None and not config.steps and deadline is None:
        num_frames = sum(dataset.lengths[i] for i in training) * len(every_reflection)
        needed = estimate(networks, config, pool, num_frames, where)
        if is_known:
            needed = dataclasses.replace(needed, tokenizer_step_s=0.0)
        if chooses:
            config = dataclasses.replace(config, minutes=needed.chosen_minutes)
            write_settings(folder, {"data": str(data), **to_dict(config)}, made_of, _upgrade)
        say(needed.sentence(config.minutes, chooses))
    if is_known:
        tokenizer, tokenizer_s, tokenizer_steps = network.eval().requires_grad_(False), 0.0, 0
        seen = check.measure(tokenizer)
    else:
        first, seen = train_tokenizer(network, pool, check, every_reflection, folder, config, quiet)
        tokenizer, tokenizer_s, tokenizer_steps = first.ema, first.seconds, first.step
    if not seen.is_good:
        say(f"{seen.sentence}; the world will not be playable. To go on: {go_on} {wanted_minutes(needed, config)}")
    num_pool, contexts, source = 2 * len(pool.pairs), starting_clips(dataset, held), to_dict(meta)

    def card_of(dynamics: Dynamics, taken: dict[str, float], steps: dict[str, int]) -> dict[str, Any]:
        """Return the card of a world of this training; taken: seconds of each stage; steps: of each."""
        return {
            "source": source,
            "data": {
                "episodes": len(training),
                "frames": sum(dataset.lengths[i] for i in training),
                "tokenizer_frames": num_pool,
                "held_out_episodes": len(held),
            },
            "training": to_dict(config),
            "cost": {
                "minutes": {name: round(seconds / 60, 2) for name, seconds in taken.items()},
                "steps": steps,
                "device": device_name(where),
                "threads": torch.get_num_threads(),
                "energy_joules": "not measured",
            },
            "parameters": {
                "tokenizer": sum(p.numel() for p in tokenizer.parameters()),
                "dynamics": sum(p.numel() for p in dynamics.parameters()),
            },
            "versions": {"torch": torch.__version__, "python": platform.python_version()},
            "trained": time.strftime("%Y-%m-%d", time.gmtime(began)),
        }

    def finish(world: World, stage: Stage[Any]) -> World:
        """Write `world` as it is after `stage`, with what its roll-outs are worth."""
        quality = check_world(world, dataset, held, seen, Path(out))
        world.card["quality"] = quality.card()
        stage.log(**quality.by_horizon())
        save_world(world, out)
        draw_curves(folder / "metrics.jsonl", folder / "curves.png")
        return world

    if small is not None:
        card = card_of(small.dynamics, {"tokenizer": tokenizer_s}, {"tokenizer": tokenizer_steps})
        world = enlarged_world(small, networks, tokenizer, card, contexts=contexts, mean_frame=mean)
        say(seen.sentence)
        return finish(world, first)
    dynamics, for_keypoints = Dynamics(networks.dynamics).to(where), 0.0
    if dynamics.keypoints is not None and known_points is not None:
        take_over(dynamics.keypoints, known_points, config.keypoints_from)
    elif dynamics.keypoints is not None:
        for_keypoints = train_keypoints(dynamics.keypoints, pool, every_reflection, folder, config, quiet)
    del pool
    began_encoding = time.time()
    clips = encode_episodes(tokenizer, dataset, training, every_reflection, where, autocast_for(where), folder, quiet)
    if dynamics.keypoints is not None:
        clips.points = find_points(dynamics.keypoints.finder, dataset, training, every_reflection, where, folder, quiet)
    clips = clips.to(where)
    outcome, predicted = None, outcome_config(clips.reward, clips.ends)
    if predicted.is_there:
        outcome = train_outcome(predicted, clips, tokenizer, folder, config, where, quiet)
        networks = dataclasses.replace(networks, outcome=predicted)
    spent = tokenizer_s + time.time() - began_encoding
    if dynamics.keypoints is not None and known_points is None:
        for_keypoints += train_motion(dynamics.keypoints, clips, folder, config, where, quiet)
    spent += for_keypoints

    def show(dynamics: Dynamics, stage: Stage[Dynamics]) -> World:
        taken = {"tokenizer": tokenizer_s, "keypoints": for_keypoints, "dynamics": stage.seconds}
        if dynamics.keypoints is None:
            del taken["keypoints"]
        card = card_of(dynamics.eval(), taken, {"tokenizer": tokenizer_steps, "dynamics": stage.step})
        return finish(World(networks, tokenizer, dynamics, card, contexts, mean, outcome=outcome), stage)

    keep_memory()
    minutes = max(config.minutes - spent / 60, LEAST_SHARE * config.minutes)
    second = train_dynamics(
        dynamics, tokenizer, clips, folder, config, Budget(minutes, config.steps), where, quiet, show, deadline
    )
    world = show(second.ema, second)
    quality = world.card["quality"]
    say(f"{quality['verdict']}: {quality['summary']}")
    if quality["verdict"] != PLAYS_WELL:
        say(f"to go on: {go_on} {wanted_minutes(needed, config)}")
    second.keep = dict
    del clips  # nothing may hold the file where files in use cannot be deleted
    forget_latents(folder)
    return world


def minutes_before(folder: Path) -> float:
    """Return the minutes that the run in `folder` was given, 0 if there is none."""
    file = folder / "train.json"
    minutes = read_json(file, "the settings of a run").get("minutes", 0) if file.exists() else 0
    return float(minutes) if isinstance(minutes, (int, float)) else 0.0


def _upgrade(name: str, was: Any) -> Any:
    """Return what a run of today would say of itself under `name` where an older one said `was`."""
    kind = {"tokenizer": TokenizerConfig, "dynamics": DynamicsConfig}.get(name)
    return was if kind is None else {**to_dict(kind()), **renamed(kind, was)}


def starting_clips(dataset: Dataset, held: list[int]) -> list[Episode]:
    """Cut a few short clips out of held-out episodes, for people to start from."""
    clips = []
    for i in held[:8]:
        k = min(CONTEXT_FRAMES, dataset.lengths[i])
        whole = dataset[i]
        clips.append(
            Episode(
                whole.frames[:k],
                whole.actions[: k - 1],
                whole.reward[: k - 1],
                whole.terminated[: k - 1],
                whole.truncated[: k - 1],
                {name: v[:k] for name, v in whole.state.items()},
                {**whole.meta, "cut": True},
            )
        )
    return clips


def device_name(device: torch.device) -> str:
    """Return what the hardware calls itself."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return cpu_name()
