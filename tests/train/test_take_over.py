"""What a training takes over: keypoints of a coarser grid, a tokenizer, or all but the decoder."""

import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from worldling.data.store import DatasetWriter, open_dataset
from worldling.dynamics.keypoints import Keypoints
from worldling.errors import ConfigError
from worldling.tokenizer.model import Tokenizer, TokenizerConfig
from worldling.train.recipe import SIZES, TrainConfig
from worldling.train.take_over import begin_decoder, take_over
from worldling.train.train import train
from worldling.types import Episode
from worldling.world import World
from worldling.world_files import load_world, save_world

QUICK = TrainConfig(
    size="tiny", steps=4, batch_frames=2, batch_clips=2, clip_frames=8, rollout_every=2, compile="off"
)  # fmt: skip


@pytest.fixture(autouse=True)
def tiny_size(monkeypatch):
    """A size of which some steps take a second."""
    monkeypatch.setitem(SIZES, "tiny", (8, 32, 16, "ST", 1))


@pytest.fixture(scope="module")
def larger_data(square_data, tmp_path_factory):
    """The square's data in pictures of 128 px."""
    folder, dataset = tmp_path_factory.mktemp("larger") / "square", open_dataset(square_data)
    with DatasetWriter(folder, dataclasses.replace(dataset.meta, size_px=128)) as writer:
        for i in range(len(dataset.lengths)):
            old = dataset[i]
            frames = old.frames.repeat(2, 1).repeat(2, 2)
            writer.write(Episode(frames, old.actions, old.reward, old.terminated, old.truncated, meta=old.meta))
    return folder


def test_a_finer_grid_is_told_what_the_coarser_one_knew():
    torch.manual_seed(0)
    coarse, fine = Keypoints(3, 4, 2), Keypoints(3, 8, 2)
    take_over(fine, coarse, "w")
    points, action = torch.rand(2, 2, 3, 2) * 2 - 1, torch.rand(2, 2)
    guesses = [keypoints(points, action) for keypoints in (coarse, fine)]
    assert torch.equal(guesses[0].points, guesses[1].points), "neither points nor motion know the grid"
    place = fine.painter.place.unflatten(0, (8, 8))
    assert torch.equal(place[2:4, 4:6].flatten(0, 1), coarse.painter.place[4 * 1 + 2].expand(4, -1))
    features = torch.rand(1, 1, 256)
    whole, middle = coarse.painter.paint(features), fine.painter.paint(features)
    assert torch.equal(middle.view(3, 8, 8), whole.view(3, 16, 16)[:, 4:12, 4:12]), "the middle of a coarser cell"
    for other in (Keypoints(4, 8, 2), Keypoints(3, 8, 1), Keypoints(3, 2, 2)):
        with pytest.raises(ConfigError, match="of the same actions, and of the same grid or"):
            take_over(other, coarse, "w")


