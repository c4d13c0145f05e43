"""Worlds for the engine to run sessions of."""

import pytest


@pytest.fixture(scope="session")
def world(make_world):
    """The tiny world with clips to start from, as a trained world has them."""
    return make_world(clips=True)


@pytest.fixture(scope="session")
def warping(make_world):
    """One whose head fetches cells from elsewhere in the picture."""
    return make_world(warp=2, clips=True)
