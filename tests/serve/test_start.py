"""Starts: from a picture of one's own, and games that count a score and end."""

import io
import json

import numpy as np
import pytest
from dot_world import DotEnvironment, DotWorld, actions_of, play, run_through
from page import drive
from PIL import Image

from worldling.errors import ServeError
from worldling.serve.messages import OVER, decode_jpeg
from worldling.serve.real_environment import RealEnvironment
from worldling.serve.session import Session
from worldling.serve.upload import MOST_BYTES, read_picture
from worldling.types import Step


class GameWorld(DotWorld):
    """A dot world where every step to the right is a point, and the fifth ends the game."""

    def step(self, state, action, decode=True):
        made = super().step(state, action, decode)
        right = np.asarray(action) == 2
        self.points = getattr(self, "points", 0) + int(right.sum())
        ends = np.full(len(right), self.points >= 5)
        return Step(made.frame, made.latent, made.index, right.astype(np.float32), ends)


def file_of(picture, kind="PNG", **options):
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


DOT = Image.new("RGB", (300, 200), (30, 40, 60))
DOT.paste((250, 220, 150), (130, 80, 170, 120))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP"])
def test_pictures_of_many_kinds_are_read(kind):
    picture = read_picture(file_of(DOT, kind))
    assert picture.shape == (200, 300, 3) and picture.dtype == np.uint8
    assert np.abs(picture[100, 150].astype(int) - (250, 220, 150)).max() < 12


def test_a_large_picture_is_reduced_and_one_that_lies_on_its_side_is_turned():
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    assert read_picture(file_of(Image.new("RGB", (3000, 1500)), "JPEG", exif=exif)).shape == (1024, 512, 3)
    clear = read_picture(file_of(Image.new("RGBA", (8, 8), (0, 0, 0, 0))))
    assert (clear == 255).all(), "what is transparent is white"


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"<svg/>", file_of(DOT)[:100], b"\x89PNG\r\n\x1a\n" + bytes(50)])
def test_what_is_no_picture_is_one_line(data):
    with pytest.raises(ServeError, match=r"`picture` must be a PNG") as error:
        read_picture(data)
    assert "\n" not in str(error.value)


def test_a_picture_that_unpacks_to_too_much_is_refused_before_it_is():
    with pytest.raises(ServeError, match="at most 50,000,000 pixels, got 9000 x 9000"):
        read_picture(file_of(Image.new("1", (9000, 9000))))


def test_a_dream_starts_from_a_picture_and_again_on_reset():
    session = Session(DotWorld(), 10, start=1)
    play(session, actions_of(5))
    first = session.start_from(np.asarray(DOT))
    shown = decode_jpeg(first.jpeg)
    assert first.index == 0 and shown.shape == (64, 64, 3)
    assert shown[32, 32].min() > 120 and shown[5, 5].max() < 90, "its middle fills the picture"
    assert session.status()["own_picture"]
    ahead = [frame.jpeg for frame in play(session, [2] * 5)]
    session.reset()
    assert [frame.jpeg for frame in play(session, [2] * 5)] == ahead
    assert session.reset(0).jpeg != first.jpeg and not session.status()["own_picture"]


def test_a_real_environment_stands_still_beside_a_picture_and_plays_again_after():
    world = DotWorld()
    session = Session(world, 10, RealEnvironment(DotEnvironment(world)))
    session.start_from(np.asarray(DOT))
    frames = play(session, actions_of(4))
    assert len({frame.real_jpeg for frame in frames}) == 1 and np.isnan([frame.mse for frame in frames]).all()
    assert "cannot start from a picture" in session.status()["note"]
    run_through(session.branch(2))
    session.reset(0)
    assert np.isfinite(play(session, actions_of(3))[-1].mse) and session.status()["note"] == ""


def test_the_score_adds_up_and_goes_back_with_the_dream():
    session = Session(GameWorld(), 10)
    assert session.status()["score"] is None
    frames = play(session, [2, 0, 2, 0])
    assert [frame.score for frame in frames] == [1, 1, 2, 2] and session.status()["score"] == 2
    run_through(session.branch(1))
    assert session.status()["score"] == 1
    assert session.reset().score != session.reset().score, "a start has none yet"


def test_the_game_is_over_once():
    session = Session(GameWorld(), 10)
    frames = play(session, [2] * 7)
    assert [frame.over for frame in frames] == [False] * 4 + [True] * 3
    run_through(session.branch(3))
    assert not session.status()["over"]


def test_the_clock_stops_where_the_game_ends_and_goes_on_if_told():
    async def work(page):
        await page.send("input", id=1, action=2)
        ended = await page.text("status", lambda m: m["over"])
        assert ended["paused"] and ended["score"] == 5
        await page.send("pause", on=False)
        beyond = await page.next(lambda got: isinstance(got, tuple) and got[0].index > ended["newest"] + 3)
        assert beyond[0].flags & OVER and beyond[0].score > 5
        page.server.catalogue.host(None).world.points = 0
        await page.send("pause", on=True)
        await page.send("reset", start=None)
        assert not (await page.text("status", lambda m: not m["over"]))["paused"], "who plays again plays at once"

    drive(work, world=GameWorld())


def test_a_picture_is_sent_to_one_s_own_session():
    async def work(page):
        name = page.welcome["session"]
        await page.text("status")  # the session is open
        assert page.welcome["world"]["can_start_from_picture"]
        answer = await page.client.post(f"/api/picture?session={name}", data=file_of(DOT))
        assert (answer.status, await answer.json()) == (200, {})
        assert (await page.text("status", lambda m: m["own_picture"]))["newest"] >= 0
        for query, data, status, says in [
            ("session=else", file_of(DOT), 400, "`session` must be"),
            (f"session={name}", b"no picture", 400, "`picture` must be"),
            (f"session={name}", bytes(MOST_BYTES + 1), 413, "at most 8 MB"),
        ]:
            answer = await page.client.post(f"/api/picture?{query}", data=io.BytesIO(data))
            assert answer.status == status and says in (await answer.json())["error"]
        for _ in range(5):
            answer = await page.client.post(f"/api/picture?session={name}", data=file_of(DOT))
        assert answer.status == 429, "no more often than the budget says"
        foreign = {"Origin": "http://else.where"}
        assert (await page.client.post(f"/api/picture?session={name}", headers=foreign)).status == 403
        assert json.loads(await (await page.client.get("/api/worlds")).text())["chosen"] == "dots"

    drive(work)
