"""Data that the tests of the judge share: a moving square, and a small physics exam."""

import fcntl
import os

import pytest
from judge_worlds import SMALL_EXAM, write_squares


@pytest.fixture(scope="session")
def squares(tmp_path_factory):
    """A data set of six episodes of a square that moves."""
    return write_squares(tmp_path_factory.mktemp("squares"))


@pytest.fixture(scope="session")
def exam(tmp_path_factory):
    """A physics exam of one scene, not to be changed; skips without MuJoCo."""
    pytest.importorskip("mujoco")
    from worldling.judge.truth.exam import make_exam

    folder = tmp_path_factory.getbasetemp()
    shared = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder
    with (shared / "exam.lock").open("w") as lock:  # the test processes make it once, and then open it
        fcntl.flock(lock, fcntl.LOCK_EX)
        return make_exam(shared / "exam", SMALL_EXAM, scenarios=["drop"], workers=1, quiet=True)
