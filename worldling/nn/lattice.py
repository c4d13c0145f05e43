"""The latent lattice: every latent channel is bounded by tanh and rests on one of L evenly spaced levels.

A committed latent is always exactly on the lattice. Small prediction errors are therefore rounded away
instead of being fed back, which keeps a roll-out on the data's manifold: what stands still stays
bit-exact for as long as you like. Finite scalar quantization (Mentzer et al., arXiv 2309.15505) with
evenly spaced levels in [-1, 1]; ours differs in using every level count, odd or even, without an offset.
"""

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor


def level_values(levels: int, device: torch.device | None = None) -> Float[Tensor, " L"]:
    """Return the L values a channel can take, from -1 to 1."""
    return torch.linspace(-1.0, 1.0, levels, device=device)


def to_levels(latent: Float[Tensor, "*n"], levels: int) -> Int[Tensor, "*n"]:
    """Return the nearest level's number, int64 in 0..L-1, of each value in [-1, 1]."""
    return latent.float().add(1.0).mul((levels - 1) / 2).round().clamp(0, levels - 1).long()


def from_levels(index: Shaped[Tensor, "*n"], levels: int) -> Float[Tensor, "*n"]:
    """Return the value in [-1, 1] of each level number."""
    return index.float().mul(2.0 / (levels - 1)).sub(1.0)


def snap(latent: Float[Tensor, "*n"], levels: int) -> Float[Tensor, "*n"]:
    """Round values in [-1, 1] to the lattice; gradients pass straight through."""
    half = (levels - 1) / 2
    snapped = latent.float().add(1.0).mul(half).round().clamp(0, levels - 1).div(half).sub(1.0)
    return latent + (snapped - latent).detach() if latent.requires_grad else snapped


def jitter(latent: Tensor, levels: int, rate: Tensor | float, generator: torch.Generator | None = None) -> Tensor:
    """Move a share `rate` (0..1, broadcastable) of lattice values one level up or down; stays on the lattice."""
    where = latent.device if generator is None else generator.device
    draw = torch.rand(latent.shape, generator=generator, device=where).to(latent.device)
    rate = torch.as_tensor(rate, device=latent.device)
    move = (draw < rate / 2).to(latent.dtype) - (draw > 1 - rate / 2).to(latent.dtype)
    return (latent + move * (2.0 / (levels - 1))).clamp(-1, 1)
