"""The loss of the dynamics: cross-entropy of the next latent's levels, with more weight on cells that change.

K = 1 is the cross-entropy of one pass at tau = 0 (no signal). K > 1 is shortcut forcing (Dreamer 4, arXiv
2509.24527) with the x-prediction taken as the expected latent under the scores: on rows at the smallest
step size the loss is cross-entropy at a random signal level, with ramp weight 0.9 tau + 0.1; on bootstrap
rows one large step must land where two half steps would. Ours differs in keeping the history clean: only
the frame being predicted is noisy, because the backbone sees only committed frames.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from worldling.dynamics.model import Dynamics, Head
from worldling.dynamics.warp import Rendered, TokenizerLike, flow_error

#: A cell changes if a channel differs by more than this, of a range of 2: by one level, if there are at most 16.
CHANGES = 0.13
#: Weight of the warp's loss: nats for a mean absolute error of 1, of a range of 2, to the next frame.
FLOW_WEIGHT = 50.0


class ClipBatch(NamedTuple):
    """Clips to learn from.

    latent, previous `[B, T, N, C]`, action `[B, T, A]`, age `[B, T, T]`: as in `Backbone.forward`; target int64 `[B, T,
    N, C]`: levels of the next latent; weight `[B, T, N]`; points `[B, T, K, 2]`: the keypoints of the next frame, in
    worlds that have them, else None.
    """

    latent: Tensor
    previous: Tensor
    action: Tensor
    age: Tensor
    target: Tensor
    weight: Tensor
    points: Tensor | None = None

    def only(self, cells: Tensor) -> ClipBatch:
        """Return the same clips with only `cells` int64 `[B, M]` of each (N = M)."""
        weight, latent, previous, target = only(cells, self.weight, self.latent, self.previous, self.target)
        return ClipBatch(latent, previous, self.action, self.age, target, weight, self.points)


class Denoising(NamedTuple):
    """What a world of several passes is trained on in addition.

    noise `[B, T, N, C]`, standard normal; signal `[B, T]` in [0, 1): chooses the signal level; bootstrap_rows: so many
    frames also learn steps of size 1 / bootstrap_steps.
    """

    noise: Tensor
    signal: Tensor
    bootstrap_rows: int = 0
    bootstrap_steps: int = 1


class Teacher(NamedTuple):
    """Dynamics to learn from (distillation: Hinton et al., arXiv 1503.02531).

    dynamics: frozen, of the same tokenizer and keypoints; share: of the loss that asks for its scores, not for what
    came.
    """

    dynamics: Dynamics
    share: float = 0.5


class DynamicsLoss(NamedTuple):
    """total: a scalar to minimise; nats `[B, T]`: the cross-entropy of each frame, without gradient."""

    total: Tensor
    nats: Tensor


def changing_weight(target: Tensor, latent: Tensor, values: Tensor) -> Tensor:
    """Return weights `[B, T, N]` that emphasise the cells that change.

    1 for each cell, plus the same total again spread over cells whose target differs from `latent` by `CHANGES`.
    target `[B, T, N, C]`: levels; values `[L]`: of the levels.
    """
    moved = (values[target] - latent).abs().amax(-1).gt(CHANGES).float()
    return 1.0 + moved / moved.mean().clamp(min=0.02)


def dynamics_loss(
    model: Dynamics,
    batch: ClipBatch,
    cells: Tensor | None = None,
    tokenizer: TokenizerLike | None = None,
    denoising: Denoising | None = None,
    teacher: Teacher | None = None,
) -> DynamicsLoss:
    """Return the loss of predicting `batch.target`.

    cells int64 `[B, M]`: the only cells to train on; not with bootstrap rows. tokenizer: frozen, for a head that warps:
    its warped picture is trained to be close to the next frame. denoising: needed by a model of more than one pass,
    ignored by others. teacher: whose scores are to be met, too.
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
    hint = hint_of(model, batch.points, cells)
    step = torch.full_like(tau, size)
    scores, fetched = head.scores_and_picture(h, latent, noisy, tau, step, cells, shown, hint)
    entropy = cross_entropy(scores, goal).sum(-1)
    loss = entropy
    if teacher is not None:
        with torch.no_grad():
            features = teacher.dynamics.backbone(seen.latent, seen.previous, seen.action, seen.age, cells).flatten(0, 1)
            wanted = teacher.dynamics.head(features, latent, noisy, tau, step, cells, shown, hint).softmax(-1)
        loss = entropy.lerp(-(wanted * scores.log_softmax(-1)).sum(-1).sum(-1), teacher.share)
    if fetched is not None:
        loss = loss + FLOW_WEIGHT * flow_loss(head, fetched, batch.target, tokenizer, cells)
    total = (loss * weight).sum() / weight.sum()
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
            None if hint is None else hint[some],
        )
    return DynamicsLoss(total, entropy.detach().sum(-1).unflatten(0, frames))


@torch.no_grad()
def hint_of(model: Dynamics, points: Tensor | None, cells: Tensor | None = None) -> Tensor | None:
    """Return the hints `[B * T, N, E]` of keypoints `[B, T, K, 2]`, of `cells` `[B, M]` only; None without keypoints.

    No gradient goes back: the keypoints are trained before.
    """
    if model.keypoints is None or points is None:
        return None
    if cells is not None:
        cells = cells.repeat_interleave(points.shape[1], 0)
    return model.keypoints.painter(points.flatten(0, 1), cells)


def flow_loss(
    head: Head, fetched: Tensor, target: Tensor, tokenizer: TokenizerLike | None, cells: Tensor | None
) -> Tensor:
    """Return the mean absolute error of warped pictures `[B * T, 3, H, W]` to those of `target` levels.

    target `[B, T, N, C]`. One error for each cell `[B * T, N]`, or for each of `cells` `[B, M]` only, `[B * T, M]`.
    """
    following = head.render(head.values[target].flatten(0, 1), tokenizer)
    assert following is not None, "only a head that warps fetches a picture"
    apart = flow_error(fetched, following.picture, head.config.grid)
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
    hint: Tensor | None = None,
) -> Tensor:
    """Return the squared error, in x-space, of one step of size 1 / steps against two half steps.

    h `[B, N, D]`; latent, clean, noise `[B, N, C]`: committed, next and pure noise; draw `[B]` in [0, 1)
    chooses the signal level; steps: 1 for the largest step, up to half of the passes; shown, hint: as in
    `Head.forward`.
    """
    big, half = 1.0 / steps, 0.5 / steps
    one = torch.ones(len(h), device=h.device)
    tau = (draw * steps).floor() * big
    noisy = mix(noise, clean, tau)
    with torch.no_grad():
        left = (1 - tau)[:, None, None]
        velocity = (head.expected(head(h, latent, noisy, tau, half * one, shown=shown, hint=hint)) - noisy) / left
        middle = noisy + velocity * half
        second = head.expected(head(h, latent, middle, tau + half, half * one, shown=shown, hint=hint))
        velocity = (velocity + (second - middle) / (left - half)) / 2
        goal = noisy + velocity * left
    error = (
        (head.expected(head(h, latent, noisy, tau, big * one, shown=shown, hint=hint)) - goal).square().sum(-1).mean(-1)
    )
    return (error * (0.9 * tau + 0.1)).mean()
