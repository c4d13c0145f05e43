"""Recording by playing: a page without a screen plays a real environment, and a readable data set is left."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("aiohttp")
import aiohttp
from page import Page

from worldling.cli import main
from worldling.data.record import record
from worldling.data.store import open_dataset
from worldling.errors import ConfigError, DatasetError, EnvError
from worldling.serve.human import record_by_playing

TOYS = Path(__file__).parents[1] / "data"
TOY = f"{TOYS / 'toy_environments.py'}:Square"
OURS = str(Path(__file__).parents[2])


def play_by_hand(work, path, **options):
    """Record `path` while `work(page)` plays at the other end of the websocket; returns the summary."""
    ready, found = threading.Event(), {}

    def announce(url):
        found["url"] = url
        ready.set()

    def record_it():
        try:
            found["summary"] = record_by_playing(
                options.pop("env", TOY), path, size_px=24, port=0, open_browser=False, quiet=True, announce=announce,
                **options,
            )  # fmt: skip
        except BaseException as error:
            found["error"] = error
        finally:
            ready.set()

    thread = threading.Thread(target=record_it)
    thread.start()
    assert ready.wait(20)

    async def visit():
        async with aiohttp.ClientSession() as client, client.ws_connect(found["url"] + "ws") as ws:
            page = Page(ws, None)
            page.url, page.http = found["url"], client
            page.welcome = await page.text("welcome")
            try:
                await work(page)
            except BaseException:
                await page.send("finish")
                raise

    try:
        if "url" in found:
            asyncio.run(visit())
    finally:
        thread.join(20)
    assert not thread.is_alive()
    if "error" in found:
        raise found["error"]
    return found["summary"]


async def finish(page):
    await page.send("pause", on=True)
    await page.text("status", lambda m: m["paused"])
    await page.send("finish")


def test_what_is_pressed_is_what_is_recorded(tmp_path):
    pressed = [2, 4, 0, 1, 3]

    async def work(page):
        world = page.welcome["world"]
        assert world["records_to"] == str(tmp_path / "d") and world["name"] == "toy_environments.py:Square"
        await page.paused()
        begun = (await page.text("status"))["newest"]
        for number, action in enumerate(pressed):
            await page.send("input", id=number + 1, action=action)
            await page.send("step")
            header, _, real = await page.frame(index=begun + number + 1)
            assert header.input_id == number + 1 and real is None
        await page.text("status", lambda m: m["note"] == f"{begun + len(pressed)} steps in 1 episodes recorded")
        await page.send("finish")

    summary = play_by_hand(work, tmp_path / "d")
    dataset = open_dataset(tmp_path / "d")
    assert summary["policy"] == "human" == dataset.meta.policy and summary["frames"] == dataset.num_frames
    (episode,) = dataset
    assert episode.actions[-len(pressed) :].tolist() == pressed and (episode.actions[: -len(pressed)] == 0).all()
    assert len(episode) == len(episode.actions) + 1 and episode.meta["cut"] and episode.frames[:, 0].std() > 0
    assert dataset.meta.picture_px == (2, 0, 20, 24)


def test_episodes_end_with_the_game_and_the_next_begins(tmp_path):
    async def work(page):
        await page.send("speed", value=10)
        await page.text("status", lambda m: m["start"] >= 2)
        await finish(page)

    play_by_hand(work, tmp_path / "d", env_kwargs={"steps": 8})
    first, second, *_ = list(open_dataset(tmp_path / "d"))
    for episode in (first, second):
        assert len(episode) == 9 and episode.terminated[-1] and not episode.meta["cut"] and episode.reward.sum() == 8
    assert first.meta["seed"] != second.meta["seed"] and (first.meta["number"], second.meta["number"]) == (0, 1)


def test_it_records_what_the_same_actions_give(tmp_path):
    """A human's data set is one like others: its seed and actions give its frames again."""

    async def work(page):
        await page.after(5)
        await page.send("input", id=1, action=3)
        await page.after(12)
        await finish(page)

    play_by_hand(work, tmp_path / "d")
    (episode,) = open_dataset(tmp_path / "d")
    actions = iter(episode.actions)
    record(TOY, tmp_path / "again", len(episode), lambda env, seed: lambda frame, info: next(actions), 24, quiet=True)
    assert np.array_equal(open_dataset(tmp_path / "again").frames(0), episode.frames)


