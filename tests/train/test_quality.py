"""What is said of a world in training: figures, baselines and a verdict in words."""

import json

import numpy as np
import pytest
import torch

from worldling.data.store import open_dataset
from worldling.train.quality import (
    BLURS,
    NOT_PLAYABLE,
    PLAYS_WELL,
    Quality,
    TokenizerCheck,
    TokenizerQuality,
    check_world,
    gain,
)

GOOD = TokenizerQuality(30.0, 20.0, 25.0)


def quality(model=30.0, still=22.0, mean=20.0, other=25.0, gained=8.0, tokenizer=GOOD):
    return Quality((1, 10), (35.0, model), (30.0, still), (20.0, mean), (34.0, other), (3.0, gained), tokenizer)


@pytest.mark.parametrize(
    "changes, verdict",
    [
        ({}, PLAYS_WELL),
        ({"gained": 3.0}, BLURS),  # what merely vanishes halves the error
        ({"other": 29.8}, NOT_PLAYABLE),  # whatever one does
        ({"other": float("nan")}, PLAYS_WELL),  # nothing to compare with
        ({"model": 19.0, "other": 10.0}, NOT_PLAYABLE),  # worse than a constant picture
        ({"tokenizer": TokenizerQuality(9.0, 22.0, 20.0)}, NOT_PLAYABLE),
    ],
)
def test_the_verdict_follows_the_figures(changes, verdict):
    assert quality(**changes).verdict == verdict


def test_figures_become_json_and_name_the_horizon():
    card = quality(other=float("nan")).card()
    assert json.loads(json.dumps(card)) == card
    assert card["psnr_h10_db"] == 30.0 and card["figures"]["other_actions"] == [34.0, None]
    assert "10 frames ahead" in card["summary"] and "other actions" not in card["summary"]


@pytest.mark.parametrize("db, good", [(27.9, False), (28.0, True)])
def test_a_tokenizer_must_beat_both_baselines_by_a_margin(db, good):
    assert TokenizerQuality(db, 20.0, 25.0).is_good == good


def test_a_tokenizer_of_a_world_that_hardly_moves_need_not_beat_a_still_frame():
    assert TokenizerQuality(40.0, 50.0, 58.9).is_good


class Codec(torch.nn.Module):
    """A tokenizer that keeps every pixel, or gives grey."""

    def __init__(self, keeps):
        super().__init__()
        self.keeps = keeps

    def encode(self, images):
        return images if self.keeps else 0 * images

    def decode(self, latents):
        return latents


def test_a_perfect_tokenizer_is_good_and_a_grey_one_is_not(square_data):
    dataset = open_dataset(square_data)
    check = TokenizerCheck(dataset, [0, 1], np.zeros((64, 64, 3), np.uint8), torch.device("cpu"))
    perfect, grey = check.measure(Codec(True)), check.measure(Codec(False))
    assert perfect.is_good and perfect.reconstructed > 55
    assert not grey.is_good and grey.reconstructed < grey.mean_frame == perfect.mean_frame


def test_the_gain_is_over_a_still_frame():
    truth = np.zeros((2, 1, 4, 4, 3), np.uint8)
    still, half = truth + 100, truth + 50
    assert gain(half, still, truth) == pytest.approx(20 * np.log10(2))
    assert gain(still, still, truth) == 0


def test_a_world_is_compared_with_what_needs_no_world(make_world, square_data, tmp_path):
    world = make_world()
    world.mean_frame = np.zeros((64, 64, 3), np.uint8)
    dataset = open_dataset(square_data)
    (tmp_path / "train").mkdir()
    found = check_world(world, dataset, [0, 2], GOOD, tmp_path)
    truth = np.stack([dataset.frames(i)[8 + offset] for i, offset in ((0, 0), (2, 0))])
    mean = -10 * np.log10((truth.astype(float) ** 2).mean((1, 2, 3)) / 255**2).mean()
    assert found.horizons == (1, 10) and found.mean_frame[0] == pytest.approx(mean)
    assert found.verdict == NOT_PLAYABLE, "an untrained one"
    assert (tmp_path / "train" / "strip.png").stat().st_size > 100
    assert (tmp_path / "preview.webp").read_bytes()[8:12] == b"WEBP"
