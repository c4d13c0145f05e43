"""Episodes held out, and frames for the tokenizer."""

import numpy as np
import torch

from worldling.data.store import open_dataset
from worldling.learn.frames import frame_pool, split


def test_validation_episodes_are_not_trained_on(square_data):
    training, held = split(open_dataset(square_data), 8)
    assert training and held and not set(training) & set(held)


def test_a_pool_holds_pairs_of_consecutive_frames_and_the_mean_of_all(square_data):
    dataset = open_dataset(square_data)
    pool = frame_pool(dataset, [0, 2], 10_000, quiet=True)
    frames = torch.from_numpy(dataset.frames(2))
    of_second = pool.pairs[pool.episode == 1]
    assert torch.equal(of_second[:, 0], frames[:-1:2]) and torch.equal(of_second[:, 1], frames[1::2])
    seen = np.concatenate([dataset.frames(0), dataset.frames(2)]).astype(float).mean(0)
    assert np.abs(pool.mean_frame() - seen).max() <= 1.5  # each episode's mean is rounded once


def test_one_episode_is_used_for_both(tmp_path, square_data):
    import dataclasses

    from worldling.data.store import DatasetWriter

    dataset = open_dataset(square_data)
    with DatasetWriter(tmp_path / "one", dataclasses.replace(dataset.meta)) as writer:
        writer.write(dataset[0])
    assert split(open_dataset(tmp_path / "one"), 8) == ([0], [0])
