"""Give bits to the weights that need them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from worldling.errors import ConfigError
from worldling.packed import packed_bits


def allocate(
    shapes: Mapping[str, Sequence[int]], errors: Mapping[str, Mapping[int, float]], mean_bits: float
) -> dict[str, int]:
    """Return the bits of each weight, so that all take at most `mean_bits` a number and errors add up to little.

    shapes; errors: by name, those of `sensitivities`. Bits include those of the scales. From the most bits on, the step
    down that costs least error per bit saved is taken until all fit; steps may skip widths. Raises `ConfigError` if
    they never fit.
    """
    numbers = {name: _count(shape) for name, shape in shapes.items()}
    chosen = {name: max(errors[name]) for name in shapes}
    budget = mean_bits * sum(numbers.values())

    def size(name: str, bits: int) -> int:
        return packed_bits(shapes[name], bits)

    while sum(size(name, bits) for name, bits in chosen.items()) > budget:
        steps = [
            ((errors[name][fewer] - errors[name][bits]) / (size(name, bits) - size(name, fewer)), name, fewer)
            for name, bits in chosen.items()
            for fewer in errors[name]
            if fewer < bits
        ]
        if not steps:
            least = sum(size(name, bits) for name, bits in chosen.items()) / sum(numbers.values())
            needed = math.ceil(100 * least) / 100  # weights whose rows are not of whole groups take a little more
            raise ConfigError(f"`bits` must be at least {needed:.2f} for this world, got {mean_bits:g}. Take that.")
        _, name, fewer = min(steps)
        chosen[name] = fewer
    return chosen


def _count(shape: Sequence[int]) -> int:
    count = 1
    for side in shape:
        count *= side
    return count
