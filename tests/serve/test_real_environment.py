"""The dream beside the real environment: the same start, the same actions, the error between them."""

import sys
from pathlib import Path

import numpy as np
import pytest
from dot_world import DotEnvironment, DotWorld, actions_of, play, run_through

from worldling.errors import ServeError
from worldling.serve.real_environment import RealEnvironment, open_real_environment, squared_error
from worldling.serve.session import Session
from worldling.types import ActionSpace


def test_dream_and_real_start_alike_and_the_error_is_theirs():
    world = DotWorld()
    session = Session(world, 10, RealEnvironment(DotEnvironment(world)), start=2)
    assert session.current.mse == 0 and session.current.real_jpeg == session.current.jpeg
    frames = play(session, actions_of(10))
    assert all(s.real_jpeg for s in frames) and max(s.mse for s in frames) > 0


def test_squared_error():
    a = np.zeros((4, 4, 3), np.uint8)
    assert squared_error(a, a) == 0 and squared_error(a, a + 255) == 255**2


def test_going_back_takes_the_real_one_along():
    world, actions = DotWorld(), actions_of(40)
    session = Session(world, 10, RealEnvironment(DotEnvironment(world)))
    frames = play(session, actions)
    run_through(session.branch(17))
    again = play(session, actions[17:])
    assert [(s.real_jpeg, s.mse) for s in again] == [(s.real_jpeg, s.mse) for s in frames[17:]]
    assert session.status()["note"] == ""


def test_the_end_of_the_real_episode_is_said_and_the_dream_goes_on():
    world = DotWorld()
    session = Session(world, 10, RealEnvironment(DotEnvironment(world, length=8)))  # 3 of them are the context
    frames = play(session, [2] * 9)
    assert [np.isnan(s.mse) for s in frames] == [False] * 5 + [True] * 4
    assert frames[-1].real_jpeg == frames[4].real_jpeg and "over" in session.status()["note"]
    run_through(session.branch(2))
    assert session.status()["note"] == "" and not np.isnan(play(session, [2])[0].mse)


def test_an_environment_that_does_not_replay_is_admitted():
    world = DotWorld()
    real = DotEnvironment(world)
    session = Session(world, 10, RealEnvironment(real))
    play(session, [2] * 6)
    reset = real.reset
    real.reset = lambda seed: reset(seed + 1)
    run_through(session.branch(3))
    assert "did not replay exactly" in session.status()["note"]


def test_a_start_that_ends_within_the_context_is_refused():
    world = DotWorld()
    with pytest.raises(ServeError, match="`start` must leave the real episode running"):
        Session(world, 10, RealEnvironment(DotEnvironment(world, length=2)))


@pytest.mark.parametrize("env_id", [None, "", "video", "physion"])
def test_a_world_without_an_environment_has_no_beside(env_id):
    world = DotWorld()
    world.card = {"source": {"env_id": env_id}}
    with pytest.raises(ServeError, match="`--beside` must have an environment"):
        open_real_environment(world)


def test_code_of_ones_own_is_opened_only_when_named(tmp_path, monkeypatch):
    world, ran = DotWorld(), tmp_path / "ran"
    (tmp_path / "dots.py").write_text(
        f"open({str(ran)!r}, 'w').close()\nimport sys\n"
        f"sys.path.insert(0, {str(Path(__file__).parents[1] / 'data')!r})\n"
        "from toy_environments import Square as Game\n"
    )
    monkeypatch.setattr(sys, "path", sys.path[:])
    world.card = {"source": {"env_id": "dots.py:Game", "env_kwargs": {"space": "discrete"}, "frame_skip": 1}}
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ServeError, match=r"code of somebody's own.*--beside dots\.py:Game"):
        open_real_environment(world)
    assert not ran.exists()
    with pytest.raises(ServeError, match=r"with the world's actions \(discrete, 4 numbers\), got dots\.py:Game"):
        open_real_environment(world, "dots.py:Game")
    assert ran.exists()
    world.action_space = ActionSpace("discrete", (5,))
    session = Session(world, 20, open_real_environment(world, "dots.py:Game"))
    assert session.advance().real_jpeg
