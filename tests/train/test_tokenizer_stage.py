"""The first stage ends when its tokenizer is good and flat, and goes on later if it was not good."""

import dataclasses

import numpy as np
import pytest
import torch

from worldling.data.store import open_dataset
from worldling.learn.frames import frame_pool
from worldling.learn.reflection import reflections
from worldling.tokenizer.model import Tokenizer, TokenizerConfig
from worldling.train import tokenizer_stage
from worldling.train.quality import TokenizerQuality
from worldling.train.recipe import TrainConfig
from worldling.train.tokenizer_stage import is_flat, tokenizer_budget, train_tokenizer

CONFIG = TrainConfig(minutes=1.0, tokenizer_share=0.5, batch_frames=2)


class Check:
    """Says a tokenizer is as good as the test wants."""

    def __init__(self, good, db=30.0):
        self.good, self.db, self.asked = good, db, 0

    def measure(self, tokenizer):
        self.asked += 1
        return TokenizerQuality(self.db, 0.0 if self.good else 29.0, 0.0)


@pytest.fixture
def run(square_data, tmp_path, monkeypatch):
    """Train a tiny tokenizer under a check; a step takes a fifth of a second by its own clock."""
    monkeypatch.setattr(tokenizer_stage, "CHECK_EVERY", 10)
    monkeypatch.setattr(tokenizer_stage, "LEAST_STEPS", 40)
    dataset = open_dataset(square_data)
    pool = frame_pool(dataset, [0, 1], 100, quiet=True)
    update = tokenizer_stage.Stage.update

    def counted(stage, *given, **named):
        update(stage, *given, **named)
        stage.seconds = stage.step / 5

    monkeypatch.setattr(tokenizer_stage.Stage, "update", counted)

    def train(check, config=CONFIG):
        torch.manual_seed(0)
        tokenizer = Tokenizer(TokenizerConfig(64, 8, 4))
        return train_tokenizer(tokenizer, pool, check, reflections("", 3), tmp_path, config, quiet=True)

    return train


def test_a_good_and_flat_tokenizer_ends_the_stage_early(run):
    stage, quality = run(Check(True))
    assert quality.is_good and stage.cooling_from == 40 and stage.step == 90


@pytest.mark.slow
def test_one_that_is_not_good_takes_the_longest_time(run):
    stage, quality = run(Check(False))
    assert not quality.is_good and stage.step == 5 * 60 * tokenizer_budget(CONFIG).minutes == 150


@pytest.mark.slow
def test_it_goes_on_with_more_minutes_only_if_it_was_not_good(run):
    before, _ = run(Check(False))
    longer = dataclasses.replace(CONFIG, minutes=2.0)
    after, _ = run(Check(False), longer)
    assert (before.step, after.step) == (150, 300)
    assert run(Check(True), dataclasses.replace(CONFIG, minutes=4.0))[0].step == 300


@pytest.mark.parametrize(
    "history, flat", [([(200, 20.0)], False), ([(200, 20.0), (400, 20.5)], True), ([(200, 20.0), (400, 21.0)], False)]
)
def test_flat_is_little_gain_over_the_second_half(history, flat):
    assert is_flat(history) == flat


def test_an_exact_number_of_steps_is_kept(run):
    stage, _ = run(Check(True), dataclasses.replace(CONFIG, steps=60))
    assert stage.step == 60 and np.isfinite(stage.seconds)
