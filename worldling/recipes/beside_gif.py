"""Draw a GIF of held-out frames (left) beside the dream under the same actions (right).

python -m worldling.recipes.beside_gif pusht data/pusht-test docs/pusht.gif python -m worldling.recipes.beside_gif
physics data/physics-test docs/physics.gif --episodes 8 --start 4 --frames 34 --scale 2
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import numpy as np

from worldling.backends.load import load
from worldling.config import write_atomic
from worldling.data.dataset import Dataset
from worldling.data.store import open_dataset
from worldling.errors import DatasetError
from worldling.world import World

#: Pairs in a row of the picture, and the white between them, in pixels of a frame.
COLUMNS, GAP = 4, 6


def beside_gif(
    name: str, data: str, out: str, episodes: int = 1, start: int = 20, frames: int = 80, scale: int = 5
) -> None:
    """Dream `frames` frames from frame `start` of the first episodes that are so long on; not the best of many."""
    from PIL import Image

    world, dataset = load(name), open_dataset(data)
    if start < world.config.context:
        raise DatasetError(
            f"`start` must be at least {world.config.context}, the frames this world is shown, got {start}. Take more."
        )
    long_enough = [i for i, length in enumerate(dataset.lengths) if length >= start + frames][:episodes]
    if not long_enough:
        raise DatasetError(
            f"`frames` must fit an episode, got {start} + {frames} of at most {max(dataset.lengths)}. Take fewer."
        )
    films = [beside(world, dataset, episode, start, frames) for episode in long_enough]
    pictures = []
    for pairs in zip(*films, strict=False):
        picture = Image.fromarray(tile(list(pairs)))
        pictures.append(picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.NEAREST))
    buffer = io.BytesIO()
    pictures[0].save(buffer, "gif", save_all=True, append_images=pictures[1:], duration=1000 / world.config.fps, loop=0)
    write_atomic(Path(out), buffer.getvalue())


def beside(world: World, dataset: Dataset, episode: int, start: int, frames: int) -> np.ndarray:
    """Return truth and dream side by side, uint8 `[frames, H, 2 W + 2, 3]`, from frame `start` of an episode on."""
    dreamed = dream(world, dataset, episode, start, frames)
    gap = np.full((frames, dreamed.shape[1], 2, 3), 255, np.uint8)
    return np.concatenate([dataset.frames(episode, start, start + frames), gap, dreamed], 2)


def dream(world: World, dataset: Dataset, episode: int, start: int, frames: int) -> np.ndarray:
    """Roll the world out from the frames before `start` of an episode under its actions: uint8 `[frames, H, W, 3]`."""
    k = world.config.context
    given = dataset.frames(episode, start - k, start)
    actions = dataset.actions(episode, start - k, start + frames - 1)
    return world.rollout(world.start(given, actions[: k - 1]), actions[k - 1 :])[0]


def tile(pairs: list[np.ndarray]) -> np.ndarray:
    """Lay pictures of one size out in rows of `COLUMNS` on white."""
    columns = min(len(pairs), COLUMNS)
    blank = np.full_like(pairs[0], 255)
    pairs = pairs + [blank] * (-len(pairs) % columns)
    spaced = [np.pad(p, ((0, GAP), (0, GAP), (0, 0)), constant_values=255) for p in pairs]
    rows = [np.concatenate(spaced[i : i + columns], 1) for i in range(0, len(spaced), columns)]
    return np.concatenate(rows)[:-GAP, :-GAP]


if __name__ == "__main__":
    p = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for argument in ("name", "data", "out"):
        p.add_argument(argument)
    for option, default in (("episodes", 1), ("start", 20), ("frames", 80), ("scale", 5)):
        p.add_argument(f"--{option}", type=int, default=default)
    beside_gif(**vars(p.parse_args()))
