"""The player over a real socket: frames, commands, the clock, bad input."""

import re
import threading
import time

import pytest

pytest.importorskip("aiohttp")
from dot_world import DotEnvironment, DotWorld
from page import Page, drive

from worldling.serve.messages import LOADING, MAX_IN_FLIGHT, PEEK, decode_jpeg
from worldling.serve.real_environment import RealEnvironment


def test_the_first_frame_comes_before_the_world_is_ready():
    world, ready = DotWorld(), threading.Event()
    start = world.start
    world.start = lambda *a, **k: ready.wait(10) and start(*a, **k)

    async def work(page):
        header, dream, _ = await page.frame(flags=LOADING)
        assert header.index == 0 and decode_jpeg(dream).shape == (64, 64, 3)
        ready.set()
        assert (await page.frame())[0].index == 0

    drive(work, world=world)


def test_frames_follow_the_clock_and_include_the_input():
    async def work(page):
        await page.send("input", id=41, action=3)
        header, dream, real = await page.including(41)
        assert header.index >= 1 and decode_jpeg(dream).shape == (64, 64, 3) and real is None
        status = await page.text("status", lambda m: m["latency_ms"])
        assert status["held"] == 3 and 0 <= status["latency_ms"]["p50"] <= status["latency_ms"]["p95"] < 1000
        header, *_ = await page.after(20)
        assert header.index <= (time.monotonic() - page.began) * 100 + 1, "the clock runs too fast"

    drive(work, fps=100.0)


def test_pause_step_branch_and_reset_replay_the_same_frames():
    async def work(page):
        await page.paused()

        async def steps(num, first):
            frames = []
            for i in range(num):
                await page.send("input", id=first + i, action=[2, 3, 0][i % 3])
                await page.send("step")
                frames.append((await page.including(first + i))[1])
            return frames

        await page.send("reset", start=None)
        await page.frame(index=0)
        seen = await steps(6, 100)
        await page.send("branch", index=2)
        assert (await page.frame(index=2))[1] == seen[1]
        assert (await page.text("status", lambda m: m["num_branches"] == 1))["branches"] == [2]
        for i, action in enumerate([0, 2, 3, 0]):
            await page.send("input", id=200 + i, action=action)
            await page.send("step")
            assert (await page.frame(index=3 + i))[1] == seen[2 + i]
        await page.send("rewind", frames=3)
        assert (await page.frame(index=3))[1] == seen[2]
        await page.send("reset", start=None)
        await page.frame(index=0)
        assert await steps(6, 300) == seen

    drive(work)


def test_a_branch_at_a_frame_that_is_gone_is_one_at_the_oldest(monkeypatch):
    monkeypatch.setattr("worldling.serve.session.HISTORY_S", 0.1)

    async def work(page):
        await page.after(40)
        oldest = (await page.paused())["oldest"]
        await page.send("branch", index=1)
        assert (await page.frame(index=oldest)) and oldest > 1
        assert (await page.text("status", lambda m: m["num_branches"] == 1))["branches"] == [oldest]

    drive(work)


def test_peeking_stops_the_clock_and_changes_nothing():
    async def work(page):
        await page.after(20)
        await page.send("peek", index=5)
        header, *_ = await page.frame(flags=PEEK)
        assert header.index == 5
        newest = (await page.text("status"))["newest"]
        assert (await page.text("status"))["newest"] == newest
        await page.send("peek", index=None)
        await page.after(newest)

    drive(work)


def test_frames_are_dropped_not_queued():
    async def work(page):
        page.acks = False
        sent = []
        status = {"newest": 0}
        while status["newest"] < 30:
            got = await page.next(lambda m: True)
            if isinstance(got, tuple):
                sent.append(got[0])
            elif got["type"] == "status":
                status = got
        assert len(sent) == MAX_IN_FLIGHT and status["dropped"] >= 20
        page.acks = True
        await page.send("ack", seq=sent[-1].seq)
        header, *_ = await page.frame()
        assert header.seq == sent[-1].seq + 1 and header.index >= 30, "the newest comes next"

    drive(work)


def test_as_fast_as_possible_and_slowly():
    async def work(page):
        await page.send("speed", value=None)
        fast = await page.text("status", lambda m: m["fps_made"] > 8)
        assert fast["speed"] is None
        await page.send("speed", value=0)
        assert "`speed.value` must be above 0" in (await page.text("error"))["message"]

    drive(work, fps=2.0)


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        '{"type": "fly"}',
        '{"type": "input", "id": 1, "action": 77}',
        '{"type": "input", "id": 1, "action": []}',
        '{"type": "branch", "index": 99999}',
        '{"type": "step", "extra": 1, "type": 4}',
    ],
)
def test_a_bad_message_is_answered_and_the_connection_lives(text):
    async def work(page):
        await page.ws.send_str(text)
        assert re.match(r"`\w+(\.\w+)?` must .*\.$", (await page.text("error"))["message"])
        await page.ws.send_bytes(b"\x00\xff")
        assert "json" in (await page.text("error"))["message"]
        newest = (await page.text("status"))["newest"]
        await page.after(newest)

    drive(work)


def test_a_failing_world_pauses_and_says_so():
    async def work(page):
        await page.after(2)
        page.world.broken = True
        assert "the dot fell off" in (await page.text("error"))["message"]
        assert (await page.text("status"))["paused"]
        page.world.broken = False
        await page.send("pause", on=False)
        await page.frame()

    drive(work)


def test_two_pages_are_two_sessions():
    async def work(page):
        async with page.client.ws_connect("/ws") as ws:
            other = Page(ws, page.server)
            assert (await other.text("welcome"))["session"] != page.welcome["session"]
            await other.paused()
            await page.after(40)
            assert (await other.text("status"))["newest"] < 40

    drive(work)


def test_beside_sends_both_pictures_and_the_error():
    world, opened = DotWorld(), []

    def real():
        opened.append(DotEnvironment(world))
        return RealEnvironment(opened[-1])

    async def work(page):
        assert page.welcome["world"]["beside"]
        header, dream, real_jpeg = await page.after(9)
        assert header.mse > 0 and decode_jpeg(real_jpeg).shape == decode_jpeg(dream).shape
        await page.ws.close()
        async with page.client.ws_connect("/ws") as ws:  # the next session uses the same environment
            await Page(ws, page.server).after(0)

    drive(work, world=world, real=real)
    assert len(opened) == 1 and opened[0].closed


@pytest.mark.parametrize("slow", [1e-4, 1e-3, 0.02])
def test_a_new_speed_counts_at_once(slow):
    async def work(page):
        await page.after(3)
        await page.send("speed", value=slow)
        await page.text("status", lambda m: m["speed"] == slow)
        began = time.monotonic()
        await page.send("speed", value=1.0)
        status = await page.text("status", lambda m: m["speed"] == 1.0)
        await page.after(status["newest"] + 10)
        assert time.monotonic() - began < 2.0, "the wait at the slow speed was slept out"

    drive(work, fps=50.0)


def test_a_slower_speed_stretches_the_wait_begun():
    async def work(page):
        await page.after(3)
        await page.send("speed", value=0.01)
        status = await page.text("status", lambda m: m["speed"] == 0.01)
        later = await page.text("status", lambda m: m["newest"] >= status["newest"])
        assert later["newest"] - status["newest"] <= 1

    drive(work, fps=50.0)
