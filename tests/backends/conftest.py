"""The tiny world with clips to start from, as a trained world has them; imported by the tests that need it."""

import copy

import numpy as np
import pytest

from worldling.types import Episode


@pytest.fixture(scope="session")
def world(tiny_world, tiny_clip):
    return with_clips(copy.copy(tiny_world), *tiny_clip)


@pytest.fixture(scope="session")
def warping(make_world, tiny_clip):
    """One whose head fetches cells from elsewhere in the picture."""
    return with_clips(make_world(warp=2), *tiny_clip)


def with_clips(world, frames, actions):
    blank = np.zeros(actions.shape[1])
    world.contexts = [Episode(f, a, blank, blank.astype(bool), blank.astype(bool)) for f, a in zip(frames, actions)]
    return world


@pytest.fixture()
def own_cache(tmp_path, monkeypatch):
    """A user's cache folder of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"
