"""What a training takes over from a world that is trained: its keypoints, its tokenizer, or all but its decoder."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import torch

from worldling.data.dataset import DatasetMeta
from worldling.dynamics.keypoints import Keypoints, Painter
from worldling.errors import ConfigError
from worldling.tokenizer.model import Tokenizer
from worldling.train.recipe import TrainConfig
from worldling.world import World, WorldConfig
from worldling.world_files import find_world, load_world


def keypoints_of(name: str) -> Keypoints | None:
    """Return the trained keypoints of the world `name`, a bundled one or a folder; None if `name` is "".

    Raises `ConfigError` if it has none, and what `load_world` raises.
    """
    if not name:
        return None
    keypoints = load_world(find_world(name)).dynamics.keypoints
    if keypoints is None:
        raise ConfigError(f"`keypoints_from` must be a world with keypoints, got {name}. Train one with keypoints=14.")
    return keypoints.requires_grad_(False)


def take_over(keypoints: Keypoints, trained: Keypoints, name: str) -> None:
    """Copy the weights of `trained`, of the world `name`, into `keypoints`. Raises `ConfigError` where they differ.

    The grid of `keypoints` may be finer: points and their motion do not know it, and the painter describes a cell by
    where the points lie from its centre.
    """
    weights = dict(trained.state_dict())
    finer(trained.painter, keypoints.painter, weights)
    wanted, got = ({key: t.shape for key, t in part.items()} for part in (keypoints.state_dict(), weights))
    if wanted != got:
        raise ConfigError(
            f"`keypoints_from` must be a world of the same actions, and of the same grid or one that is a half, a "
            f"quarter or less as fine, got {name}. Train keypoints for this world: leave `keypoints_from` out."
        )
    keypoints.load_state_dict(weights)


def finer(trained: Painter, painter: Painter, weights: dict[str, torch.Tensor]) -> None:
    """Change the weights of keypoints of a grid, in place, to those of a finer grid, if `painter` has one.

    What is learnt of a place is that of the coarser cell around it; what is painted around a finer cell's centre is
    the middle of what a coarser one there would be.
    """
    coarse, fine = (round(len(part.place) ** 0.5) for part in (trained, painter))
    if fine == coarse or fine % coarse:
        return
    times, side = fine // coarse, painter.patch_px
    place = weights["painter.place"].unflatten(0, (coarse, coarse))
    weights["painter.place"] = place.repeat_interleave(times, 0).repeat_interleave(times, 1).flatten(0, 1)
    first = (trained.patch_px - side) // 2
    for name in ("painter.out.weight", "painter.out.bias"):
        whole = weights[name].unflatten(0, (3, trained.patch_px, trained.patch_px))
        weights[name] = whole[:, first : first + side, first : first + side].flatten(0, 2)


def tokenizer_of(name: str, tokenizer: Tokenizer) -> bool:
    """Copy the weights of the tokenizer of the world `name` into `tokenizer`; return False if `name` is "".

    Raises `ConfigError` unless both are of pictures of one size, cut into as many cells, and what `load_world` raises.
    """
    if not name:
        return False
    trained = load_world(find_world(name)).tokenizer
    own, known = tokenizer.config, trained.config
    words = [
        f"{c.size_px} px in {c.cells} x {c.cells} cells of {c.codes} codes, {c.levels} levels" for c in (own, known)
    ]
    if words[0] != words[1] or known.seen_px:
        words[1] += f", an encoder that sees {known.seen_px} px" if known.seen_px else ""
        raise ConfigError(
            f"`tokenizer_from` must be a world of the same pictures and cells, {words[0]}, got {name} of {words[1]}. "
            "Set grid, merge and levels so that they are the same."
        )
    tokenizer.load_state_dict(trained.state_dict())
    return True


def smaller_world(config: TrainConfig, meta: DatasetMeta) -> World | None:
    """Return the world that is to have the pictures of the data; None if `config` does not ask for that.

    Raises `ConfigError` if it cannot, or if the data are not of what it was trained on, and what `load_world` raises.
    """
    name = config.enlarges
    if not name:
        return None
    world = load_world(find_world(name))
    if world.config.dynamics.warp:
        raise ConfigError(
            f"`enlarges` must be a world without `warp`, got {name}, whose head copies parts of its own pictures. "
            "Train one without it."
        )
    if meta.size_px <= world.size_px:
        raise ConfigError(
            f"`enlarges` must be a world of smaller pictures than those of the data, {meta.size_px} px, got {name} of "
            f"{world.size_px}. Record with --size-px {2 * world.size_px}."
        )
    source = world.card.get("source", {})
    ours, theirs = source.get("env_id", meta.env_id), meta.env_id
    if ours != theirs or not world.action_space.same_actions(meta.action_space):
        raise ConfigError(
            f"`enlarges` must be a world of the same environment and actions as the data, {theirs}, got {name} of "
            f"{ours}. Record the data from that one."
        )
    return world


def enlarged_config(world: World, name: str, size_px: int) -> WorldConfig:
    """Return the shape of `world` with pictures of `size_px`, called `name`. Raises `ConfigError`."""
    own = world.config.tokenizer
    tokenizer = dataclasses.replace(own, size_px=size_px, seen_px=own.seen_px or own.size_px)
    return dataclasses.replace(world.config, name=name, tokenizer=tokenizer)


def begin_decoder(tokenizer: Tokenizer, trained: Tokenizer) -> None:
    """Take over the encoder, which stays as it is, and those layers of the decoder that come first in both."""
    tokenizer.encoder.load_state_dict(trained.encoder.state_dict())
    tokenizer.encoder.requires_grad_(False)
    for layer, known in zip(tokenizer.decoder, trained.decoder, strict=False):
        weights = known.state_dict()
        if {name: t.shape for name, t in layer.state_dict().items()} != {name: t.shape for name, t in weights.items()}:
            break
        layer.load_state_dict(weights)


def enlarged_world(
    world: World, networks: WorldConfig, tokenizer: Tokenizer, card: dict[str, Any], **more: Any
) -> World:
    """Return `world` with a tokenizer of larger pictures; card: of that training; more: as `World` takes it.

    What both trainings cost is added up.
    """
    card = {**card, "training": {**world.card.get("training", {}), "enlarges": card["training"]["enlarges"]}}
    cost, before = card["cost"], copy.deepcopy(world.card.get("cost", {}))
    for name in ("minutes", "steps"):
        known = before.get(name, {})
        cost[name] = {**known, "tokenizer": round(known.get("tokenizer", 0) + cost[name]["tokenizer"], 2)}
    return World(networks, tokenizer, world.dynamics, card, outcome=world.outcome, **more)
