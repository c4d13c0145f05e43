"""A mirrored episode is one that the same world could have lived through."""

import numpy as np
import pytest
import torch

from worldling.data.store import open_dataset
from worldling.errors import ConfigError
from worldling.learn.latents import encode_episodes
from worldling.learn.reflection import reflections
from worldling.nn.lattice import to_levels
from worldling.types import frames_to_float


def square(x, y):
    """A white square on black whose middle is (x, y) in [-1, 1], uint8 [64, 64, 3]."""
    frame = np.zeros((64, 64, 3), np.uint8)
    column, row = round(31.5 + 28 * x - 3.5), round(31.5 + 28 * y - 3.5)
    frame[row : row + 8, column : column + 8] = 255
    return frame


def test_where_the_action_says_is_where_the_square_goes_in_every_mirror():
    every = reflections("x:0,y:1,d:0=1", 2)
    assert len({reflection.actions(np.array([0.25, 0.5])).tobytes() for reflection in every}) == 8
    for reflection in every:
        for x, y in [(-1, 0.5), (0.25, -0.75)]:
            frame = reflection.frames(torch.from_numpy(square(x, y)))
            assert (frame.numpy() == square(*reflection.actions(np.array([x, y])))).all()


def test_choices_trade_places():
    one_hot = np.eye(4, dtype=np.float32)
    same, mirrored = reflections("y:2=3", 4)
    assert (same.actions(one_hot) == one_hot).all()
    assert mirrored.actions(one_hot).argmax(-1).tolist() == [0, 1, 3, 2]
    assert mirrored.actions(one_hot).dtype == np.float32


@pytest.mark.parametrize("text, size", [("x:0=1,y:1=2", 3), ("y:0+1=2,x:3", 4), ("x,d:0=1", 2)])
def test_two_reflections_in_turn_are_in_the_list(text, size):
    frames, vectors = torch.arange(3 * 3 * 3).reshape(1, 3, 3, 3), np.arange(size, dtype=np.float32)
    _, first, second, both = reflections(text, size)
    assert torch.equal(both.frames(frames), second.frames(first.frames(frames)))
    assert (both.actions(vectors) == second.actions(first.actions(vectors))).all()


@pytest.mark.parametrize("text", ["z:0", "x:2", "x:0=2", "x:a", "x:0,x:1", "x:0=1=0", "x:-1"])
def test_a_mirror_that_cannot_be_is_told(text):
    with pytest.raises(ConfigError, match="`mirror` must"):
        reflections(text, 2)


def test_latents_of_a_mirrored_episode_are_those_of_its_mirrored_frames(make_world, square_data, tmp_path):
    tokenizer, dataset, exact = make_world().tokenizer, open_dataset(square_data), torch.autocast("cpu", enabled=False)
    once, twice = (
        encode_episodes(tokenizer, dataset, [1], reflections(text, 3), torch.device("cpu"), exact, tmp_path, quiet=True)
        for text in ("", "x:0=2")
    )
    length = dataset.lengths[1]
    assert twice.offsets == [0, length, 2 * length]
    assert torch.equal(twice.levels[:length], once.levels)
    assert torch.equal(twice.action[length:], once.action[:, [2, 1, 0]])
    with torch.inference_mode():
        mirrored = tokenizer.encode(frames_to_float(torch.from_numpy(dataset.frames(1)).flip(2)))
    assert torch.equal(twice.levels[length:], to_levels(mirrored, tokenizer.config.levels).to(torch.uint8))
