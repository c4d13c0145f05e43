"""Round the weights of a layer so that the errors of the first are made up for by those that come after them.

After GPTQ (Frantar et al., arXiv 2210.17323): what a layer's inputs have in common tells how the weights that are not
rounded yet can take over what rounding changed in the outputs.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from worldling.compress.sensitivity import Probe
from worldling.packed import GROUP, nearest_level, rounded, scales
from worldling.world import World
from worldling.world_files import networks_of

#: Added to the diagonal of a layer's matrix, in shares of its mean: what is known of inputs that are always the same.
DAMPING = 0.01


def input_products(world: World, probe: Probe) -> dict[str, Tensor]:
    """Return the mean product of each two inputs of linear layers and filters, over the probe's roll-outs.

    By the names of their weights, `[n, n]`. Layers that see nothing on the way are left out.
    """
    sums: dict[str, Tensor] = {}
    counts: dict[str, int] = {}

    def look(name: str, layer: nn.Module, inputs: Tensor) -> None:
        rows = _rows_of(layer, inputs)
        sums[name] = sums.get(name, 0) + rows.t() @ rows
        counts[name] = counts.get(name, 0) + len(rows)

    hooks = [
        layer.register_forward_pre_hook(lambda layer, given, name=name: look(name, layer, given[0]))
        for name, layer in layers_of(world).items()
    ]
    try:
        probe.error(world)
    finally:
        for hook in hooks:
            hook.remove()
    return {name: total / counts[name] for name, total in sums.items()}


def layers_of(world: World) -> dict[str, nn.Module]:
    """Return the linear layers and ungrouped filters of a world, by the names of their weights in `weights_of`."""
    return {
        f"{prefix}.{name}.weight": layer
        for prefix, network in networks_of(world).items()
        for name, layer in network.named_modules()
        if isinstance(layer, nn.Linear) or (isinstance(layer, nn.Conv2d) and layer.groups == 1)
    }


def _rows_of(layer: nn.Module, inputs: Tensor) -> Tensor:
    """Return what each output of a layer is made from, `[rows, n]`."""
    if isinstance(layer, nn.Conv2d):
        assert not isinstance(layer.padding, str), "ours are numbers"
        seen = F.unfold(inputs.float(), layer.kernel_size, layer.dilation, layer.padding, layer.stride)
        return seen.transpose(1, 2).flatten(0, 1)
    return inputs.float().flatten(0, -2)


def compensated(weight: Tensor, bits: int, products: Tensor) -> tuple[Tensor, Tensor]:
    """Return `weight` rounded to so many bits, and its scales `[rows, groups]`; products `[n, n]`: of its inputs."""
    flat = weight.detach().double().flatten(1).clone()
    n = flat.shape[1]
    matrix = products.double() + DAMPING * products.double().diag().mean().clamp(min=1e-9) * torch.eye(n)
    upper = torch.linalg.cholesky(torch.cholesky_inverse(torch.linalg.cholesky(matrix)), upper=True)
    found, all_scales = torch.zeros_like(flat), []
    for first in range(0, n, GROUP):
        last = min(first + GROUP, n)
        scale = scales(flat[:, first:last].float(), bits)[:, 0]
        all_scales.append(scale)
        for column in range(first, last):
            now = flat[:, column : column + 1]
            level = nearest_level(now.float(), scale, bits).double()
            found[:, column : column + 1] = level
            flat[:, column + 1 :] -= (now - level) / upper[column, column] * upper[column, column + 1 :]
    return found.float().view_as(weight), torch.stack(all_scales, 1)


def round_weights(
    weights: Mapping[str, Tensor], bits: Mapping[str, int], products: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return weights rounded to their bits, and the scales of each; those without products are rounded one by one."""
    values: dict[str, Tensor] = {}
    used: dict[str, Tensor] = {}
    for name, b in bits.items():
        if name in products:
            values[name], used[name] = compensated(weights[name], b, products[name])
        else:
            used[name] = scales(weights[name], b)
            values[name] = rounded(weights[name], b, used[name])
    return values, used
