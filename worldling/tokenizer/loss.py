"""What the tokenizer is trained for: pixels, and latents that change little from frame to frame.

What moves has, however small it is, the same total weight as what stands still.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from worldling.nn.lattice import jitter, snap
from worldling.tokenizer.model import Tokenizer

#: By so much, of a range of 2, a pixel differs where something moves.
MOVES = 0.08


def moving_weight(images: Tensor, usual: Tensor) -> Tensor:
    """Return weights `[B, 1, H, W]`: 1 everywhere, plus an equal share spread over pixels unlike the `usual` picture.

    A squared error forgets a two-pixel ball; this gives everything that moves together the weight of
    everything that does not, however small it is (down to 0.5 % of the picture).
    """
    moving = ((images - usual).abs().amax(1, keepdim=True) > MOVES).float()
    return 1.0 + moving / moving.mean().clamp(min=0.005)


def smoothness_loss(bounded: Tensor, images: Tensor) -> Tensor:
    """Return how far latents move from a frame to the next: squared, a channel, for each cell whose pixels move.

    bounded `[B, 2, N, C]` before quantization; images `[B, 2, 3, H, W]`. Where a token is of several cells they move
    together. Without this loss the latents of neighbouring frames are far apart: shift a T by half a pixel and every
    third channel has another level, each unpredictable by itself. The squared change lets many channels move a little
    instead of a few a lot.
    """
    change = (bounded[:, 1] - bounded[:, 0]).square().mean(-1)
    side = images.shape[-1] // round(bounded.shape[2] ** 0.5)
    moved = F.max_pool2d((images[:, 1] - images[:, 0]).abs().amax(1, keepdim=True), side) > MOVES
    return change.mean() / moved.float().mean().clamp(min=0.02)


def tokenizer_loss(
    model: Tokenizer,
    images: Tensor,
    usual: Tensor,
    jitter_rate: float,
    smoothness: float,
    max_levels: int,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Return (loss, mean squared error) of reconstructing pairs of consecutive `images` `[B, 2, 3, H, W]`.

    usual `[B, 3, H, W]`: the mean picture of each pair's episode; jitter_rate: share of latent values moved by one
    level before decoding, so that the decoder tolerates small errors of the dynamics; smoothness: weight of
    `smoothness_loss`; max_levels: a lattice of more levels is trained with only so many, so that the decoder tolerates
    errors of less than one of them.
    """
    levels, flat = min(model.config.levels, max_levels), images.flatten(0, 1)
    bounded = model.bounded(flat)
    latent = jitter(snap(bounded, levels), levels, jitter_rate, generator)
    error = (model.decode(latent).float() - flat).square()
    weight = moving_weight(flat, usual.repeat_interleave(2, 0))
    loss = (error * weight).mean() + 0.1 * (error * weight + 1e-6).sqrt().mean()
    return loss + smoothness * smoothness_loss(bounded.unflatten(0, (-1, 2)), images), error.detach().mean()
