"""The step timer counts what it says: not the first calls, and joules only of those counted."""

import pytest

from worldling.timing import steps
from worldling.timing.steps import speed_row, time_steps


class Clock:
    """A clock that only a step moves, by its index in seconds."""

    def __init__(self):
        self.now, self.calls = 0.0, []

    def perf_counter(self):
        return self.now

    def step(self, index):
        self.calls.append(index)
        self.now += 1.0 + index


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(steps, "time", clock)
    return clock


class Meter:
    """Counts a joule for each second of the clock."""

    def __init__(self, clock):
        self.joules = lambda: clock.now


def test_warm_steps_are_not_counted(clock):
    found = time_steps(clock.step, seconds=0, warm_seconds=0, warm_steps=2, least_steps=3, meter=Meter(clock))
    assert clock.calls == [0, 1, 2, 3, 4] and found.seconds == [3.0, 4.0, 5.0]
    assert found.joules == 12.0, "of the counted steps"


def test_it_ends_with_the_first_step_past_the_time(clock):
    found = time_steps(clock.step, seconds=5.0, warm_seconds=2.0)
    assert clock.calls == [0, 1, 2, 3] and found.seconds == [3.0, 4.0] and found.joules is None


def test_a_row_sums_up_its_steps(clock):
    row = speed_row(4, time_steps(clock.step, 0, 0, warm_steps=1, least_steps=3, meter=Meter(clock)))
    assert row.p50_ms == 3000.0 and row.fps_p50 == pytest.approx(4 / 3) and row.num_steps == 3
    assert row.joules_per_1000_frames == pytest.approx(9.0 / 12 * 1000)
