"""The denoise loop, the only one: from features h to the next latent, in K passes of the light head.

K = 1 takes the most likely level of every channel. K = 2 or 4 starts from noise and follows the expected
latent, as shortcut models do (Frans et al., arXiv 2410.12557; Dreamer 4, arXiv 2509.24527); the last pass
again takes the most likely level, so that what is committed lies on the lattice.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from worldling.dynamics.model import DynamicsConfig, Head
from worldling.dynamics.warp import Rendered
from worldling.nn.lattice import from_levels


def denoise(
    head: Head,
    h: Float[Tensor, "B N D"],
    latent: Float[Tensor, "B N C"],
    noise: Float[Tensor, "B N C"],
    passes: int,
    shown: Rendered | None = None,
    hint: Float[Tensor, "B N E"] | None = None,
    cells: Int[Tensor, "B N"] | None = None,
) -> Float[Tensor, "B N C"]:
    """Return the next latent `[B, N, C]`, on the lattice.

    h `[B, N, D]` and latent `[B, N, C]` of the committed frame; noise `[B, N, C]`, standard normal, read only by
    heads trained for several passes; passes: how many to take, up to `head.config.passes`; shown: the committed
    frame as it is shown, which heads that warp need; hint: of the next frame's keypoints, in worlds with them; cells
    int64 `[B, M]`: the only cells given (N = M).
    """
    scores, noisy, size = first_scores(head, h, latent, noise, passes, shown, hint, cells), noise, 1.0 / passes
    one = torch.ones(1, device=h.device)
    for k in range(1, passes):
        noisy = noisy + (head.expected(scores) - noisy) * (size / (1 - (k - 1) * size))
        scores = head(h, latent, noisy, k * size * one, size * one, cells, shown, hint)
    return from_levels(scores.argmax(-1), head.config.levels)


def first_scores(
    head: Head,
    h: Tensor,
    latent: Tensor,
    noise: Tensor,
    passes: int,
    shown: Rendered | None = None,
    hint: Tensor | None = None,
    cells: Tensor | None = None,
) -> Tensor:
    """Return the scores `[B, N, C, L]` that `denoise` begins with: what the world expects before anything is drawn.

    shown: of `head.render`; hint, cells: as in `denoise`.
    """
    one = torch.ones(1, device=h.device)  # one row for all: engines fold what depends on it into a constant
    noisy = noise if head.config.passes > 1 else latent.new_zeros(1, 1, latent.shape[-1])
    return head(h, latent, noisy, 0 * one, one / passes, cells, shown, hint)


def start_noise(config: DynamicsConfig, seeds: Tensor, index: Tensor) -> Tensor:
    """Draw the noise `[B, N, C]` of one frame from each row's seed and frame number, so that replays are exact.

    seeds, index: int64 `[B]`. Zeros in a world of one pass. On the CPU.
    """
    if config.passes == 1:
        return torch.zeros(len(seeds), config.tokens, config.channels)
    rows = []
    for seed, number in zip(seeds.tolist(), index.tolist(), strict=True):
        generator = torch.Generator().manual_seed((seed * 1_000_003 + number) % 2**63)
        rows.append(torch.randn(config.tokens, config.channels, generator=generator))
    return torch.stack(rows)
