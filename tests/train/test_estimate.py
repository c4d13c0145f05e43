"""What is said before training begins."""

import dataclasses

import pytest

from worldling.train.estimate import PLAYABLE_STEPS, Estimate, seconds_per_step, wanted_minutes
from worldling.train.recipe import TrainConfig

FIRST, SECOND = PLAYABLE_STEPS
TEN = Estimate(60.0 / FIRST, 530.0 / SECOND, 10.0)  # seconds: 60, 530 and 10


def test_minutes_are_the_steps_of_both_stages_and_encoding():
    assert TEN.playable_minutes == 10
    assert dataclasses.replace(TEN, keypoint_share=0.5).playable_minutes == 20, "which take half of the minutes"


@pytest.mark.parametrize(
    "minutes, words",
    [
        (12, "12, which are enough"),
        (8, "you asked for 8: it will follow the actions but blur"),
        (1, "hardly be playable"),
    ],
)
def test_what_was_asked_for_is_weighed(minutes, words):
    assert words in TEN.sentence(minutes) and TEN.sentence(minutes).startswith("about 10 minutes for a playable world")


@pytest.mark.parametrize("seconds, minutes", [(530, 15), (3530, 90), (1, 15), (50_000, 240)])
def test_training_chooses_what_a_playable_world_needs_within_bounds(seconds, minutes):
    known = Estimate(60.0 / FIRST, seconds / SECOND, 10.0)
    assert known.chosen_minutes == minutes
    assert f"training takes {known.chosen_minutes:g} (--minutes" in known.sentence(known.chosen_minutes, chosen=True)


@pytest.mark.slow
def test_a_step_is_timed_by_its_fastest():
    waits = iter([0.03, 0.0, 0.02, 0.01])
    import time

    assert seconds_per_step(lambda: time.sleep(next(waits, 5.0))) < 0.01


@pytest.mark.parametrize("minutes, wanted", [(1.0, 10), (8.0, 10), (12.0, 24)])
def test_one_goes_on_to_a_playable_world_or_twice_as_long(minutes, wanted):
    assert wanted_minutes(TEN, TrainConfig(minutes=minutes)) == wanted


def test_without_an_estimate_one_goes_on_twice_as_long():
    assert wanted_minutes(None, TrainConfig(minutes=7.0)) == 14
