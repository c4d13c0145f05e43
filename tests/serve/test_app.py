"""The player over a real socket: frames, commands, the clock, bad input, films, ports."""

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("aiohttp")
from aiohttp import WSMsgType  # noqa: E402
from aiohttp.test_utils import TestClient, TestServer  # noqa: E402
from dot_world import DotEnvironment, DotWorld  # noqa: E402

import worldling.serve  # noqa: E402
from worldling.errors import ServeError  # noqa: E402
from worldling.serve.app import Player, build_app, serve  # noqa: E402
from worldling.serve.beside import Beside  # noqa: E402
from worldling.serve.messages import MAX_IN_FLIGHT, OPENING, PEEK, decode_jpeg, unpack_frame  # noqa: E402
from worldling.serve.port import open_port  # noqa: E402


class Page:
    """The other end of the websocket. acks: whether frames are acknowledged as they come."""

    def __init__(self, ws, player):
        self.ws, self.player, self.acks, self.welcome = ws, player, True, None

    async def send(self, kind, **fields):
        await self.ws.send_json({"type": kind, **fields})

    async def next(self, wanted):
        """The next message for which `wanted` holds: a frame as (header, dream, real), or a json object."""
        return await asyncio.wait_for(self._next(wanted), 10)

    async def _next(self, wanted):
        while True:
            message = await self.ws.receive()
            assert message.type in (WSMsgType.BINARY, WSMsgType.TEXT), f"the socket ended: {message}"
            if message.type is WSMsgType.BINARY:
                got = unpack_frame(message.data)
                if self.acks:
                    await self.send("ack", seq=got[0].seq)
            else:
                got = json.loads(message.data)
            if wanted(got):
                return got

    async def frame(self, index=None, flags=0):
        """The next frame, or frame `index`; for a clock that runs, use `after`, since frames may be dropped."""
        return await self.next(lambda m: isinstance(m, tuple) and m[0].flags == flags and index in (None, m[0].index))

    async def after(self, index):
        return await self.next(lambda m: isinstance(m, tuple) and not m[0].flags and m[0].index > index)

    async def text(self, kind, wanted=lambda m: True):
        return await self.next(lambda m: isinstance(m, dict) and m["type"] == kind and wanted(m))

    async def paused(self):
        await self.send("pause", on=True)
        return await self.text("status", lambda m: m["paused"])


@contextlib.asynccontextmanager
async def page_of(world, fps=200.0, real=None):
    player = Player(world, fps, real)
    async with TestClient(TestServer(build_app(player))) as client, client.ws_connect("/ws") as ws:
        page = Page(ws, player)
        page.client = client
        page.welcome = await page.text("welcome")
        yield page


def drive(work, **options):
    """Run `work(page)` against a fresh player."""
    world = options.pop("world", None) or DotWorld()

    async def main():
        async with page_of(world, **options) as page:
            await work(page)

    asyncio.run(main())


def test_the_first_frame_comes_before_the_world_is_ready():
    world, ready = DotWorld(), threading.Event()
    start = world.start
    world.start = lambda *a, **k: ready.wait(10) and start(*a, **k)

    async def work(page):
        header, dream, _ = await page.frame(flags=OPENING)
        assert header.index == 0 and decode_jpeg(dream).shape == (64, 64, 3)
        ready.set()
        assert (await page.frame())[0].index == 0

    drive(work, world=world)


def test_frames_follow_the_clock_and_include_the_input():
    async def work(page):
        await page.send("input", id=41, action=3)
        header, dream, real = await page.next(lambda m: isinstance(m, tuple) and m[0].input_id == 41)
        assert header.index >= 1 and decode_jpeg(dream).shape == (64, 64, 3) and real is None
        status = await page.text("status", lambda m: m["latency_ms"])
        assert status["held"] == 3 and 0 <= status["latency_ms"]["p50"] <= status["latency_ms"]["p95"] < 1000
        began, first = time.monotonic(), header.index
        await page.after(first + 20)
        assert time.monotonic() - began > 0.15  # 20 frames at 100 a second; a busy machine may take longer

    drive(work, fps=100.0)


def test_pause_step_branch_and_reset_replay_the_same_frames():
    async def work(page):
        await page.paused()

        async def steps(num, first):
            frames = []
            for i in range(num):
                await page.send("input", id=first + i, action=[2, 3, 0][i % 3])
                await page.send("step")
                frames.append((await page.next(lambda m: isinstance(m, tuple) and m[0].input_id == first + i))[1])
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


def test_a_look_back_halts_the_clock_and_changes_nothing():
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
        assert header.seq == sent[-1].seq + 1 and header.index >= 30, "the newest frame comes next, not an old one"

    drive(work)


def test_as_fast_as_possible_and_slowly():
    async def work(page):
        await page.send("speed", value=None)
        fast = await page.text("status", lambda m: m["fps_made"] > 8)
        assert fast["speed"] is None
        await page.send("speed", value=0)
        assert "`speed.value` must be above 0" in (await page.text("error"))["message"]

    drive(work, fps=2.0)


