"""Draw a GIF of held-out frames (left) beside the dream under the same actions (right).

    python -m worldling.recipes.beside_gif pusht data/pusht-test docs/pusht.gif
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np

from worldling.config import write_atomic
from worldling.data.store import open_dataset
from worldling.engine.library import load


def beside_gif(name: str, data: str, out: str, episode: int = 0, start: int = 20, frames: int = 80, scale: int = 5) -> None:
    """Dream `frames` frames from frame `start` of an episode on; chosen before looking, not the best of many."""
    from PIL import Image

    world, dataset = load(name), open_dataset(data)
    first = start - world.config.context
    true, actions = dataset.frames(episode, first, start + frames), dataset.actions(episode, first, start + frames - 1)
    k = world.config.context
    dream = world.rollout(world.start(true[:k], actions[: k - 1]), actions[k - 1 :])[0]
    pictures = []
    for real, dreamt in zip(true[k:], dream):
        gap = np.full((len(real), 2, 3), 255, np.uint8)
        picture = Image.fromarray(np.concatenate([real, gap, dreamt], 1))
        pictures.append(picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.NEAREST))
    buffer = io.BytesIO()
    pictures[0].save(buffer, "gif", save_all=True, append_images=pictures[1:], duration=1000 / world.config.fps, loop=0)
    write_atomic(Path(out), buffer.getvalue())


if __name__ == "__main__":
    beside_gif(*sys.argv[1:4])
