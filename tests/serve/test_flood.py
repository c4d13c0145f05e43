"""One client that asks for everything: the others play on; and the seats, films and frames that nobody reads."""

import asyncio
import re
import socket
import time

import pytest

pytest.importorskip("aiohttp")
from dot_world import DotEnvironment, DotWorld
from page import Page, drive

from worldling.serve import budgets, connection
from worldling.serve.real_environment import RealEnvironment

FLOODS = {
    "messages": '{"type": "input", "id": 1, "action": 2}',
    "rubbish": "x" * 1000,
    "acknowledgements": '{"type": "ack", "seq": 1}',
    "resets": '{"type": "reset", "start": null}',
    "rewinds": '{"type": "rewind", "frames": 70}',
    "branches": '{"type": "branch", "index": 3}',
    "steps": '{"type": "step"}',
    "speeds": '{"type": "speed", "value": null}',
    "looks back": '{"type": "peek", "index": 2}',
    "recordings": '{"type": "record", "on": true}',
}


async def flood(page, text):
    """Send as fast as the socket takes it, and read what comes, until cancelled or closed."""
    async with page.client.ws_connect("/ws", max_msg_size=0) as ws:
        await ws.receive_json()
        transport = ws._conn.transport

        async def read():
            async for _ in ws:
                pass

        reader, sent = asyncio.create_task(read()), 0
        try:
            while not ws.closed:
                await ws.send_str(text)
                sent += 1
                if sent % 20 == 0:
                    await asyncio.sleep(0)
        except (ConnectionError, RuntimeError):
            pass
        finally:
            reader.cancel()
            transport.abort()  # what is not yet sent would keep the socket open when the loop ends


async def made(page, seconds):
    """Frames that come to a page in so many seconds."""
    until, count = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        header, *_ = await page.frame()
        count += header.index > 0
    return count


@pytest.mark.parametrize("kind", list(FLOODS))
def test_a_flood_leaves_the_others_their_frames(kind):
    """As a share of what they get without it, since machines differ."""

    async def work(page):
        await page.after(5)
        alone = await made(page, 1.0)
        task = asyncio.create_task(flood(page, FLOODS[kind]))
        await asyncio.sleep(0.3)
        beside = await made(page, 1.5) / 1.5
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert beside >= 0.4 * alone, f"{beside} frames a second, {alone} without"  # a tenth where nothing guards them

    drive(work, world=DotWorld(step_s=0.002), fps=30.0)


def test_a_flood_is_read_no_faster_than_its_budget_and_then_closed(monkeypatch):
    """The budget is far below what a loaded machine still sends: the test must not depend on the machine's speed."""
    monkeypatch.setattr(budgets, "FLOOD_S", 1.0)
    monkeypatch.setattr(budgets, "MESSAGES", (20.0, 10.0))
    seen, parse = [], connection.parse
    monkeypatch.setattr(connection, "parse", lambda text: seen.append(time.monotonic()) or parse(text))

    async def work(page):
        async with page.client.ws_connect("/ws") as ws:
            other = Page(ws, page.server)
            await other.after(0)
            other.acks = False
            seen.clear()
            began = time.monotonic()
            for _ in range(500):
                await other.send("input", id=1, action=1)
            error = await other.text("error")
            assert "`messages` must be at most 20 a second" in error["message"]
            assert (await ws.receive()).type.name in ("CLOSE", "BINARY", "TEXT")
        most = 10 + 20 * (seen[-1] - began)
        assert 10 <= len(seen) <= most + 1, "10 at once, and 20 a second"
        await page.after(5)

    drive(work, fps=20.0)


def test_what_is_over_budget_is_refused_and_told_once():
    async def work(page):
        await page.paused()
        for _ in range(30):
            await page.send("reset", start=2)
        told = [await page.text("error")]
        assert re.match(r"`reset` must come at most 2 times a second", told[0]["message"])
        await page.send("input", id=1, action=77)
        assert "`action`" in (await page.text("error"))["message"], "other refusals of the 30 are not told"

    drive(work)


def test_no_frames_are_made_for_one_who_does_not_read(monkeypatch):
    monkeypatch.setattr(connection, "UNREAD_S", 0.2)

    async def work(page):
        page.acks = False
        await page.text("status", lambda m: m["newest"] > 10)
        await asyncio.sleep(0.4)
        await page.text("status")
        stopped = page.world.num_steps
        await asyncio.sleep(0.5)
        assert page.world.num_steps <= stopped + 1
        page.acks = True
        await page.send("ack", seq=2)
        await page.after(20)
        assert page.world.num_steps > stopped + 1, "and it goes on when frames are read again"

    drive(work, fps=60.0)


