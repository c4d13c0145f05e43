"""Make the moving picture of a bundled world, `preview.webp` in its folder: held-out clips, dreamed.

python -m worldling.recipes.preview pusht data/pusht-test
python -m worldling.recipes.preview physics data/physics-test --episodes 6 --start 4 --frames 24
"""

from __future__ import annotations

import argparse

import numpy as np

from worldling.backends.load import load
from worldling.config import write_atomic
from worldling.data.fit import picture_of
from worldling.data.store import open_dataset
from worldling.recipes.beside_gif import dream
from worldling.report.preview import write_preview
from worldling.world_files import find_world


def preview(name: str, data: str, episodes: int = 1, start: int = 20, frames: int = 60) -> None:
    """Dream `frames` frames from frame `start` of the first episodes that are so long on; not the best of many."""
    world, dataset = load(name), open_dataset(data)
    chosen = [i for i, length in enumerate(dataset.lengths) if length >= start + frames][:episodes]
    films = [dream(world, dataset, episode, start, frames) for episode in chosen]
    cut = picture_of(world.card.get("source", {}), world.size_px).cut
    write_atomic(find_world(name) / "preview.webp", write_preview(cut(np.concatenate(films)), world.config.fps))


if __name__ == "__main__":
    p = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for argument in ("name", "data"):
        p.add_argument(argument)
    for option, default in (("episodes", 1), ("start", 20), ("frames", 60)):
        p.add_argument(f"--{option}", type=int, default=default)
    preview(**vars(p.parse_args()))
