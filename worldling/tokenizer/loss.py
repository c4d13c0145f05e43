"""What the tokenizer is trained for: pixels, with equal total weight on what moves and what stands still."""

from __future__ import annotations

import torch
from torch import Tensor

from worldling.nn.lattice import jitter, snap
from worldling.tokenizer.model import Tokenizer


def moving_weight(images: Tensor, mean_image: Tensor, threshold: float = 0.08) -> Tensor:
    """Return weights `[B, 1, H, W]`: 1 everywhere, plus an equal share spread over pixels unlike the mean image.

    A squared error forgets a two-pixel ball; this gives everything that moves together the weight of
    everything that does not, however small it is (down to 0.5 % of the picture).
    """
    moving = ((images - mean_image).abs().amax(1, keepdim=True) > threshold).float()
    return 1.0 + moving / moving.mean().clamp(min=0.005)


def tokenizer_loss(
    model: Tokenizer, images: Tensor, mean_image: Tensor, jitter_rate: float,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Return (loss, mean squared error) of reconstructing `images` `[B, 3, H, W]`.

    jitter_rate: share of latent values moved by one level before decoding, so that the decoder
    forgives small mistakes of the dynamics.
    """
    levels = model.config.levels
    latent = jitter(snap(model.bounded(images), levels), levels, jitter_rate, generator)
    error = (model.decode(latent).float() - images).square()
    weight = moving_weight(images, mean_image)
    loss = (error * weight).mean() + 0.1 * (error * weight + 1e-6).sqrt().mean()
    return loss, error.detach().mean()
