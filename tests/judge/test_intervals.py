import numpy as np

from worldling.judge.intervals import ENOUGH_EPISODES, Bootstrap


def test_same_seed_same_interval():
    values = np.random.default_rng(0).normal(size=50)
    first, again, other = (Bootstrap(np.arange(50), seed).mean(values) for seed in (1, 1, 2))
    assert first == again, "one seed gives one interval"
    assert first != other, "another seed redraws"


def test_intervals_hold_the_true_mean_about_95_times_in_100():
    rng = np.random.default_rng(0)
    held = 0
    for seed in range(200):
        found = Bootstrap(np.zeros(60, int), seed, resamples=300).mean(rng.exponential(size=60))
        held += found["low"] <= 1.0 <= found["high"]
    assert 0.88 <= held / 200 <= 0.99, f"held {held} of 200"


def test_values_that_are_not_there_are_not_counted():
    values = np.array([1.0, np.nan, 3.0, np.nan])
    boot = Bootstrap(np.arange(4))
    assert boot.mean(values)["value"] == 2.0 and boot.mean(values)["n"] == 2, "the mean is of two"
    assert boot.quantile(values, 0.5)["n"] == 2, "the median is of two"
    assert boot.mean(np.full(4, np.nan)) == {"value": None, "low": None, "high": None, "n": 0}, "none is none"


def test_quantiles_bracket_the_sample():
    values = np.arange(101.0)
    found = Bootstrap(np.arange(101)).quantile(values, 0.9)
    assert found["value"] == 90.0 and found["low"] < 90.0 < found["high"], found


def test_a_share_of_all_is_not_certain():
    found = Bootstrap(np.arange(16)).share(np.ones(16))
    assert found["value"] == found["high"] == 1.0 and 0.79 < found["low"] < 0.82, found
    mirrored = Bootstrap(np.arange(16)).share(np.zeros(16))
    assert np.isclose(mirrored["high"], 1 - found["low"]), "0 of 16 mirrors 16 of 16"


def test_many_episodes_are_redrawn_whole():
    episodes = np.repeat(np.arange(ENOUGH_EPISODES), 10)
    values = np.repeat(np.random.default_rng(0).normal(size=ENOUGH_EPISODES), 10)
    whole, single = Bootstrap(episodes), Bootstrap(episodes % (ENOUGH_EPISODES - 1))
    assert (whole.over, single.over) == ("episodes", "starts"), "few episodes cannot stand for others"
    wide, narrow = whole.mean(values), single.mean(values)
    assert wide["high"] - wide["low"] > 2 * (narrow["high"] - narrow["low"]), "starts of an episode are alike"
