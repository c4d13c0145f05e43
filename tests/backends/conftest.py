"""Worlds for the backends to run, and a cache of their own."""

import pytest


@pytest.fixture(scope="session")
def world(make_world):
    """The tiny world with clips to start from, as a trained world has them."""
    return make_world(clips=True)


@pytest.fixture(scope="session")
def warping(make_world):
    """One whose head fetches cells from elsewhere in the picture."""
    return make_world(warp=2, clips=True)


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    """A user's cache folder of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"
