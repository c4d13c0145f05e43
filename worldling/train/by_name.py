"""`worldling.train` in Python: the settings by their names, as on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from worldling.world import World


def train_by_name(
    data: str | Path, out: str | Path, device: str = "auto", quiet: bool = False, **settings: Any
) -> World:
    """Train a world on the data set folder `data` and write it to folder `out`; call again to go on.

    settings: fields of `TrainConfig` in train/recipe.py, such as minutes=30, size="s", steps=0, passes=1, mirror="".
    device: "cpu", "cuda" or "auto"; quiet: print no progress. Returns the world, on its reference backend. Raises
    `ConfigError` naming the nearest setting if one is unknown, and what `worldling.train.train.train` does.
    """
    from worldling.config import replace
    from worldling.machine import wait_briefly

    wait_briefly()
    from worldling.train.recipe import TrainConfig
    from worldling.train.train import train

    return train(data, out, replace(TrainConfig(), **settings), device, quiet)
