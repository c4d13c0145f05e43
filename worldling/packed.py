"""Weights in few bits: each row of a matrix in groups, each group with a scale of its own, bits packed without gaps.

A weight is `(code - (2**bits - 1) / 2) * scale`: levels at even distances around zero, with none at zero, so that one
bit is a sign (binary weights) and eight are as good as float16. Safetensors hold the codes as `NAME#codes`, uint8, and
the scales as `NAME#scales`, float16; how many bits there are is said in the file's metadata (checkpoint.py).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from worldling.errors import ConfigError

#: Bits that a weight may have, and weights of a row that share a scale.
BITS, GROUP = (1, 2, 3, 4, 6, 8), 32
#: Bits of a scale.
SCALE_BITS = 16
#: Shares of a group's largest weight that are tried as its largest level.
_REACH = torch.linspace(0.35, 1.0, 27)


@dataclass(frozen=True)
class Packing:
    """How weights are packed, by their names. bits; scales `[rows, groups]`: of `scales` where a name is not there."""

    bits: dict[str, int] = field(default_factory=dict)
    scales: dict[str, Tensor] = field(default_factory=dict)


def can_pack(shape: Sequence[int]) -> bool:
    """Whether tensors of this shape are packed: matrices and filters with at least a group of inputs."""
    return len(shape) >= 2 and math.prod(shape[1:]) >= GROUP


def num_groups(shape: Sequence[int]) -> int:
    """Return the number of groups in a row of a tensor of `shape`."""
    return -(-math.prod(shape[1:]) // GROUP)


def packed_bits(shape: Sequence[int], bits: int) -> int:
    """Return how many bits a tensor of `shape` takes where its weights have `bits`, scales included."""
    return shape[0] * num_groups(shape) * (GROUP * bits + SCALE_BITS)


def check_bits(bits: float) -> None:
    """Raise `ConfigError` unless a weight may have so many bits."""
    if bits not in BITS:
        raise ConfigError(f"`bits` must be one of {', '.join(map(str, BITS))}, got {bits}. Use 4.")


def scales(weight: Tensor, bits: int) -> Tensor:
    """Return the scale of each group `[rows, groups]` that leaves the least squared error, as float16 holds it."""
    check_bits(bits)
    grouped = _grouped(weight)
    if bits == 1:
        return (2 * grouped.abs().sum(-1) / _grouped(torch.ones_like(weight)).sum(-1)).half().float()
    whole = grouped.abs().amax(-1) / ((2**bits - 1) / 2)
    best, least = whole, torch.full_like(whole, math.inf)
    for share in _REACH.tolist():
        tried = (whole * share).half().float()
        error = (_levels(_codes(grouped, tried, bits), tried, bits) - grouped).square().sum(-1)
        best, least = torch.where(error < least, tried, best), torch.minimum(error, least)
    return best


def rounded(weight: Tensor, bits: int, scale: Tensor | None = None) -> Tensor:
    """Return `weight` as it is after packing: float32 of the same shape; scale: of `scales`, which is the default."""
    scale = scales(weight, bits) if scale is None else scale
    levels = _levels(_codes(_grouped(weight), scale, bits), scale, bits)
    return levels.flatten(1)[:, : math.prod(weight.shape[1:])].reshape(weight.shape)


def nearest_level(values: Tensor, scale: Tensor, bits: int) -> Tensor:
    """Return the nearest level of each of `values` `[rows, n]`, all of groups with the scales `[rows]`."""
    return _levels(_codes(values[:, None], scale[:, None], bits), scale[:, None], bits)[:, 0]


def codes(weight: Tensor, bits: int, scale: Tensor) -> Tensor:
    """Return the code of each weight `[rows, groups, GROUP]`, float32 from 0 to 2**bits - 1; scale: of `scales`."""
    return _codes(_grouped(weight), scale, bits)


def pack(name: str, weight: Tensor, bits: int, scale: Tensor | None = None) -> dict[str, Tensor]:
    """Return the tensors that hold `weight` in a file: its codes and its scales."""
    scale = scales(weight, bits) if scale is None else scale
    digits = (codes(weight, bits, scale).to(torch.uint8)[..., None] >> torch.arange(bits, dtype=torch.uint8)) & 1
    whole = (digits.flatten(1).unflatten(1, (-1, 8)) << torch.arange(8, dtype=torch.uint8)).sum(-1)
    return {f"{name}#codes": whole.to(torch.uint8), f"{name}#scales": scale.half()}


def unpack(tensors: Mapping[str, Tensor], name: str, shape: Sequence[int], bits: int) -> Tensor:
    """Return the weight that `pack` has written, float32 of `shape`."""
    whole, scale = tensors[f"{name}#codes"], tensors[f"{name}#scales"].float()
    digits = ((whole[..., None] >> torch.arange(8, dtype=torch.uint8)) & 1).flatten(1)
    whole = (digits.unflatten(1, (-1, bits)).int() << torch.arange(bits, dtype=torch.int32)).sum(-1)
    levels = _levels(whole.float().unflatten(1, (-1, GROUP)), scale, bits)
    return levels.flatten(1)[:, : math.prod(shape[1:])].reshape(tuple(shape))


def stored(
    shapes: Mapping[str, Sequence[int]], bits: Mapping[str, Any]
) -> dict[str, tuple[list[int], tuple[str, ...]]]:
    """Return the shape and the dtypes that each tensor of a file must have.

    shapes: of the weights; bits: of those that are packed, as a file claims. Raises `ValueError` for what cannot be.
    """
    found: dict[str, tuple[list[int], tuple[str, ...]]] = {}
    for name in bits:
        if name not in shapes or not can_pack(shapes[name]) or bits[name] not in BITS or bits[name] is True:
            raise ValueError(f"packed weights {name!r:.60} of {bits[name]!r:.10} bits")
    for name, shape in shapes.items():
        if name in bits:
            groups = num_groups(shape)
            found[f"{name}#codes"] = ([shape[0], groups * GROUP * bits[name] // 8], ("U8",))
            found[f"{name}#scales"] = ([shape[0], groups], ("F16",))
        else:
            found[name] = (list(shape), ("F16", "BF16", "F32"))
    return found


def _grouped(weight: Tensor) -> Tensor:
    """Return the rows of a weight in groups `[rows, groups, GROUP]`, the last filled with zeros."""
    flat = weight.detach().float().flatten(1)
    filled = torch.nn.functional.pad(flat, (0, num_groups(weight.shape) * GROUP - flat.shape[1]))
    return filled.unflatten(1, (-1, GROUP))


def _codes(grouped: Tensor, scale: Tensor, bits: int) -> Tensor:
    """Return the nearest code of each weight, 0 to 2**bits - 1."""
    middle = (2**bits - 1) / 2
    return (grouped / scale.clamp(min=1e-12)[..., None] + middle).round().clamp(0, 2**bits - 1)


def _levels(codes: Tensor, scale: Tensor, bits: int) -> Tensor:
    return (codes - (2**bits - 1) / 2) * scale[..., None]
