"""Histories spoilt a little, so that the model learns to put right what goes wrong in a long dream.

Jitter moves single values by one level. CutMix (Yun et al., arXiv 1905.04899), here in latents and for the
rest of a clip, makes a few neighbouring cells show something else: an object that lost a part, or was bent.
The target stays the true next frame, and the rest of the history still tells where everything is; without
it a model keeps alive whatever shape its mistakes have made.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from worldling.nn.lattice import jitter, to_levels

#: Cells may show what was there up to so many frames before.
LATE = 8
#: At most so many cells high and wide.
PATCH = 3


def spoil(
    batch: dict[str, Tensor],
    levels: int,
    sinks: int,
    jitter_share: float,
    cutmix_share: float,
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """Return clips (as `Clips.at` does) with `latent` and `previous` spoilt, and `clean`: `latent` but for its jitter.

    `previous` is what the frame before shows, as in a dream, mistakes included; after the jump from the sinks, where
    that frame is not in the clip, it has its own jitter. jitter_share: largest share of values moved one level,
    another for each clip; cutmix_share: of the clips.
    """
    clean = cutmix(batch, levels, sinks, cutmix_share, generator)
    rate = jitter_share * torch.rand(len(clean), 1, 1, 1, generator=generator)
    latent, elsewhere = (jitter(shown, levels, rate, generator) for shown in (clean, batch["previous"]))
    follows = (batch["position"].diff(dim=1) == 1)[..., None, None]
    previous = torch.cat([latent[:, :1], torch.where(follows, latent[:, :-1], elsewhere[:, 1:])], 1)
    return {**batch, "clean": clean, "latent": latent, "previous": previous}


def cutmix(batch: dict[str, Tensor], levels: int, sinks: int, share: float, generator: torch.Generator) -> Tensor:
    """Return `latent` `[B, T, N, C]` in which, in a `share` of the clips, a patch of cells is wrong from some frame on.

    The patch lies where something changes. It shows what it does in another clip, or what it did up to `LATE`
    frames before, moving late or standing still. The first `sinks` frames stay true, as they are in a dream.
    """
    given = batch["latent"]
    if not share:
        return given
    latent = given.clone()
    count, length, tokens, _ = given.shape
    grid = math.isqrt(tokens)
    busy = (to_levels(given, levels) != batch["target"]).any(-1).float().mean(1) + 1e-3

    def draw(low: int, high: int) -> int:
        return int(torch.randint(low, high + 1, (), generator=generator))

    for clip in range(count):
        if torch.rand((), generator=generator) >= share:
            continue
        first = sinks if draw(0, 1) else draw(sinks, length - 1)
        frames = torch.arange(first, length)
        kind = draw(0, 3) if count > 1 else draw(2, 3)
        if kind < 2:
            shown = given[(clip + draw(1, count - 1)) % count, frames]
        elif kind == 2:
            shown = given[clip, (frames - draw(1, LATE)).clamp(min=0)]
        else:
            shown = given[clip, max(0, first - draw(1, LATE))].expand(len(frames), -1, -1)
        cells = patch(int(torch.multinomial(busy[clip], 1, generator=generator)), grid, draw)
        latent[clip, first:, cells] = shown[:, cells]
    return latent


def patch(cell: int, grid: int, draw: Callable[[int, int], int]) -> Tensor:
    """Return the numbers of the cells of a rectangle that holds `cell`, each side 1 to `PATCH` cells."""
    sides = []
    for place in divmod(cell, grid):
        size = min(draw(1, PATCH), grid)
        start = min(max(place - draw(0, size - 1), 0), grid - size)
        sides.append(torch.arange(start, start + size))
    return (sides[0][:, None] * grid + sides[1]).flatten()
