"""The worlds that players may choose: what is listed, opened, closed and shown of each."""

import asyncio
import copy
import io
import json
from pathlib import Path

import numpy as np
import pytest
from aiohttp.test_utils import TestClient, TestServer
from dot_world import DotEnvironment, DotWorld
from PIL import Image

from worldling.config import to_dict
from worldling.data.dataset import DatasetMeta
from worldling.errors import EnvError, ServeError
from worldling.serve import catalogue as catalogue_file
from worldling.serve.app import build_app
from worldling.serve.catalogue import Catalogue
from worldling.serve.hosted import HostedWorld
from worldling.serve.real_environment import RealEnvironment
from worldling.serve.server import PlayServer
from worldling.world_files import save_world

BUNDLED = ["carracing", "physics", "pusht", "pusht-256"]


@pytest.fixture
def own(make_world, tmp_path, monkeypatch):
    """A folder with two worlds of one's own, one of them damaged; it is where one is."""
    monkeypatch.chdir(tmp_path)
    world = copy.copy(make_world(clips=True))
    source = to_dict(DatasetMeta("my_game.py:MyGame", 64, world.action_space, fps=10.0, about="Catch the ball."))
    world.card = {"source": source, "parameters": {"dynamics": 5, "tokenizer": 2}, "trained": "2026-11-28"}
    for name in ("mine", "torn"):
        save_world(world, tmp_path / "worlds" / name, half=False)
    (tmp_path / "worlds" / "torn" / "config.json").write_text("{")
    return tmp_path / "worlds"


def opened(count):
    """A function that opens a dot world in place of each, and counts."""

    def open_world(id, folder):
        count.append(id)
        return HostedWorld(id, DotWorld())

    return open_world


def test_the_list_shows_one_s_own_worlds_and_the_bundled_ones_and_opens_none(own):
    count = []
    found = Catalogue(opened(count)).listings()
    assert [one.id for one in found] == ["worlds/mine", "worlds/torn", *BUNDLED] and not count
    mine, torn, *bundled = found
    assert (mine.group, mine.title, mine.what, mine.parameters) == ("own", "My game", "Catch the ball.", 7)
    assert "must be" in torn.problem and not mine.problem
    for one in bundled:
        assert one.group == "bundled" and one.title and one.what and one.how and one.parameters > 1e6


def test_a_world_is_opened_once_and_unknown_ones_are_named():
    count = []
    worlds = Catalogue(opened(count), Path("nowhere"))
    assert worlds.host("pusht") is worlds.host("pusht") and count == ["pusht"]
    with pytest.raises(ServeError, match="Did you mean 'physics'"):
        worlds.host("physic")
    for id in (None, "", "../pusht", "/etc", "worlds/../pusht"):
        with pytest.raises(ServeError, match="`world` must be one of the list"):
            worlds.host(id)


def test_worlds_that_nobody_plays_are_dropped_but_not_the_chosen_one(own, monkeypatch):
    monkeypatch.setattr(catalogue_file, "MOST_OPEN", 2)
    worlds = Catalogue(opened([]))
    worlds.add(HostedWorld("pusht", DotWorld()))
    played = worlds.host("physics")
    played.open_session()
    worlds.host("carracing"), worlds.host("pusht-256")
    assert [hosted.id for hosted in worlds.take_unused()] == ["carracing", "pusht-256"]
    assert {hosted.id for hosted in worlds.all_open()} == {"pusht", "physics"}


@pytest.mark.parametrize("id", ["worlds/mine", *BUNDLED])
def test_every_world_has_a_moving_picture(own, id):
    data = Catalogue(opened([])).preview(id)
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.format == "WEBP" and picture.n_frames > 1
    assert len(data) < 400_000


def test_a_picture_that_is_another_file_is_not_shown(own):
    good = Catalogue(opened([])).preview("worlds/mine")
    (own / "mine" / "preview.webp").write_bytes(b"<script>alert(1)</script>")
    assert Catalogue(opened([])).preview("worlds/mine") == good
    (own / "mine" / "preview.webp").unlink()
    (own / "mine" / "preview.webp").symlink_to(own / "torn" / "card.json")
    with pytest.raises(ServeError, match=r"`worlds/mine/preview\.webp` must be a picture"):
        Catalogue(opened([])).preview("worlds/mine")


def test_a_real_environment_that_cannot_be_opened_is_said_or_raised():
    def fails():
        raise EnvError("`env` must be installed, got nothing. Install it.")

    hosted = HostedWorld("dots", DotWorld(), open_real=fails, optional=True)
    hosted.prepare()
    session = hosted.open_session()
    assert not hosted.beside and session.real is None and "Install it." in session.status()["note"]
    with pytest.raises(EnvError):
        HostedWorld("dots", DotWorld(), open_real=fails).prepare()


def test_real_environments_are_used_again_and_closed():
    world, made = DotWorld(), []

    def opens():
        made.append(DotEnvironment(world))
        return RealEnvironment(made[-1])

    hosted = HostedWorld("dots", world, open_real=opens)
    hosted.prepare()
    first, second = hosted.open_session(), hosted.open_session()
    hosted.close_session(first)
    hosted.open_session()
    hosted.close_session(second)
    hosted.close()
    assert len(made) == 2 and [env.closed for env in made] == [False, True]


def test_the_page_plays_the_world_it_asks_for():
    async def work():
        worlds = Catalogue(opened([]), Path("nowhere"))
        async with TestClient(TestServer(build_app(PlayServer(worlds)))) as client:
            listed = await (await client.get("/api/worlds")).json()
            assert listed["chosen"] is None and [one["id"] for one in listed["worlds"]] == BUNDLED
            for one in listed["worlds"]:
                answer = await client.get("/" + one["preview"])
                assert answer.content_type == "image/webp" and (await answer.read())[8:12] == b"WEBP"
            async with client.ws_connect("/ws?world=physics") as ws:
                welcome = await ws.receive_json()
                assert (welcome["world"]["id"], welcome["world"]["num_worlds"]) == ("physics", 4)
            for query in ("", "?world=nothing"):
                async with client.ws_connect(f"/ws{query}") as ws:
                    refused = await ws.receive_json()
                    assert refused["type"] == "error" and "`world` must be one of the list" in refused["message"]
                assert (await client.get(f"/api/world{query}")).status == 400
            assert (await client.get("/api/preview?world=nothing")).status == 400
            assert (await client.get("/")).status == 200
            assert json.dumps(listed)

    asyncio.run(work())


def test_a_frame_of_the_list_is_small():
    frames = np.zeros((3, 256, 512, 3), np.uint8)
    with Image.open(io.BytesIO(catalogue_file.write_preview(frames, 10))) as picture:
        assert picture.size == (160, 80)
