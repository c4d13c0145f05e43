"""Augmentation of histories: small errors in them teach the model to correct its own.

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


def augment_history(
    batch: dict[str, Tensor],
    levels: int,
    sinks: int,
    jitter_share: float,
    cutmix_share: float,
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """Return clips, as `Clips.at` does, with `latent` and `previous` augmented.

    They also hold `clean`, which is `latent` but for its jitter. `previous` is what the frame before shows, as in a
    roll-out, mistakes included; after the jump from the sinks, where that frame is not in the clip, it has its own
    jitter. jitter_share: largest share of values moved one level, another for each clip; cutmix_share: of the clips.
    """
    clean = cutmix(batch, levels, sinks, cutmix_share, generator)
    rate = jitter_share * torch.rand(len(clean), 1, 1, 1, generator=generator, device=clean.device)
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
    count, length, tokens, _ = given.shape
    grid = math.isqrt(tokens)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator, device=given.device)

    def whole(low: int, high: int | Tensor) -> Tensor:
        """Draw an int64 from `low` to `high`, both included, for each clip."""
        return low + (uniform(count) * (high - low + 1)).floor().long()

    busy = (to_levels(given, levels) != batch["target"]).any(-1).float().mean(1) + 1e-3
    cells = patches(torch.multinomial(busy, 1, generator=generator)[:, 0], grid, whole)
    frame, clip = torch.arange(length, device=given.device)[None], torch.arange(count, device=given.device)
    chosen = uniform(count) < share
    first = torch.where(uniform(count) < 0.5, sinks, whole(sinks, length - 1))[:, None]
    kind = whole(0 if count > 1 else 2, 3)[:, None]
    late = whole(1, LATE)[:, None]
    other = (clip + whole(1, max(1, count - 1)))[:, None] % count
    shown = given[
        torch.where(kind < 2, other, clip[:, None]),
        torch.where(kind == 2, frame - late, torch.where(kind == 3, first - late, frame)).clamp(min=0),
    ]
    wrong = (chosen[:, None] & (frame >= first))[..., None] & cells[:, None]
    return torch.where(wrong[..., None], shown, given)


def patches(cell: Tensor, grid: int, whole: Callable[[int, int | Tensor], Tensor]) -> Tensor:
    """Return which cells lie in a rectangle that holds `cell` `[B]`, each side 1 to `PATCH` cells: bool `[B, N]`."""
    side = torch.arange(grid, device=cell.device)
    spans = []
    for place in (cell // grid, cell % grid):
        size = whole(1, PATCH).clamp(max=grid)
        start = (place - whole(0, size - 1)).clamp(min=0).minimum(grid - size)
        spans.append((side >= start[:, None]) & (side < (start + size)[:, None]))
    return (spans[0][:, :, None] & spans[1][:, None]).flatten(1)
