"""Episodes held out, and frames for the tokenizer."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from worldling.data.store import open_dataset
from worldling.errors import DatasetError
from worldling.learn.frames import frame_pool, short_episodes, split


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


def of_lengths(*lengths):
    return SimpleNamespace(lengths=list(lengths), num_frames=sum(lengths), path="d")


def test_short_episodes_are_trained_on_and_long_ones_held_out():
    training, held = split(of_lengths(*[5, 60, 2, 60] * 10), 19)
    assert all(length == 60 for length in (([5, 60, 2, 60] * 10)[i] for i in held))
    assert {i for i in range(40) if i % 4 == 0} <= set(training) and not {i for i in range(40) if i % 4 == 2} & {
        *training,
        *held,
    }
    assert not set(training) & set(held)


def test_where_all_are_short_the_longest_are_held_out():
    lengths = [3, 9, 4, 10, 3, 3, 5, 8]
    training, held = split(of_lengths(*lengths), 19)
    assert held and set(held) <= {1, 3} and sorted(training + held) == list(range(8))
    assert split(of_lengths(7), 19) == ([0], [0])
    assert split(of_lengths(50, 4), 19) == ([0, 1], [0]), "the only long one is needed for both"
    with pytest.raises(DatasetError, match="3 frames or more, got at most 2"):
        split(of_lengths(2, 2), 19)


def test_short_episodes_are_told():
    assert short_episodes(of_lengths(20, 50), 19) == ""
    assert short_episodes(of_lengths(*[10] * 3, 2, 1000), 19) == (
        "4 of 5 episodes (32 of 1,032 frames) are shorter than a clip of 20 frames: they are trained on with a shorter "
        "history; 1 of them, of fewer than 3 frames, are left out"
    )