@pytest.mark.parametrize("text", [
    "nonsense", '{"type": "fly"}', '{"type": "input", "id": 1, "action": 77}', '{"type": "input", "id": 1, "action": []}',
    '{"type": "branch", "index": 99999}', '{"type": "step", "extra": 1, "type": 4}',
])
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
        page.player.world.broken = True
        assert "the dot fell off" in (await page.text("error"))["message"]
        assert (await page.text("status"))["paused"]
        page.player.world.broken = False
        await page.send("pause", on=False)
        await page.frame()

    drive(work)


def test_two_pages_are_two_sessions():
    async def work(page):
        async with page.client.ws_connect("/ws") as ws:
            other = Page(ws, page.player)
            assert (await other.text("welcome"))["session"] != page.welcome["session"]
            await other.paused()
            await page.after(40)
            assert (await other.text("status"))["newest"] < 40

    drive(work)


def test_beside_sends_both_pictures_and_the_error():
    world, opened = DotWorld(), []

    def real():
        opened.append(DotEnvironment(world))
        return Beside(opened[-1])

    async def work(page):
        assert page.welcome["world"]["beside"]
        header, dream, real_jpeg = await page.after(9)
        assert header.mse > 0 and decode_jpeg(real_jpeg).shape == decode_jpeg(dream).shape
        await page.ws.close()
        async with page.client.ws_connect("/ws") as ws:  # the next session uses the same environment
            await Page(ws, page.player).after(0)

    drive(work, world=world, real=real)
    assert len(opened) == 1 and opened[0].closed


def test_recordings():
    async def work(page):
        await page.after(20)
        name = page.welcome["session"]
        for kind, start in (("mp4", b"ftyp"), ("gif", b"GIF89a")):
            answer = await page.client.get(f"/api/recording.{kind}?session={name}&seconds=0.05")
            assert answer.status == 200 and start in (await answer.read())[:12]
            assert f'.{kind}"' in answer.headers["Content-Disposition"]
        for query, says in (("take=1", "`take`"), ("seconds=x", "`seconds`"), ("session=none", "`session`")):
            answer = await page.client.get(f"/api/recording.mp4?{query}")
            assert answer.status == 400 and says in (await answer.json())["error"]
        await page.send("record", on=True)
        await page.text("status", lambda m: m["take"] > 3)
        answer = await page.client.get("/api/recording.gif?take=1")
        assert answer.status == 200

    drive(work)


def test_the_page_and_its_parts_are_served_and_need_nothing_else():
    async def work(page):
        html = await (await page.client.get("/")).text()
        seen = set()
        for path in re.findall(r'(?:src|href)="(/[^"]+)"', html):
            assert (await page.client.get(path)).status == 200, path
            seen.add(path)
        assert {"/player/player.js", "/player/player.css"} <= seen
        world = await (await page.client.get("/api/world")).json()
        assert world == page.welcome["world"] and world["action_space"]["names"][0] == "NOOP"

    drive(work)


def test_the_page_asks_nothing_from_outside():
    folder = Path(worldling.serve.__file__).parent / "player"
    for file in folder.iterdir():
        for address in re.findall(r"(?:https?:)?//[a-z][\w.-]+\.[a-z]+", file.read_text()):
            assert "www.w3.org" in address, f"{file.name} refers to {address}"  # a namespace, never fetched


@pytest.mark.parametrize("headers", [{"Origin": "http://elsewhere.example"}, {"Host": "elsewhere.example:8000"}])
def test_other_sites_are_kept_out(headers):
    async def work(page):
        assert (await page.client.get("/api/world", headers=headers)).status == 403

    drive(work)


# ---- serving ------------------------------------------------------------------------------------------------


def test_an_occupied_port_is_one_line_with_a_free_one():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ServeError, match=rf"`port` must be free, got {port}.*Use --port \d+\.$") as error:
            serve(DotWorld(), port=port, open_browser=False)
        free = int(re.search(r"--port (\d+)", str(error.value))[1])
        open_port("127.0.0.1", free).close()


@pytest.mark.parametrize("options, says", [
    ({"port": 70000}, "`port` must be in"), ({"port": 0, "fps": 0}, "`fps` must be"),
    ({"port": 0, "host": "no.such.host.invalid"}, "`host` must be an address"),
])
def test_bad_options_are_one_line(options, says):
    with pytest.raises(ServeError, match=re.escape(says)):
        serve(DotWorld(), open_browser=False, **options)


def test_a_world_without_starts_is_refused():
    world = DotWorld()
    world.contexts = []
    with pytest.raises(ServeError, match="at least one start"):
        serve(world, port=0)


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_ctrl_c_stops_cleanly():
    code = "from dot_world import DotWorld; from worldling.serve.app import serve; serve(DotWorld(), port=0, open_browser=False)"
    paths = [str(Path(__file__).parent), str(Path(worldling.serve.__file__).parents[2])]
    process = subprocess.Popen(
        [sys.executable, "-c", code], stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )
    assert "Play at http://127.0.0.1:" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=10)
    assert (process.returncode, rest) == (0, "")
