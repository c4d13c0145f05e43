"""Structured pruning: MLPs of fewer channels, whose outputs make up for those that went.

Which channel is missed least follows from what they have in common over the world's own roll-outs, as in Optimal Brain
Surgeon (Hassibi and Stork, 1993) of whole columns; the columns that stay are fitted to give the old outputs.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping

import torch
from torch import Tensor

from worldling.compress.compensate import DAMPING, input_products
from worldling.compress.sensitivity import Probe
from worldling.dynamics.model import Dynamics, DynamicsConfig
from worldling.errors import ConfigError
from worldling.nn.blocks import Mlp
from worldling.world import World

#: Channels of an MLP stay a multiple of this, as engines like it.
MULTIPLE = 8


def pruned_shape(world: World, share: float) -> DynamicsConfig:
    """Return the shape of a world's dynamics without a share of the MLPs' channels. Raises `ConfigError`."""
    if not 0 < share < 1:  # false for nan, too
        raise ConfigError(f"`prune` must be above 0 and below 1, got {share:g}. Use 0.5 for half of the channels.")
    now = world.config.dynamics
    hidden = now.hidden or 4 * now.width
    left = max(MULTIPLE, MULTIPLE * round((1 - share) * hidden / MULTIPLE))
    if left >= hidden:
        raise ConfigError(
            f"`prune` must take {MULTIPLE} channels or more, got {share:g} of {hidden}. Choose a larger share."
        )
    return dataclasses.replace(now, hidden=left)


def pruned_world(world: World, share: float, probe: Probe) -> World:
    """Return a copy of `world` without a share of its MLPs' channels, not trained since; probe: of the world.

    Raises `ConfigError`.
    """
    shape = pruned_shape(world, share)
    dynamics = Dynamics(shape).to(world.device)
    dynamics.load_state_dict(pruned_weights(world, shape.hidden, input_products(world, probe)))
    card = copy.deepcopy(world.card)
    card["compression"] = {"prune": share, "of": world.config.name}
    card["parameters"] = {**card.get("parameters", {}), "dynamics": sum(p.numel() for p in dynamics.parameters())}
    config, contexts = dataclasses.replace(world.config, dynamics=shape), world.contexts
    return World(config, world.tokenizer, dynamics, card, contexts, world.mean_frame, outcome=world.outcome)


@torch.no_grad()
def pruned_weights(world: World, hidden: int, products: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights of a world's dynamics with MLPs of `hidden` channels.

    products: mean products of the inputs of each layer, of `input_products`.
    """
    weights = dict(world.dynamics.state_dict())
    for name, layer in world.dynamics.named_modules():
        if isinstance(layer, Mlp):
            common = products[f"dynamics.{name}.fall.weight"].to(layer.fall.weight)
            kept, fall = fewer_inputs(layer.fall.weight, common, hidden)
            weights[f"{name}.rise.weight"] = layer.rise.weight[kept]
            weights[f"{name}.rise.bias"] = layer.rise.bias[kept]
            weights[f"{name}.fall.weight"] = fall
    return weights


def fewer_inputs(weight: Tensor, common: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return which `count` inputs of a layer to keep, int64, and its weights `[m, count]` for those.

    weight `[m, n]`; common `[n, n]`: the mean product of each two inputs.
    """
    damped = common + DAMPING * common.diagonal().mean() * torch.eye(len(common), device=common.device)
    missed = weight.square().sum(0) / torch.linalg.inv(damped).diagonal()
    kept = missed.topk(count).indices.sort().values
    return kept, torch.linalg.solve(damped[kept][:, kept], damped[kept] @ weight.t()).t()
