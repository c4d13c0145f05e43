"""The outcome stage learns what a step gives, rare as it is, and no more often than it occurs."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from worldling.checkpoint import read_tensors
from worldling.data.store import DatasetMeta, DatasetWriter
from worldling.dynamics.outcome import outcome_config
from worldling.learn.clips import Clips
from worldling.nn.lattice import from_levels
from worldling.train.outcome_stage import MOST_SHARE, draw, rare_steps, train_outcome
from worldling.train.recipe import SIZES, TrainConfig
from worldling.train.train import train
from worldling.types import ActionSpace, Episode
from worldling.world_files import load_world

LEVELS, LENGTH = 4, 3000


@pytest.fixture
def clips():
    """A point crosses 8 cells; entering cell 5 gives 1 point, and cell 7 ends the episode, one step of 40 each."""
    place = (torch.arange(LENGTH) // 5) % 8
    levels = torch.zeros(LENGTH, 8, 2, dtype=torch.uint8)
    levels[torch.arange(LENGTH), place, 0] = 3
    enters = torch.cat([(place[1:] != place[:-1]), torch.zeros(1, dtype=torch.bool)])
    following = torch.cat([place[1:], place[:1]])
    reward, ends = (enters & (following == 5)).float(), enters & (following == 7)
    return Clips(levels, torch.zeros(LENGTH, 1), [0, LENGTH // 2, LENGTH], LEVELS, reward, ends)


def test_rare_steps_are_half_of_a_batch_and_weigh_as_much_as_they_occur(clips):
    rows, rare = rare_steps(clips)
    assert len(rows) == LENGTH - 2 and set(rare.tolist()) < set(rows.tolist()), "no step leads out of an episode"
    weights, shares = [], []
    for seed in range(60):
        row, weight = draw(rows, rare, torch.Generator().manual_seed(seed))
        is_rare = torch.isin(row, rare)
        weights.append(weight.mean())
        shares.append((weight * is_rare).sum() / weight.sum())
        assert is_rare.sum() >= len(row) // 2
    assert np.mean(weights) == pytest.approx(1.0, abs=0.02)
    assert np.mean(shares) == pytest.approx(len(rare) / len(rows), rel=0.05)


@pytest.mark.slow
def test_it_learns_points_and_ends(clips, make_world, tmp_path):
    config = outcome_config(clips.reward, clips.ends)
    settings = TrainConfig(steps=400)
    outcome = train_outcome(config, clips, make_world().tokenizer, tmp_path, settings, torch.device("cpu"), quiet=True)
    row = torch.arange(LENGTH // 2 - 1)
    latent, following = (from_levels(clips.levels[row + ahead], LEVELS) for ahead in (0, 1))
    with torch.inference_mode():
        reward, ends = outcome.read(outcome(latent, following, clips.action[row]))
    assert (reward == clips.reward[row]).float().mean() > 0.995 and (ends == clips.ends[row]).float().mean() > 0.995
    assert reward.sum() == pytest.approx(clips.reward[row].sum(), abs=2)


def test_it_takes_a_share_of_the_minutes_at_most_and_goes_on_in_a_longer_run(clips, make_world, tmp_path, monkeypatch):
    ticks = itertools.count(0.0, 0.5)
    monkeypatch.setattr("worldling.learn.stage.time", SimpleNamespace(monotonic=lambda: next(ticks)))
    tokenizer, config = make_world().tokenizer, outcome_config(clips.reward, clips.ends)
    steps = []
    for minutes in (1.0, 1.0, 4.0):
        train_outcome(config, clips, tokenizer, tmp_path, TrainConfig(minutes=minutes), torch.device("cpu"), True)
        meta = read_tensors(tmp_path / "outcome.safetensors")[1]
        assert meta["seconds"] == pytest.approx(60 * MOST_SHARE * minutes, abs=1.5)
        steps.append(meta["step"])
    assert 0 < steps[0] == steps[1] < steps[2]


def test_a_trained_world_tells_reward_and_end_after_a_reload(tmp_path, monkeypatch):
    monkeypatch.setitem(SIZES, "tiny", (8, 32, 16, "ST", 1))
    rng = np.random.default_rng(0)
    with DatasetWriter(tmp_path / "data", DatasetMeta("test/Points-v0", 64, ActionSpace("discrete", (3,)))) as writer:
        for number in range(3):
            frames, ends = rng.integers(0, 255, (20, 64, 64, 3), dtype=np.uint8), np.arange(19) == 18
            writer.write(Episode(frames, rng.integers(0, 3, 19), ends * 2.0, ends, 0 * ends > 0, meta={"seed": number}))
    config = TrainConfig(size="tiny", steps=2, batch_frames=2, batch_clips=2, clip_frames=8, compile="off")
    trained = train(tmp_path / "data", tmp_path / "world", config, quiet=True)
    loaded = load_world(tmp_path / "world")
    assert loaded.config.outcome == trained.config.outcome and trained.config.outcome.rewards == (0.0, 2.0)
    clip = trained.contexts[0]
    both = []
    for world in (trained, loaded):
        state = world.start(clip.frames[None], clip.actions[None])
        step = world.step(state, np.array([1]))
        assert step.reward.shape == step.terminated.shape == (1,)
        assert step.reward[0] in (0.0, 2.0) and step.terminated.dtype == bool
        both.append(float(step.reward[0]))
    assert both[0] == both[1]