def test_reset_begins_an_episode_and_nothing_goes_back(tmp_path):
    async def work(page):
        await page.after(3)
        await page.send("rewind", frames=1)
        assert "must be left alone" in (await page.text("error"))["message"]
        await page.paused()
        await page.send("reset", start=None)
        await page.frame(index=0)
        await page.send("step")
        await page.frame(index=1)
        await page.send("finish")

    play_by_hand(work, tmp_path / "d")
    first, second = open_dataset(tmp_path / "d")
    assert first.meta["cut"] and len(first) >= 4 and len(second) == 2


def test_one_page_plays_and_the_next_takes_over(tmp_path):
    async def work(page):
        await page.after(2)
        async with page.http.ws_connect(page.url + "ws") as ws:
            other = Page(ws, None)
            assert "must be the only one" in (await other.text("error"))["message"]
        await page.ws.close()
        for _ in range(50):
            async with page.http.ws_connect(page.url + "ws") as ws:
                other = Page(ws, None)
                got = await other.next(lambda m: isinstance(m, dict) and m["type"] in ("error", "status"))
                if got["type"] == "status":
                    await other.after(2)
                    await finish(other)
                    return
            await asyncio.sleep(0.05)
        raise AssertionError("the game was not given back")

    play_by_hand(work, tmp_path / "d")
    first, second = open_dataset(tmp_path / "d")
    assert first.meta["cut"] and len(first) >= 3 and len(second) >= 3


def test_it_ends_with_the_frames_asked_for_and_is_resumed(tmp_path):
    async def work(page):
        await page.send("speed", value=20)
        async for _ in page.ws:  # until the server ends
            await page.send("ack", seq=10**6)

    assert play_by_hand(work, tmp_path / "d", frames=25)["frames"] == 25
    with pytest.raises(DatasetError, match="in use"):
        play_by_hand(work, tmp_path / "d", frames=50)
    assert play_by_hand(work, tmp_path / "d", frames=50, resume=True)["frames"] == 50
    numbers = [episode.meta["number"] for episode in open_dataset(tmp_path / "d")]
    assert numbers == sorted(set(numbers))


def test_a_pointer_rests_in_the_middle(tmp_path):
    pytest.importorskip("gym_pusht")

    async def work(page):
        await page.after(3)
        await finish(page)

    play_by_hand(work, tmp_path / "d", env="worldling/PushT-v0")
    assert (open_dataset(tmp_path / "d").actions(0) == 256).all()


@pytest.mark.parametrize(
    "options, error, says",
    [
        ({"env": "NoSuch-v0"}, EnvError, "NoSuch-v0"),
        ({"env_kwargs": {"shows": "nowhere"}}, EnvError, "must draw pixels"),
        ({"frames": 1}, ConfigError, "`frames`"),
        ({"fit": "stretch"}, ConfigError, "`fit`"),
    ],
)
def test_what_is_wrong_is_told_in_the_terminal(tmp_path, options, error, says):
    async def work(page):
        raise AssertionError("nobody can play this")

    with pytest.raises(error, match=says):
        play_by_hand(work, tmp_path / "d", **options)
    assert not list(tmp_path.glob("d/shard-*"))


def test_the_command_line_says_what_does_not_go_together(tmp_path, capsys):
    assert main(["record", TOY, "--out", str(tmp_path / "d"), "--policy", "human", "--workers", "2"]) == 2
    assert "`workers` must be 1" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="record_by_playing"):
        record(TOY, tmp_path / "d", policy="human", quiet=True)


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_ctrl_c_leaves_a_readable_data_set(tmp_path):
    command = [
        "record",
        TOY,
        "--policy",
        "human",
        "--out",
        str(tmp_path / "d"),
        "--port",
        "0",
        "--no-browser",
        "--json",
    ]
    process = subprocess.Popen(
        [sys.executable, "-m", "worldling", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": OURS},
    )
    with process:
        line = process.stdout.readline()
        assert line, process.stderr.read()
        url = json.loads(line)["url"]

        async def visit():
            async with aiohttp.ClientSession() as client, client.ws_connect(url + "ws") as ws:
                await Page(ws, None).after(10)
                process.send_signal(signal.SIGINT)
                assert await asyncio.to_thread(process.wait, 20) == 0

        asyncio.run(visit())
        summary = json.loads(process.stdout.read())
    assert summary["frames"] == open_dataset(tmp_path / "d").num_frames >= 11
