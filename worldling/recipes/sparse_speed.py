"""What sparse attention saves of a frame's operations and time, by the number of tokens a frame.

    python -m worldling.recipes.sparse_speed        # three minutes on 2 cores

Networks of size s for pictures of 256 px with random weights: what a frame costs does not depend on them. What sparse
attention costs in truth takes trained worlds: `worldling compress WORLD --sparse PATTERN`, then `worldling ladder WORLD
--with` what that wrote.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch

from worldling.backends.bench import machine, measure_speed, versions
from worldling.backends.choose import choose, use_backend
from worldling.dynamics.model import Dynamics
from worldling.nn.attention import SpaceAttention
from worldling.tokenizer.model import Tokenizer
from worldling.train.recipe import TrainConfig, world_config
from worldling.types import ActionSpace, Episode
from worldling.world import World

#: Tokens a side, and cells of a token a side: 256 px in 16 x 16 or 32 x 32 cells.
GRIDS = {8: 2, 16: 1, 32: 1}
PATTERNS = ("", "window:4", "window:4+global:8", "window:8+global:8", "window:4+global:8+full:2", "linear")
SIZE_PX = 256


@dataclass(frozen=True)
class SparseRow:
    """One row: operations of the attention over space and of the whole frame, in 10**9; the median step in ms."""

    tokens: int
    pattern: str
    attention_gflop: float
    p50_ms: float
    p99_ms: float


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=4.0, help="of timing for each row")
    parser.add_argument("--backend", default="auto", help="auto, openvino-f32, openvino-bf16, torch or reference")
    asked = parser.parse_args(argv)
    rows = measure(GRIDS, PATTERNS, asked.seconds, asked.backend, quiet=False)
    print(table(rows))
    about = {**machine(untrained(8, 2, "")), **versions()}
    print(", ".join(f"{key} {value}" for key, value in about.items() if value is not None), file=sys.stderr)
    return 0


def measure(
    grids: dict[int, int], patterns: Sequence[str], seconds: float, backend: str = "auto", quiet: bool = True
) -> list[SparseRow]:
    """Return a row for each grid and each pattern; the patterns of a grid are timed in turns."""
    rows = []
    for grid, merge in grids.items():
        worlds = {pattern: untrained(grid, merge, pattern) for pattern in patterns}
        name = choose(worlds[patterns[0]])[0] if backend == "auto" else backend
        makers = {pattern: partial(use_backend, world, name, quiet=True) for pattern, world in worlds.items()}
        speeds = measure_speed(makers, (1,), seconds, quiet)
        rows += [
            SparseRow(grid**2, pattern, attention_gflop(world), speeds[pattern][1].p50_ms, speeds[pattern][1].p99_ms)
            for pattern, world in worlds.items()
        ]
    return rows


def table(rows: Sequence[SparseRow]) -> str:
    """Return the rows as text, each beside the dense one of as many tokens."""
    lines = [
        f"{'tokens':>6}  {'attention':26} {'GFLOP':>8} {'of dense':>9} {'p50 ms':>8} {'p99 ms':>8} {'of dense':>9}"
    ]
    for row in rows:
        dense = next(other for other in rows if other.tokens == row.tokens and not other.pattern)
        lines.append(
            f"{row.tokens:6,}  {row.pattern or 'dense':26} {row.attention_gflop:9.3f} "
            f"{row.attention_gflop / dense.attention_gflop:9.0%} {row.p50_ms:9.2f} {row.p99_ms:9.2f} "
            f"{row.p50_ms / dense.p50_ms:9.0%}"
        )
    return "\n".join(lines)


def untrained(grid: int, merge: int, pattern: str) -> World:
    """Return a world of size s with random weights, and a clip of noise to start from."""
    torch.manual_seed(0)
    space = ActionSpace("box", (2,), low=(0.0, 0.0), high=(1.0, 1.0))
    config = TrainConfig(grid=grid, merge=merge, levels=32, centered_scores=True, sparse=pattern)
    networks = world_config(f"untrained-{grid}-{pattern or 'dense'}", config, SIZE_PX, space, 25.0)
    dynamics = Dynamics(networks.dynamics)
    rng, count = np.random.default_rng(0), networks.context
    frames = rng.integers(0, 256, (count, SIZE_PX, SIZE_PX, 3), dtype=np.uint8)
    actions, flags = rng.random((count - 1, 2), dtype=np.float32), np.zeros(count - 1, bool)
    clip = Episode(frames, actions, np.zeros(count - 1, np.float32), flags, flags)
    return World(networks, Tokenizer(networks.tokenizer), dynamics, contexts=[clip])


@torch.no_grad()
def attention_gflop(world: World) -> float:
    """Return the operations of a frame's attention over space, projections included, in 10**9."""
    from torch.utils.flop_counter import FlopCounterMode

    shape, total = world.config.dynamics, 0
    for layer in world.dynamics.modules():
        if isinstance(layer, SpaceAttention):
            counter: Any = FlopCounterMode(display=False)
            with counter:
                layer(torch.zeros(1, shape.tokens, shape.width))
            total += counter.get_total_flops()
    return total / 1e9


if __name__ == "__main__":
    sys.exit(main())