@pytest.mark.parametrize("size_px,wanted", [(128, (256, 64)), (256, (256, 64, 32)), (512, (256, 64, 32, 32))])
def test_larger_pictures_have_the_same_latents(size_px, wanted):
    small = Tokenizer(TokenizerConfig(size_px=64, grid=8, channels=8))
    large = Tokenizer(TokenizerConfig(size_px=size_px, grid=8, channels=8, seen_px=64))
    begin_decoder(large, small)
    assert large.config.widths == wanted
    images = torch.rand(2, 3, size_px, size_px) * 2 - 1
    latent = large.encode(images)
    assert torch.equal(latent, small.encode(F.avg_pool2d(images, size_px // 64)))
    assert large.decode(latent).shape == images.shape
    assert torch.equal(large.decoder[0].weight, small.decoder[0].weight), "what is there already is not learnt anew"
    assert not any(p.requires_grad for p in large.encoder.parameters())


@pytest.mark.parametrize("seen_px", [64, 48, 4, -32])
def test_an_encoder_of_pictures_that_cannot_be_is_an_error(seen_px):
    with pytest.raises(ConfigError, match=r"seen_px|size_px"):
        TokenizerConfig(size_px=64, grid=8, channels=8, seen_px=seen_px)


@pytest.mark.slow
def test_a_world_gets_larger_pictures(square_data, larger_data, tmp_path):
    small = train(square_data, tmp_path / "small", dataclasses.replace(QUICK, mirror="x:0=2"), quiet=True)
    asked = dataclasses.replace(QUICK, steps=3, enlarges=str(tmp_path / "small"))
    train(larger_data, tmp_path / "large", asked, quiet=True)
    large = load_world(tmp_path / "large")
    assert large.size_px == 128 and large.config.name == "large" and large.contexts[0].frames.shape[1] == 128
    for name, weight in large.dynamics.state_dict().items():
        assert torch.equal(weight, load_world(tmp_path / "small").dynamics.state_dict()[name]), name
    clip = large.contexts[0]
    state, before = large.start(clip.frames, clip.actions), small.start(clip.frames[:, ::2, ::2], clip.actions)
    assert torch.equal(
        state.latent, load_world(tmp_path / "small").start(clip.frames[:, ::2, ::2], clip.actions).latent
    )
    assert large.step(state, 0).frame.shape == (128, 128, 3) and before.latent.shape == state.latent.shape
    assert large.card["cost"]["steps"] == {"tokenizer": 7, "dynamics": 4}, "those of both trainings"
    assert large.card["training"]["mirror"] == "x:0=2" and large.card["training"]["enlarges"]
    begun = large.tokenizer.decoder[-1].weight.clone()
    train(larger_data, tmp_path / "large", dataclasses.replace(asked, steps=5), quiet=True)
    assert not torch.equal(load_world(tmp_path / "large").tokenizer.decoder[-1].weight, begun), "more steps go on"
    with pytest.raises(ConfigError, match="smaller pictures than those of the data, 64 px"):
        train(square_data, tmp_path / "none", dataclasses.replace(asked, enlarges=str(tmp_path / "large")), quiet=True)


def test_a_world_of_other_actions_or_with_a_warping_head_cannot_be_enlarged(larger_data, tmp_path):
    for name, words in (("pusht", "same environment and actions"), ("physics", "without `warp`")):
        with pytest.raises(ConfigError, match=words):
            train(larger_data, tmp_path / "w", dataclasses.replace(QUICK, enlarges=name), quiet=True)


def test_a_tokenizer_of_another_shape_is_told(larger_data, tmp_path, make_world):
    plain = make_world()
    shape = dataclasses.replace(plain.config.tokenizer, size_px=128, seen_px=64)
    config = dataclasses.replace(plain.config, tokenizer=shape)
    save_world(World(config, Tokenizer(shape), plain.dynamics, plain.card), tmp_path / "w")
    asked = dataclasses.replace(QUICK, tokenizer_from=str(tmp_path / "w"))
    with pytest.raises(ConfigError, match="an encoder that sees 64 px"):
        train(larger_data, tmp_path / "out", asked, quiet=True)


@pytest.mark.slow
def test_a_tokenizer_is_taken_over_for_another_grid(square_data, tmp_path):
    first = train(square_data, tmp_path / "first", dataclasses.replace(QUICK, grid=4, merge=2), quiet=True)
    asked = dataclasses.replace(QUICK, grid=8, tokenizer_from=str(tmp_path / "first"))
    second = train(square_data, tmp_path / "second", asked, quiet=True)
    frames = first.contexts[0].frames
    assert np.array_equal(
        load_world(tmp_path / "second").decode(second.encode(frames)),
        load_world(tmp_path / "first").decode(first.encode(frames)),
    )
    assert second.card["cost"]["steps"] == {"tokenizer": 0, "dynamics": 4}
    with pytest.raises(ConfigError, match=r"4 x 4 cells of 96 codes, 8 levels, got .*first of 64 px in 8 x 8 cells"):
        train(square_data, tmp_path / "third", dataclasses.replace(asked, grid=4), quiet=True)
