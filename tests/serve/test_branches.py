"""Branches that were left: they are offered, returned to frame by frame, and bounded."""

import pytest
from dot_world import DotEnvironment, DotWorld, actions_of, play, run_through

from worldling.errors import ServeError
from worldling.serve.history import MAX_LEFT
from worldling.serve.real_environment import RealEnvironment
from worldling.serve.session import SEGMENT_S, Session


def jpegs(session):
    return [frame.jpeg for frame in session.history]


def test_a_branch_that_was_left_is_returned_to_as_it_was():
    session = Session(DotWorld(), 10)
    frames = play(session, actions_of(80))
    first = jpegs(session)
    run_through(session.branch(33))
    second = [*jpegs(session), *(frame.jpeg for frame in play(session, actions_of(20, seed=1)))]
    (left,) = session.status()["others"]
    assert (left["at"], left["newest"]) == (33, 80)
    assert run_through(session.return_to(left["id"])) == frames[-1]
    assert jpegs(session) == first
    (other,) = session.status()["others"]
    assert (other["at"], other["newest"]) == (33, 53)
    run_through(session.return_to(other["id"]))
    assert jpegs(session) == second


@pytest.mark.parametrize("at, length", [(24, 60), (25, 60), (26, 49), (1, 30)])
def test_a_branch_goes_on_as_if_it_had_never_been_left(at, length):
    one, two, actions = Session(DotWorld(), 10), Session(DotWorld(), 10), actions_of(length + 30)
    play(one, actions[:length])
    run_through(one.branch(at))
    play(one, actions_of(15, seed=2))
    run_through(one.return_to(one.status()["others"][0]["id"]))
    play(two, actions[:length])
    after = [[frame.jpeg for frame in play(session, actions[length:])] for session in (one, two)]
    assert after[0] == after[1]


def test_branches_of_branches_part_where_they_did():
    session = Session(DotWorld(), 10)
    play(session, actions_of(100))
    run_through(session.branch(60))
    play(session, actions_of(30, seed=1))  # up to 90
    run_through(session.branch(30))
    play(session, actions_of(40, seed=2))  # up to 70
    found = session.status()["others"]
    assert [(left["at"], left["newest"]) for left in found] == [(30, 90), (30, 100)]
    run_through(session.return_to(found[0]["id"]))
    assert [(left["at"], left["newest"]) for left in session.status()["others"]] == [(30, 70), (60, 100)]


def test_a_step_back_leaves_no_branch_worth_keeping():
    session = Session(DotWorld(), 10)
    play(session, actions_of(40))
    run_through(session.rewind(4))
    assert session.status()["others"] == []


def test_what_is_kept_is_bounded():
    session = Session(DotWorld(size_px=16), 10)
    play(session, actions_of(300))
    for turn in range(20):
        run_through(session.branch(200))
        play(session, actions_of(80, seed=turn))
    left = session.history._left
    assert 0 < len(left) <= MAX_LEFT
    states = {id(segment.state) for branch in left for segment in branch.segments}
    assert len(states) <= 2 * (600 / (SEGMENT_S * 10) + 1)
    play(session, actions_of(900))
    assert session.status()["others"] == [] and not session.history._left, "they share no frame that is kept"


@pytest.mark.parametrize("id", [0, 7])
def test_an_unknown_branch_is_refused_and_nothing_moves(id):
    session = Session(DotWorld(), 10)
    play(session, actions_of(30))
    run_through(session.branch(10))
    before = session.status()
    with pytest.raises(ServeError, match=r"`return.branch` must be one that was left \(1\), got"):
        run_through(session.return_to(id))
    assert session.status() == before


def test_a_reset_forgets_them():
    session = Session(DotWorld(), 10)
    play(session, actions_of(30))
    run_through(session.branch(10))
    session.reset()
    assert session.status()["others"] == []


def test_the_real_environment_returns_too():
    world = DotWorld()
    real = RealEnvironment(DotEnvironment(world))
    session = Session(world, 10, real)
    frames = play(session, actions_of(40))
    run_through(session.branch(12))
    play(session, actions_of(20, seed=3))
    assert run_through(session.return_to(1)).real_jpeg == frames[-1].real_jpeg
    assert session.status()["note"] == ""
    again, whole = play(session, actions_of(5, seed=4)), Session(DotWorld(), 10, RealEnvironment(DotEnvironment(world)))
    play(whole, actions_of(40))
    assert [f.real_jpeg for f in again] == [f.real_jpeg for f in play(whole, actions_of(5, seed=4))]
