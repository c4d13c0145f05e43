"""A toy data set to train on."""

import numpy as np
import pytest

from worldling.data.store import DatasetMeta, DatasetWriter
from worldling.types import ActionSpace, Episode


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """A square that goes where it is told, in 4 episodes of 20 frames."""
    folder, rng = tmp_path_factory.mktemp("data") / "square", np.random.default_rng(0)
    with DatasetWriter(folder, DatasetMeta("test/Square-v0", 64, ActionSpace("discrete", (3,)), fps=10.0)) as writer:
        for number in range(4):
            actions, x, frames = rng.integers(0, 3, 19), 28, []
            for t in range(20):
                frame = np.zeros((64, 64, 3), np.uint8)
                frame[28:36, x : x + 8] = 255
                frames.append(frame)
                if t < 19:
                    x = int(np.clip(x + 4 * (actions[t] - 1), 0, 56))
            flags = np.zeros(19, bool)
            writer.write(
                Episode(np.stack(frames), actions, np.zeros(19, np.float32), flags, flags, meta={"seed": number})
            )
    return folder
