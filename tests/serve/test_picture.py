"""Pictures that are not square: the player is shown the picture, in its true shape, and no padding."""

import numpy as np
import pytest
from dot_world import DotWorld, play
from page import drive

from worldling.serve.messages import decode_jpeg
from worldling.serve.recording import compose
from worldling.serve.session import Session


def padded():
    world = DotWorld()
    world.card["source"] |= {"fit": "pad", "picture_px": [0, 8, 64, 48], "aspect": 1.3333}
    return world


def test_a_session_shows_the_picture_only():
    world = padded()
    session = Session(world, 20)
    assert decode_jpeg(session.current.jpeg).shape == (48, 64, 3)
    error = np.abs(decode_jpeg(session.current.jpeg).astype(int) - world.contexts[0].frames[3][8:56]).mean()
    assert error < 2 and decode_jpeg(play(session, [2])[0].jpeg).shape == (48, 64, 3)


def test_the_page_is_told_its_shape():
    async def work(page):
        world = page.welcome["world"]
        assert (world["picture_px"], world["aspect"], world["size_px"]) == ([64, 48], 1.3333, 64)
        _, dream, _ = await page.after(0)
        assert decode_jpeg(dream).shape == (48, 64, 3)

    drive(work, world=padded())


def test_a_square_world_is_shown_as_ever():
    async def work(page):
        world = page.welcome["world"]
        assert (world["picture_px"], world["aspect"]) == ([64, 64], 1.0)

    drive(work)


@pytest.mark.parametrize("aspect, width", [(0.0, 256), (1.0, 256), (1.02, 256), (0.75, 192), (1.5, 384)])
def test_films_of_squeezed_pictures_have_the_true_shape(aspect, width):
    assert compose(Session(DotWorld(), 20).current, aspect).shape == (256, width, 3)
