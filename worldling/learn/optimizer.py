"""Muon for the matrices inside the networks, AdamW for everything else, as one optimizer.

Muon (Jordan et al., 2024; scaled as in Liu et al., arXiv 2502.16982) replaces the momentum of a matrix by
its nearest semi-orthogonal matrix. torch.optim.Muon takes 2-D weights only; ours also takes
convolutions, as matrices of outputs by inputs, and runs equal shapes as one batch.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import torch
from torch import Tensor, nn

from worldling.learn.precision import autocast_dtype


def orthogonal(batch: Tensor, steps: int = 5) -> Tensor:
    """Return the nearest semi-orthogonal matrices of `[n, rows, columns]` by quintic Newton-Schulz steps.

    In bf16 where the hardware multiplies in it; emulated, it takes 20 times as long as all else in a step.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    tall = batch.shape[1] > batch.shape[2]
    x = (batch.transpose(1, 2) if tall else batch).to(autocast_dtype(batch.device))
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(steps):
        square = x @ x.transpose(1, 2)
        x = a * x + (b * square + c * square @ square) @ x
    return (x.transpose(1, 2) if tall else x).to(batch.dtype)


class Muon(torch.optim.Optimizer):
    """One optimizer with two kinds of groups, made by `optimizer_for`."""

    def __init__(self, groups: list[dict[str, Any]]) -> None:
        super().__init__(groups, {"lr": 1e-3, "momentum": 0.95, "weight_decay": 0.0, "betas": (0.9, 0.95)})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Apply one update from the gradients at hand."""
        for group in self.param_groups:
            with_grad = [p for p in group["params"] if p.grad is not None]
            if group["matrices"]:
                self._muon(group, with_grad)
            else:
                self._adam(group, with_grad)

    def _muon(self, group: dict[str, Any], parameters: list[Tensor]) -> None:
        by_shape: dict[tuple[int, ...], list[tuple[Tensor, Tensor]]] = defaultdict(list)
        for p in parameters:
            state = self.state[p]
            if not state:
                state["momentum"] = torch.zeros_like(p)
            assert p.grad is not None, "only parameters with a gradient are given"
            state["momentum"].lerp_(p.grad, 1 - group["momentum"])
            ahead = p.grad.lerp(state["momentum"], group["momentum"]).flatten(1)
            by_shape[tuple(ahead.shape)].append((p, ahead))
        for (rows, columns), pairs in by_shape.items():
            updates = orthogonal(torch.stack([ahead for _, ahead in pairs]))
            scale = 0.2 * max(rows, columns) ** 0.5
            for (p, _), update in zip(pairs, updates, strict=False):
                p.mul_(1 - group["lr"] * group["weight_decay"]).add_(update.view_as(p), alpha=-group["lr"] * scale)

    def _adam(self, group: dict[str, Any], parameters: list[Tensor]) -> None:
        if not parameters:
            return
        for p in parameters:
            if not self.state[p]:
                self.state[p] = {"step": 0, "mean": torch.zeros_like(p), "square": torch.zeros_like(p)}
            self.state[p]["step"] += 1
        states = [self.state[p] for p in parameters]
        grads = [p.grad for p in parameters if p.grad is not None]
        (first, second), count = group["betas"], states[0]["step"]
        means, squares = [s["mean"] for s in states], [s["square"] for s in states]
        torch._foreach_lerp_(means, grads, 1 - first)
        torch._foreach_mul_(squares, second)
        torch._foreach_addcmul_(squares, grads, grads, 1 - second)
        roots = torch._foreach_sqrt(squares)
        torch._foreach_div_(roots, (1 - second**count) ** 0.5)
        torch._foreach_add_(roots, 1e-8)
        torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
        torch._foreach_addcdiv_(parameters, means, roots, -group["lr"] / (1 - first**count))


def optimizer_for(model: nn.Module, lr: float, weight_decay: float = 0.01) -> Muon:
    """Return a `Muon` for `model`: matrices between hidden features go to Muon, the rest to AdamW.

    The rest: scores, biases, norms, position tables, depthwise filters, and layers with fewer than 32 inputs or
    outputs.
    """
    matrices: list[Tensor] = []
    rest: list[Tensor] = []
    for name, p in model.named_parameters():
        hidden = p.ndim >= 2 and min(p.shape[0], p[0].numel()) >= 32
        tabular = any(word in name for word in ("place", "position", "age_bias", "scores", "stay"))
        (matrices if hidden and not tabular else rest).append(p)
    return Muon(
        [
            {"params": matrices, "matrices": True, "lr": lr, "weight_decay": weight_decay},
            {"params": rest, "matrices": False, "lr": lr, "weight_decay": 0.0},
        ]
    )
