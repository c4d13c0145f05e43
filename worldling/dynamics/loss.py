"""What the dynamics are trained for: the levels of the next latent, with equal total weight on cells that change.

K = 1 is cross-entropy of one pass from no signal at all. K > 1 is shortcut forcing (Dreamer 4, arXiv
2509.24527) with the x-prediction taken as the expected latent under the scores: on rows at the smallest
step size the loss is cross-entropy at a random signal level, with ramp weight 0.9 tau + 0.1; on bootstrap
rows one large step must land where two half steps would. Ours differs in keeping the history clean: only
the frame being drawn is noisy, because the backbone sees committed frames alone.
"""

from __future__ import annotations

import torch
from torch import Tensor

from worldling.dynamics.model import Dynamics, Head
from worldling.dynamics.warp import Eye, View, flow_error


#: By so much, of a range of 2, a channel differs where a cell changes: a level, where there are no more than 16.
CHANGES = 0.13
#: Price in nats of what is fetched being by 1, of a range of 2, away from the picture that comes.
FLOW = 50.0


def changing_weight(target: Tensor, latent: Tensor, values: Tensor) -> Tensor:
    """Return weights `[B, T, N]`: 1, plus an equal share spread over cells whose target differs from `latent` by `CHANGES`."""
    moved = (values[target] - latent).abs().amax(-1).gt(CHANGES).float()
    return 1.0 + moved / moved.mean().clamp(min=0.02)


def dynamics_loss(
    model: Dynamics,
    latent: Tensor,
    previous: Tensor,
    action: Tensor,
    age: Tensor,
    target: Tensor,
    weight: Tensor,
    noise: Tensor,
    signal: Tensor,
    bootstrap_rows: int = 0,
    bootstrap_steps: int = 1,
    cells: Tensor | None = None,
    eye: Eye | None = None,
) -> tuple[Tensor, Tensor]:
    """Return (loss, cross-entropy in nats of each frame `[B, T]`) of predicting `target` levels `[B, T, N, C]`.

    latent, previous, action, age: as in `Backbone.forward`; weight `[B, T, N]`; noise `[B, T, N, C]` and
    signal `[B, T]` in [0, 1) are read only if the model takes more than one pass; then the first
    `bootstrap_rows` frames also learn steps of size 1 / bootstrap_steps. cells `[B, M]`: the only cells to
    look at; not with bootstrap rows. eye: the tokenizer, frozen, for a head that warps: then what it fetches is to be near what comes.
    """
    head, flat = model.head, lambda t: t.flatten(0, 1)
    seen, comes = head.look(flat(latent), eye), flat(target)
    if cells is not None:
        weight, latent, previous, target = only(cells, weight, latent, previous, target)
    h = flat(model.backbone(latent, previous, action, age, cells))
    now, goal = flat(latent), flat(target)
    one = torch.ones(len(h), device=h.device)
    if model.config.passes == 1:
        scores, fetched = head.scores_and_picture(h, now, now.new_zeros(1, 1, now.shape[-1]), 0 * one, one, cells, seen)
        ramp = one
    else:
        size, tau = 1.0 / model.config.passes, flat(signal)
        tau = (tau * model.config.passes).floor() * size
        noisy = mix(flat(noise), head.values[goal], tau)
        scores, fetched = head.scores_and_picture(h, now, noisy, tau, size * one, cells, seen)
        ramp = 0.9 * tau + 0.1
    entropy = cross_entropy(scores, goal).sum(-1)
    by_cell = flat(weight) * ramp[:, None]
    price = entropy
    if fetched is not None:
        apart = flow_error(fetched, head.look(head.values[comes], eye).picture, model.config.grid).unflatten(
            0, weight.shape[:2]
        )
        price = entropy + FLOW * flat(apart if cells is None else only(cells, apart)[0])
    loss = (price * by_cell).sum() / by_cell.sum()
    if model.config.passes > 1 and bootstrap_rows:
        some = slice(None, None, len(h) // bootstrap_rows)
        loss = loss + bootstrap_loss(
            head,
            h[some],
            now[some],
            head.values[goal[some]],
            flat(noise)[some],
            flat(signal)[some],
            bootstrap_steps,
            seen and View(seen.picture[some], seen.eye),
        )
    return loss, entropy.detach().sum(-1).unflatten(0, latent.shape[:2])


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
    seen: View | None = None,
) -> Tensor:
    """Return the squared error, in x-space, of one step of size 1 / steps against two half steps.

    h `[B, N, D]`; latent, clean, noise `[B, N, C]`: committed, next and pure noise; draw `[B]` in [0, 1)
    chooses the signal level; steps: 1 for the largest step, up to half of the passes; seen: as in `Head.forward`.
    """
    big, half = 1.0 / steps, 0.5 / steps
    one = torch.ones(len(h), device=h.device)
    tau = (draw * steps).floor() * big
    noisy = mix(noise, clean, tau)
    with torch.no_grad():
        left = (1 - tau)[:, None, None]
        velocity = (head.expected(head(h, latent, noisy, tau, half * one, seen=seen)) - noisy) / left
        middle = noisy + velocity * half
        second = head.expected(head(h, latent, middle, tau + half, half * one, seen=seen))
        velocity = (velocity + (second - middle) / (left - half)) / 2
        goal = noisy + velocity * left
    error = (head.expected(head(h, latent, noisy, tau, big * one, seen=seen)) - goal).square().sum(-1).mean(-1)
    return (error * (0.9 * tau + 0.1)).mean()
