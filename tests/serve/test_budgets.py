"""Token buckets, and what one connection may ask for."""

import pytest

from worldling.errors import ServeError
from worldling.serve import budgets
from worldling.serve.budgets import Bucket, Budget, OverBudgetError


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_a_bucket_holds_its_burst_and_gains_its_rate(clock):
    bucket = Bucket(2.0, 3.0, clock)
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]
    clock.now += 0.5
    assert [bucket.take() for _ in range(2)] == [True, False]
    clock.now += 1000
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]


def test_owing_says_how_long_to_wait(clock):
    bucket = Bucket(10.0, 2.0, clock)
    assert [bucket.owe() for _ in range(4)] == [0, 0, pytest.approx(0.1), pytest.approx(0.2)]
    clock.now += 0.2
    assert bucket.owe(0) == 0


@pytest.mark.parametrize("kind", list(budgets.KINDS))
def test_each_kind_has_its_budget(clock, kind):
    budget, (rate, burst) = Budget(clock), budgets.KINDS[kind]
    for _ in range(int(burst)):
        budget.allow(kind)
    with pytest.raises(OverBudgetError, match=f"`{kind}` must come at most {rate:g} times a second"):
        budget.allow(kind)
    clock.now += 1 / rate
    budget.allow(kind)


def test_two_ways_of_going_back_share_one_budget(clock):
    budget = Budget(clock)
    for _ in range(int(budgets.KINDS["branch"][1])):
        budget.allow("branch")
    with pytest.raises(OverBudgetError):
        budget.allow("rewind")


def test_what_a_page_sends_is_never_delayed(clock):
    """Two minutes of 60 frames a second, each acknowledged, and of a pointer that moves with every frame."""
    budget = Budget(clock)
    for _ in range(120 * 60):
        assert budget.message(40) == budget.message(30) == 0
        budget.give_back()
        clock.now += 1 / 60


def test_a_flood_waits_and_then_ends(clock):
    budget, rate = Budget(clock), budgets.MESSAGES[0]
    count = 0
    with pytest.raises(ServeError, match="`messages` must be at most 240 a second"):
        while True:
            clock.now += budget.message(0)
            count += 1
    assert clock.now == pytest.approx(budgets.FLOOD_S, abs=0.1)
    assert count == pytest.approx(budgets.MESSAGES[1] + rate * budgets.FLOOD_S, rel=0.01)


def test_a_long_message_counts_for_more(clock):
    budget = Budget(clock)
    assert sum(budget.message(15 * 1024) == 0 for _ in range(100)) == budgets.MESSAGES[1] // 16


def test_films_and_tellings(clock):
    budget = Budget(clock)
    for _ in range(3):
        budget.allow_film()
    with pytest.raises(OverBudgetError, match="`recording` must be saved at most once in 5 s"):
        budget.allow_film()
    assert [budget.tells(), budget.tells()] == [True, False]
    clock.now += budgets.TELL_EVERY_S
    assert budget.tells()
