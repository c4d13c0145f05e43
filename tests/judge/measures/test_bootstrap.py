import numpy as np

from worldling.judge.measures.bootstrap import ENOUGH_EPISODES, STRETCH_FRAMES, Bootstrap
from worldling.report.values import NOTHING


def over_starts(n, seed=0, **options):
    """Redraws of n starts that have nothing in common."""
    return Bootstrap(np.zeros(n, int), np.arange(n) * STRETCH_FRAMES, seed, **options)


def test_same_seed_same_interval():
    values = np.random.default_rng(0).normal(size=50)
    first, again, other = (over_starts(50, seed).mean(values) for seed in (1, 1, 2))
    assert first == again, "one seed gives one interval"
    assert first != other, "another seed redraws"


def test_intervals_hold_the_true_mean_about_95_times_in_100():
    rng = np.random.default_rng(0)
    held = 0
    for seed in range(200):
        found = over_starts(60, seed, resamples=300).mean(rng.exponential(size=60))
        held += found.low <= 1.0 <= found.high
    assert 0.88 <= held / 200 <= 0.99, f"held {held} of 200"


def test_values_that_are_not_there_are_not_counted():
    values = np.array([1.0, np.nan, 3.0, np.nan])
    boot = over_starts(4)
    assert boot.mean(values).value == 2.0 and boot.mean(values).n == 2, "the mean is of two"
    assert boot.quantile(values, 0.5).n == 2, "the median is of two"
    assert boot.mean(np.full(4, np.nan)) == NOTHING, "none is none"


def test_quantiles_bracket_the_sample():
    values = np.arange(101.0)
    found = over_starts(101).quantile(values, 0.9)
    assert found.value == 90.0 and found.low < 90.0 < found.high, found


def test_a_share_of_all_is_not_certain():
    found = over_starts(16).share(np.ones(16))
    assert found.value == found.high == 1.0 and 0.79 < found.low < 0.82, found
    mirrored = over_starts(16).share(np.zeros(16))
    assert np.isclose(mirrored.high, 1 - found.low), "0 of 16 mirrors 16 of 16"


def test_many_episodes_are_redrawn_whole():
    episodes = np.repeat(np.arange(ENOUGH_EPISODES), 10)
    values = np.repeat(np.random.default_rng(0).normal(size=ENOUGH_EPISODES), 10)
    whole, single = Bootstrap(episodes, np.zeros(200, int)), over_starts(200)
    wide, narrow = whole.mean(values), single.mean(values)
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low), "starts of an episode are alike"


def test_few_episodes_are_redrawn_in_stretches():
    """Few episodes cannot stand for others; neighbouring starts still resemble each other."""
    frames = np.tile(np.arange(0, 1000, 10), 3)
    episodes = np.repeat(np.arange(3), 100)
    values = np.random.default_rng(0).normal(size=(3, 10)).repeat(10)
    boot, single = Bootstrap(episodes, frames), over_starts(300)
    assert boot.over == "stretches of 100 frames" and len(np.unique(boot.unit)) == 30
    wide, narrow = boot.mean(values), single.mean(values)
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)
    assert boot.share(np.ones(300)).low == over_starts(30).share(np.ones(30)).low
