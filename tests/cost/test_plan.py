import re
from dataclasses import replace

import pytest

from worldling.cost.plan import plan, spread
from worldling.cost.prices import read_prices
from worldling.cost.tables import plan_text
from worldling.errors import ConfigError

PRICES = read_prices()


def by_class(**asked):
    return {c.device_class: c for c in plan(PRICES, **{"fps": 30, "users": 1, "size_px": 64, **asked}).device_classes}


def test_more_users_never_cost_less():
    for name in PRICES.device_classes:
        months = [by_class(users=n)[name].serving.cost_per_month for n in (1, 10, 54, 55, 1000, 100_000)]
        assert months == sorted(months) if months[0] is not None else set(months) == {None}, name


def test_a_plan_adds_up():
    longest = max((row for row in PRICES.training if row.size_px == 64), key=lambda row: row.frames)
    found, price = (
        by_class(users=100, train_frames=2 * longest.frames)["vm-2"],
        PRICES.per_hour(PRICES.device_classes["vm-2"]),
    )
    serving = found.serving
    assert (
        serving.machines * serving.sessions_per_machine >= 100 > (serving.machines - 1) * serving.sessions_per_machine
    )
    assert serving.sessions_per_machine * 30 <= serving.frames_per_second * PRICES.assumptions.planned_share
    assert serving.cost_per_month == pytest.approx(serving.machines * 730 * price)
    assert found.training.hours == pytest.approx(2 * longest.minutes / 60), "twice the frames, twice the minutes"
    assert found.training.cost == pytest.approx(found.training.hours * price)


def test_no_gpu_has_a_number_before_somebody_measures_it():
    gpus = [c for name, c in by_class(train_frames=1000).items() if PRICES.device_classes[name].kind == "gpu"]
    for found in gpus:
        assert found.serving.carries is None and found.serving.frames_per_second is None
        assert found.training.hours is None and found.serving.origin == found.training.origin == "not measured"
    measured = replace(PRICES.throughput[0], device_class="gpu-l4", fps_alone=1e4, fps_batch=1e5)
    told = plan(replace(PRICES, throughput=(*PRICES.throughput, measured)), 30, 1000, 64)
    gpu = next(c for c in told.device_classes if c.device_class == "gpu-l4")
    assert gpu.serving.carries and gpu.serving.origin == "measured" and gpu.serving.machines == 1


def test_other_cpus_are_assumed_and_more_cores_make_no_session_faster():
    found = by_class(users=1000, train_frames=50_000)
    assert found["vm-2"].serving.origin == "measured" and "assumed" in found["vm-16"].serving.origin
    assert found["vm-2"].serving.sessions_per_machine < found["vm-16"].serving.sessions_per_machine
    assert found["vm-16"].training.hours == found["vm-2"].training.hours
    fast = by_class(fps=1000)
    assert not fast["vm-2"].serving.carries and not fast["vm-16"].serving.carries


@pytest.mark.parametrize(
    "asked, words",
    [
        (dict(size_px=64), "carries it cheapest: vm-2"),
        (dict(size_px=256), "carries it cheapest: vm-2"),
        (dict(size_px=128), "No device class was measured with size s at 128 px"),
        (dict(fps=5000), "Ask for fewer"),
        (dict(size="l"), "s at 256 px, s at 64 px"),
    ],
)
def test_the_answer_comes_first_and_what_is_missing_is_named(asked, words):
    found = plan(PRICES, **{"fps": 30, "users": 7, "size_px": 64, "train_frames": 10, **asked})
    assert words in found.answer
    text = plan_text(found)
    assert "worldling bench" in text and "[[throughput]]" in text and "gpu-h200" in text


def test_assumptions_of_a_plan_are_told():
    text = " ".join(plan(PRICES, 30, 1, 64, 1000).assumptions)
    assert "70 %" in text and "80 %" in text and "worldling bench pusht" in text and "in proportion" in text


@pytest.mark.parametrize(
    "asked, words",
    [
        (dict(fps=0), "`fps`"),
        (dict(users=0), "`users`"),
        (dict(users=1.5), "`users`"),
        (dict(size_px=-1), "`size_px`"),
        (dict(train_frames=0), "`train_frames`"),
    ],
)
def test_an_impossible_target_is_one_clear_line(asked, words):
    with pytest.raises(ConfigError, match=re.escape(words)):
        plan(PRICES, **{"fps": 30, "users": 1, "size_px": 64, **asked})


def test_what_may_be_spread_says_why_and_how_many_bytes():
    known = {part.part: part for part in spread("pusht", 64)}
    answers = {part.spread for part in known.values()}
    assert answers == {"yes", "no", "not built"} and all(part.why and part.bytes for part in known.values())
    assert known["one live session"].spread == "no" and known["single scenes (recording)"].bytes == 64 * 64 * 3
    unknown = {part.part: part for part in spread("measured elsewhere", 64)}
    assert unknown["one live session"].bytes is None and unknown["single scenes (recording)"].bytes == 64 * 64 * 3
