"""What the dynamics are trained for: the levels of the next latent, with equal total weight on cells that change.

K = 1 is cross-entropy of one pass from no signal at all. K > 1 is shortcut forcing (Dreamer 4, arXiv
2509.24527) with the x-prediction taken as the expected latent under the scores: on rows at the smallest
step size the loss is cross-entropy at a random signal level, with ramp weight 0.9 tau + 0.1; on bootstrap
rows one large step must land where two half steps would. Ours differs in keeping the history clean: only
the frame being drawn is noisy, because the backbone sees committed frames alone.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from worldling.dynamics.model import Dynamics, Head
from worldling.dynamics.warp import Rendered, TokenizerLike, flow_error

#: By so much, of a range of 2, a channel differs where a cell changes: a level, where there are no more than 16.
CHANGES = 0.13
#: Price in nats of a warped picture being by 1, of a range of 2, away from the picture that comes.
FLOW_PRICE = 50.0


class ClipBatch(NamedTuple):
    """Clips to learn from.

    latent, previous `[B, T, N, C]`, action `[B, T, A]`, age `[B, T, T]`: as in `Backbone.forward`; target int64 `[B, T,
    N, C]`: levels of the next latent; weight `[B, T, N]`.
    """

    latent: Tensor
    previous: Tensor
    action: Tensor
    age: Tensor
    target: Tensor
    weight: Tensor

    def only(self, cells: Tensor) -> ClipBatch:
        """Return the same clips with only `cells` int64 `[B, M]` of each (N = M)."""
        weight, latent, previous, target = only(cells, self.weight, self.latent, self.previous, self.target)
        return ClipBatch(latent, previous, self.action, self.age, target, weight)


class Denoising(NamedTuple):
    """What worlds of several passes learn from too.

    noise `[B, T, N, C]`, standard normal; signal `[B, T]` in [0, 1): chooses the signal level; bootstrap_rows: so many
    frames also learn steps of size 1 / bootstrap_steps.
    """

    noise: Tensor
    signal: Tensor
    bootstrap_rows: int = 0
    bootstrap_steps: int = 1


class DynamicsLoss(NamedTuple):
    """total: a scalar to minimise; nats `[B, T]`: the cross-entropy of each frame, without gradient."""

    total: Tensor
    nats: Tensor


def changing_weight(target: Tensor, latent: Tensor, values: Tensor) -> Tensor:
    """Return weights `[B, T, N]` that give changing cells as much in all as the others.

    1, plus an equal share spread over cells whose target differs from `latent` by `CHANGES`. target `[B, T, N, C]`:
    levels; values `[L]`: of the levels.
    """
    moved = (values[target] - latent).abs().amax(-1).gt(CHANGES).float()
    return 1.0 + moved / moved.mean().clamp(min=0.02)


def dynamics_loss(
    model: Dynamics,
    batch: ClipBatch,
    cells: Tensor | None = None,
    tokenizer: TokenizerLike | None = None,
    denoising: Denoising | None = None,
) -> DynamicsLoss:
    """Return the loss of predicting `batch.target`.

    cells int64 `[B, M]`: the only cells to look at; not with bootstrap rows. tokenizer: frozen, for a head that warps:
    then what it fetches is to be near what comes. denoising: needed by a model of more than one pass, and read by
    no other.
    """
    head, frames = model.head, batch.target.shape[:2]
    shown = head.render(batch.latent.flatten(0, 1), tokenizer)
    seen = batch if cells is None else batch.only(cells)
    h = model.backbone(seen.latent, seen.previous, seen.action, seen.age, cells).flatten(0, 1)
    latent, goal, weight = (t.flatten(0, 1) for t in (seen.latent, seen.target, seen.weight))
    if model.config.passes == 1:
        tau, size = torch.zeros(len(h), device=h.device), 1.0
        noisy = latent.new_zeros(1, 1, latent.shape[-1])
    else:
        assert denoising is not None, "a model of several passes learns from noise"
        size = 1.0 / model.config.passes
        tau = (denoising.signal.flatten() * model.config.passes).floor() * size
        noisy = mix(denoising.noise.flatten(0, 1), head.values[goal], tau)
        weight = weight * (0.9 * tau + 0.1)[:, None]
    scores, fetched = head.scores_and_picture(h, latent, noisy, tau, torch.full_like(tau, size), cells, shown)
    entropy = cross_entropy(scores, goal).sum(-1)
    price = entropy
    if fetched is not None:
        price = entropy + FLOW_PRICE * flow_price(head, fetched, batch.target, tokenizer, cells)
    total = (price * weight).sum() / weight.sum()
    if denoising is not None and denoising.bootstrap_rows:
        some = slice(None, None, len(h) // denoising.bootstrap_rows)
        total = total + bootstrap_loss(
            head,
            h[some],
            latent[some],
            head.values[goal[some]],
            denoising.noise.flatten(0, 1)[some],
            denoising.signal.flatten()[some],
            denoising.bootstrap_steps,
            shown and Rendered(shown.picture[some], shown.tokenizer),
        )
    return DynamicsLoss(total, entropy.detach().sum(-1).unflatten(0, frames))


def flow_price(
    head: Head, fetched: Tensor, target: Tensor, tokenizer: TokenizerLike | None, cells: Tensor | None
) -> Tensor:
    """Return how far fetched pictures `[B * T, 3, H, W]` are from those of `target` levels `[B, T, N, C]`.

    At each cell `[B * T, N]`, or at `cells` `[B, M]` alone `[B * T, M]`.
    """
    comes = head.render(head.values[target].flatten(0, 1), tokenizer)
    assert comes is not None, "only a head that warps fetches a picture"
    apart = flow_error(fetched, comes.picture, head.config.grid)
    return apart if cells is None else only(cells, apart.unflatten(0, target.shape[:2]))[0].flatten(0, 1)


def only(cells: Tensor, *clips: Tensor) -> list[Tensor]:
    """Return clips `[B, T, N, ...]` with only `cells` `[B, M]` of each: `[B, T, M, ...]`."""
    rows = torch.arange(len(cells), device=cells.device)[:, None]
    return [clip.transpose(1, 2)[rows, cells].transpose(1, 2) for clip in clips]


def cross_entropy(scores: Tensor, goal: Tensor) -> Tensor:
    """Return -log softmax of scores `[..., L]` at goal `[...]`.

    Written so that the compiler keeps no array of all log-probabilities.
    """
    chosen = goal[..., None] == torch.arange(scores.shape[-1], device=scores.device)
    return scores.logsumexp(-1) - torch.where(chosen, scores, 0.0).sum(-1)


def mix(noise: Tensor, clean: Tensor, tau: Tensor) -> Tensor:
    """Return (1 - tau) noise + tau clean, with tau `[B]` for `[B, N, C]`."""
    return noise.lerp(clean, tau[:, None, None])


def bootstrap_loss(
    head: Head,
    h: Tensor,
    latent: Tensor,
    clean: Tensor,
    noise: Tensor,
    draw: Tensor,
    steps: int,
    shown: Rendered | None = None,
) -> Tensor:
    """Return the squared error, in x-space, of one step of size 1 / steps against two half steps.

    h `[B, N, D]`; latent, clean, noise `[B, N, C]`: committed, next and pure noise; draw `[B]` in [0, 1)
    chooses the signal level; steps: 1 for the largest step, up to half of the passes; shown: as in `Head.forward`.
    """
    big, half = 1.0 / steps, 0.5 / steps
    one = torch.ones(len(h), device=h.device)
    tau = (draw * steps).floor() * big
    noisy = mix(noise, clean, tau)
    with torch.no_grad():
        left = (1 - tau)[:, None, None]
        velocity = (head.expected(head(h, latent, noisy, tau, half * one, shown=shown)) - noisy) / left
        middle = noisy + velocity * half
        second = head.expected(head(h, latent, middle, tau + half, half * one, shown=shown))
        velocity = (velocity + (second - middle) / (left - half)) / 2
        goal = noisy + velocity * left
    error = (head.expected(head(h, latent, noisy, tau, big * one, shown=shown)) - goal).square().sum(-1).mean(-1)
    return (error * (0.9 * tau + 0.1)).mean()
