"""The application: films, the page and its parts, other sites, ports, Ctrl-C."""

import os
import re
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from urllib.parse import urljoin

import pytest

pytest.importorskip("aiohttp")
from dot_world import DotWorld
from page import drive

from worldling.cli import main
from worldling.errors import EnvError, ServeError
from worldling.player import PAGE
from worldling.serve.budgets import Budget
from worldling.serve.port import open_port
from worldling.serve.run import serve


def test_recordings():
    async def work(page):
        await page.after(20)
        name = page.welcome["session"]
        for kind, start in (("mp4", b"ftyp"), ("gif", b"GIF89a")):
            answer = await page.client.get(f"/api/recording.{kind}?session={name}&seconds=0.05")
            assert answer.status == 200 and start in (await answer.read())[:12]
            assert f'.{kind}"' in answer.headers["Content-Disposition"]
        for query, says in (("recorded=1", "`recording`"), ("seconds=x", "`seconds`")):
            answer = await page.client.get(f"/api/recording.mp4?session={name}&{query}")
            assert answer.status == 400 and says in (await answer.json())["error"]
        await page.send("record", on=True)
        await page.text("status", lambda m: m["recorded"] > 3)
        page.server.connections[name].budget = Budget()  # three films were asked for
        answer = await page.client.get(f"/api/recording.gif?session={name}&recorded=1")
        assert answer.status == 200

    drive(work)


def test_the_page_and_its_parts_are_served_and_need_nothing_else():
    async def work(page):
        html = await (await page.client.get("/")).text()
        seen = set()
        for path in re.findall(r'(?:src|href)="(?!data:)([^"]+)"', html):
            assert (await page.client.get(f"/{path}")).status == 200, path
            seen.add(path)
        assert {"player/player.js", "player/player.css"} <= seen
        world = await (await page.client.get("/api/world?world=dots")).json()
        assert world == page.welcome["world"] and world["action_space"]["names"][0] == "NOOP"

    drive(work)


@pytest.mark.parametrize("base", ["/proxy/8000/", "/hub/user/ada/world/", "/"])
def test_the_page_works_under_a_path(base):
    """As JupyterHub, a course's server or nginx serve it: what lies under `base` is asked of the server without it."""
    folder = PAGE

    async def work(page):
        html = await (await page.client.get("/")).text()
        asked = re.findall(r'(?:src|href)="(?!data:)([^"]+)"', html)
        for script in folder.glob("*.js"):
            text = script.read_text()
            assert not re.search(r"""[`"'](?:/api|/ws|/player)""", text), f"{script.name} asks for an absolute path"
            asked += re.findall(r"""(?:fetch|new URL)\([`"']([\w/]+)""", text)
            asked += [f"player/{name}" for name in re.findall(r"""from "\./([\w.]+)\"""", text)]
        assert {"ws", "api/world", "player/player.js", "player/link.js"} <= set(asked)
        for path in asked:
            below = urljoin(f"http://host{base}", path).removeprefix(f"http://host{base}")
            if below not in ("ws", "api/recording"):
                assert (await page.client.get(f"/{below}")).status == 200, path

    drive(work)


def test_the_page_asks_nothing_from_outside():
    folder = PAGE
    for file in folder.iterdir():
        for address in re.findall(r"(?:https?:)?//[a-z][\w.-]+\.[a-z]+", file.read_text()):
            assert "www.w3.org" in address, f"{file.name} refers to {address}"  # a namespace, never fetched


@pytest.mark.parametrize("headers", [{"Origin": "http://else.where"}, {"Host": "else.where:80"}])
def test_other_sites_are_kept_out(headers):
    async def work(page):
        assert (await page.client.get("/api/world", headers=headers)).status == 403

    drive(work)


def test_an_occupied_port_is_one_line_with_a_free_one():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ServeError, match=rf"`port` must be free, got {port}.*Use --port \d+\.$") as error:
            serve(DotWorld(), port=port, open_browser=False)
        free = int(re.search(r"--port (\d+)", str(error.value))[1])
        open_port("127.0.0.1", free).close()


@pytest.mark.parametrize(
    "options, says",
    [
        ({"port": 70000}, "`port` must be in"),
        ({"port": 0, "fps": 0}, "`fps` must be"),
        ({"port": 0, "host": "no.such.host.invalid", "allow_hosts": ["a"]}, "`host` must be an address"),
        ({"port": 0, "host": "0.0.0.0"}, "`--allow-host` must be given"),
        ({"port": 0, "max_sessions": 0}, "`max_sessions` must be"),
    ],
)
def test_bad_options_are_one_line(options, says):
    with pytest.raises(ServeError, match=re.escape(says)):
        serve(DotWorld(), open_browser=False, **options)


def test_a_world_without_starts_is_refused():
    world = DotWorld()
    world.contexts = []
    with pytest.raises(ServeError, match="at least one start"):
        serve(world, port=0)


def test_a_world_that_does_not_say_its_pace_must_be_told():
    world = DotWorld()
    world.config = replace(world.config, fps=None)
    with pytest.raises(ServeError, match="`fps` must be given"):
        serve(world, port=0)


def test_a_model_that_is_not_ours_is_played(monkeypatch):
    played = []
    monkeypatch.setattr("worldling.serve.run.serve_catalogue", lambda worlds, *rest: played.append(worlds.host(None)))
    monkeypatch.setattr(sys, "path", sys.path[:])
    assert main(["play", f"{Path(__file__).parent}/dot_world.py:DotWorld", "--world-arg", "fps=12"]) == 0
    assert [(hosted.world.config.name, hosted.fps) for hosted in played] == [("dots", 12.0)]
    assert main(["play", f"{Path(__file__).parent}/dot_world.py:DotWorld", "--alarm"]) == 2, "it lies in no folder"


def test_an_unknown_environment_is_one_line_before_anything_is_served():
    pytest.importorskip("gymnasium")
    with pytest.raises(EnvError, match="`--beside` must be given an environment"):
        serve(DotWorld(), port=0, beside=True, open_browser=False)


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_ctrl_c_stops_cleanly():
    code = (
        "from dot_world import DotWorld; from worldling.serve.run import serve; "
        "serve(DotWorld(), port=0, open_browser=False)"
    )
    paths = [str(Path(__file__).parent), str(PAGE.parents[1])]
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )
    assert "Play at http://127.0.0.1:" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=10)
    assert (process.returncode, rest) == (0, "")
