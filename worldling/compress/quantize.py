"""Quantize the weights of a world: few bits for those that do not matter, more for those that do."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from worldling.backend import Reference
from worldling.compress.allocate import allocate
from worldling.compress.compensate import input_products, round_weights
from worldling.compress.sensitivity import Probe, packable, sensitivities
from worldling.errors import ConfigError
from worldling.packed import Packing, packed_bits
from worldling.world import World
from worldling.world_files import weights_of

#: Bits of a weight, scales included, that can be asked for.
LEAST_BITS, MOST_BITS = 1.5, 8.5


@dataclass(frozen=True)
class Quantized:
    """A world with weights of few bits.

    world: its weights rounded; packing: how they are saved; mean_bits: of a packed number, scales included.
    """

    world: World
    packing: Packing
    mean_bits: float


@torch.inference_mode()
def quantize_weights(
    world: World,
    bits: float,
    probe: Probe,
    known: Mapping[str, dict[int, float]] | None = None,
    quiet: bool = True,
    keep: Callable[[str, dict[int, float]], None] = lambda *_: None,
) -> Quantized:
    """Return `world` with weights of `bits` on average, the most for those whose rounding changes its roll-outs most.

    probe: of `world`; known: sensitivities found before, by name; keep: is called with each that is found. Raises
    `ConfigError`. Cost: one to some seconds for each weight of a small world, which are measured one by one.
    """
    check_mean_bits(bits)
    refuse_packed(world)
    done = copy.copy(world)
    done.tokenizer, done.dynamics = copy.deepcopy(world.tokenizer), copy.deepcopy(world.dynamics)
    done.outcome, done.card = copy.deepcopy(world.outcome), copy.deepcopy(world.card)
    done.backend = Reference(done)
    found = dict(known or {})
    for name, errors in sensitivities(done, probe, found, quiet):
        found[name] = errors
        keep(name, errors)
    weights = packable(done)
    chosen = allocate({name: weight.shape for name, weight in weights.items()}, found, bits)
    values, used = round_weights(weights, chosen, input_products(done, probe))
    own = weights_of(done)
    for name, value in values.items():
        own[name].copy_(value)
    count = sum(weight.numel() for weight in weights.values())
    taken = sum(packed_bits(weights[name].shape, b) for name, b in chosen.items()) / count
    done.card["compression"] = {"bits": round(taken, 3), "of": world.config.name}
    return Quantized(done, Packing(chosen, used), taken)


def check_mean_bits(bits: float) -> None:
    """Raise `ConfigError` unless weights can have so many bits on average."""
    if not LEAST_BITS <= bits <= MOST_BITS:
        raise ConfigError(f"`bits` must be from {LEAST_BITS} to {MOST_BITS} with the scales, got {bits:g}. Use 4.5.")


def refuse_packed(world: World) -> None:
    """Raise `ConfigError` if a world has been quantized before."""
    before: Any = world.card.get("compression", {})
    if isinstance(before, dict) and "bits" in before:
        raise ConfigError(
            f"`world` must not be quantized yet, got one with {before['bits']} bits a weight. Take the world that it "
            f"was made from, {Path(str(before.get('of', ''))).name or 'its original'}."
        )
