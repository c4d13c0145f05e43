"""Train with weights of few bits: each step sees them rounded, and moves what lies behind them.

The straight-through estimator (Bengio et al., arXiv 1308.3432): rounding counts as the identity in the gradient. A
weight moves by nothing that is seen until it has come half-way to the next level. Scales stay as they were found.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from worldling.dynamics.model import Dynamics
from worldling.packed import Packing, rounded

#: The names of packed weights begin with the network that they are of.
PREFIX = "dynamics."


class Rounded(nn.Module):
    """A weight as it is after packing, with the gradient of the weight itself. scale `[rows, groups]`, fixed."""

    scale: Tensor

    def __init__(self, bits: int, scale: Tensor) -> None:
        super().__init__()
        self.bits = bits
        self.register_buffer("scale", scale, persistent=False)

    def forward(self, weight: Tensor) -> Tensor:
        """Return the rounded weight."""
        return weight + (rounded(weight, self.bits, self.scale) - weight).detach()


def round_in_steps(dynamics: Dynamics, packing: Packing) -> None:
    """Let the weights of `dynamics` that are in `packing` be rounded wherever they are used, in place.

    Not those of the keypoints, which are trained before and stay as they are.
    """
    for name, bits in packing.bits.items():
        if name.startswith(PREFIX) and not name.startswith(f"{PREFIX}keypoints."):
            path, _, own = name.removeprefix(PREFIX).rpartition(".")
            scale = packing.scales[name]
            parametrize.register_parametrization(dynamics.get_submodule(path), own, Rounded(bits, scale), unsafe=True)


@torch.no_grad()
def settled(dynamics: Dynamics) -> Dynamics:
    """Return dynamics of their own whose weights are as those of `round_in_steps` are seen, under their usual names."""
    values = dict(dynamics.state_dict())
    for path, module in dynamics.named_modules():
        if parametrize.is_parametrized(module):
            assert isinstance(module.parametrizations, nn.ModuleDict), "so torch keeps them"
            for own in module.parametrizations:
                del values[f"{path}.parametrizations.{own}.original"]
                values[f"{path}.{own}"] = getattr(module, own)
    found = Dynamics(dynamics.config)
    found.load_state_dict(values)
    return found.to(next(dynamics.parameters()).device).train(dynamics.training)
