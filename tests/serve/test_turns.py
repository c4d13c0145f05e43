"""The worker's turns: whoever used it least goes first, calls of one owner stay in order, long ones give way."""

import asyncio
import time

import pytest

from worldling.serve.turns import Turns


def drive(work):
    async def main():
        turns = Turns()
        try:
            return await work(turns)
        finally:
            turns.close()

    return asyncio.run(main())


def slices(done, name, num, seconds=0.002):
    for number in range(num):
        time.sleep(seconds)
        done.append((name, number))
        yield
    return name


def test_what_a_call_returns_and_raises():
    async def work(turns):
        assert await turns.call("a", pow, 2, 5) == 32
        assert await turns.call("a", slices, [], "x", 3) == "x"
        with pytest.raises(ZeroDivisionError):
            await turns.call("a", divmod, 1, 0)
        assert await turns.call("a", pow, 3, 2) == 9, "the worker lives on"

    drive(work)


def test_calls_of_one_owner_stay_in_order():
    async def work(turns):
        done = []
        first = asyncio.create_task(turns.call("a", slices, done, "first", 5))
        second = asyncio.create_task(turns.call("a", slices, done, "second", 2))
        other = asyncio.create_task(turns.call("b", slices, done, "other", 3))
        await asyncio.gather(first, second, other)
        mine = [name for name, _ in done if name != "other"]
        assert mine == ["first"] * 5 + ["second"] * 2
        assert [name for name, _ in done].index("other") < 5, "a long call gives way"

    drive(work)


def test_one_that_asks_for_everything_leaves_others_their_turns():
    """In work done, not in seconds: between two short calls of the others, at most one of the greedy."""

    async def work(turns):
        done, over = [], False

        def step(name):
            time.sleep(0.002)
            done.append(name)

        async def greedy():
            while not over:
                await asyncio.gather(*(turns.call("greedy", step, "greedy") for _ in range(50)))

        task = asyncio.create_task(greedy())
        await asyncio.sleep(0.05)
        waited = []
        for number in range(20):
            owner = f"player {number % 2}"
            before = len(done)
            await turns.call(owner, step, owner)
            waited.append(done[before:].index(owner))
            await asyncio.sleep(0.003)
        over = True
        turns.forget("greedy")
        task.cancel()
        assert sorted(waited)[-2] <= 2, waited  # one may have begun before, one counted late
        assert done.count("greedy") > 20, "what nobody else wants is its own"

    drive(work)


def test_an_owner_who_was_idle_saves_nothing_up():
    async def work(turns):
        done = []

        def step(name):
            time.sleep(0.002)
            done.append(name)

        for _ in range(30):
            await turns.call("busy", step, "busy")
        await asyncio.gather(*(turns.call(name, step, name) for _ in range(20) for name in ("idle", "busy")))
        shared = done[30:]
        assert 5 <= shared[:20].count("busy") <= 15, shared

    drive(work)


def test_what_was_forgotten_does_not_go_on():
    async def work(turns):
        done = []
        task = asyncio.create_task(turns.call("a", slices, done, "a", 1000))
        waiting = asyncio.create_task(turns.call("a", done.append, "waited"))
        while not done:
            await turns.call("b", time.sleep, 0.01)
        turns.forget("a")
        await turns.call("b", time.sleep, 0.01)
        count = len(done)
        await turns.call("b", time.sleep, 0.01)
        assert 0 < count == len(done) < 1000 and "waited" not in done
        with pytest.raises(asyncio.CancelledError):
            await waiting
        task.cancel()

    drive(work)