def test_pings_are_answered_and_counted(monkeypatch):
    monkeypatch.setattr(budgets, "FLOOD_S", 0.3)
    monkeypatch.setattr(budgets, "MESSAGES", (20.0, 20.0))

    async def work(page):
        async with page.client.ws_connect("/ws", autoping=False) as ws:
            await ws.ping(b"hello")
            while (got := await asyncio.wait_for(ws.receive(), 5)).type.name != "PONG":
                pass
            assert got.data == b"hello"
            with pytest.raises((ConnectionError, AssertionError, RuntimeError)):
                for _ in range(100_000):
                    await ws.ping()
                    await asyncio.sleep(0)
                    assert not ws.closed and ws._reader is not None
                    while ws._reader._buffer:
                        assert (await ws.receive()).type.name not in ("CLOSE", "CLOSED", "CLOSING")

    drive(work, fps=20.0)


def test_more_players_than_seats_are_told_to_wait(monkeypatch):
    async def work(page):
        page.server.max_sessions = 2
        async with page.client.ws_connect("/ws") as second:
            await Page(second, page.server).after(0)
            async with page.client.ws_connect("/ws") as third:
                assert "got all 2 taken" in (await third.receive_json())["message"]
                assert (await third.receive()).type.name == "CLOSE" and third.close_code == 1013
            assert len(page.server.connections) == 2
        await asyncio.sleep(0.2)
        async with page.client.ws_connect("/ws") as third:
            await Page(third, page.server).after(0)
        monkeypatch.setattr("worldling.serve.server.IDLE_S", 0.1)
        page.server.max_sessions = 1
        await page.paused()
        await asyncio.sleep(0.3)
        async with page.client.ws_connect("/ws") as newcomer:  # takes the seat of one that is idle
            await Page(newcomer, page.server).after(0)

    drive(work, fps=50.0)


def test_a_film_needs_its_session_and_has_a_budget():
    async def work(page):
        await page.after(5)
        for query in ("seconds=1", "session=&seconds=1", "session=0000&seconds=1"):
            answer = await page.client.get(f"/api/recording.mp4?{query}")
            assert answer.status == 400 and "`session` must be one that is open" in (await answer.json())["error"]
        assert len(page.welcome["session"]) == 32, "not to be guessed"
        path = f"/api/recording.gif?session={page.welcome['session']}&seconds=0.05"
        answers = [await page.client.get(path) for _ in range(4)]
        assert [answer.status for answer in answers] == [200, 200, 200, 429]
        assert answers[3].headers["Retry-After"] and "`recording`" in (await answers[3].json())["error"]

    drive(work, fps=50.0)


def test_every_answer_has_the_headers():
    async def work(page):
        for path, headers, status in (
            ("/", {}, 200),
            ("/player/player.js", {}, 200),
            ("/api/world", {}, 200),
            ("/api/recording.mp4", {}, 400),
            ("/none", {}, 404),
            ("/", {"Host": "else.where"}, 403),
            ("/", {"Host": "[::1"}, 400),
            ("/", {"Origin": "http://[::1"}, 400),
        ):
            answer = await page.client.get(path, headers=headers)
            assert answer.status == status, (path, headers, await answer.text())
            policy = answer.headers["Content-Security-Policy"]
            for part in ("default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"):
                assert part in policy
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Referrer-Policy"] == "no-referrer"
            assert "aiohttp" not in answer.headers["Server"]

    drive(work)


@pytest.mark.parametrize("head", ["GET / HTTP/1.1\r\nHost: a\r\nHost: 127.0.0.1", "GET / HTTP/1.1", "GET /ws HTTP/1.0"])
def test_requests_with_no_host_or_two(head):
    async def work(page):
        port = page.client.port

        def ask():
            with socket.create_connection(("127.0.0.1", port)) as sock:
                sock.sendall(f"{head}\r\n\r\n".encode())
                return sock.recv(4096)

        assert (await asyncio.to_thread(ask)).split(b"\r\n")[0].split()[1] == b"400"

    drive(work)


def test_going_back_with_a_real_environment_gives_way_to_others():
    """It replays every step since the start, seconds of them; the others' frames come all the while."""
    world = DotWorld()

    class Slow(DotEnvironment):
        def step(self, action):
            time.sleep(0.002)
            return super().step(action)

    async def work(page):
        await page.after(150)
        async with page.client.ws_connect("/ws") as ws:
            other = Page(ws, page.server)
            await other.after(2)
            newest = (await page.paused())["newest"]
            before = page.world.num_steps
            await page.send("branch", index=newest - 1)
            await page.text("status", lambda m: m["num_branches"] == 1)
            assert page.world.num_steps - before > 5, "frames of the other came meanwhile"

    drive(work, world=world, fps=50.0, real=lambda: RealEnvironment(Slow(world)))
