"""A cache of their own for the tests of backends."""

import pytest


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    """A user's cache folder of the test's own."""
    monkeypatch.setenv("WORLDLING_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"
