"""A session: the laws of going back, what an input does, and what the history keeps."""

import numpy as np
import pytest
from dot_world import DISCRETE, POINTER, DotWorld, actions_of, play, run_through

from worldling.errors import ActionError, ServeError
from worldling.serve.messages import decode_jpeg
from worldling.serve.session import SEGMENT_S, Session


def test_the_first_frame_is_the_last_context_frame():
    world = DotWorld()
    frame = Session(world, 20).current
    assert frame.index == 0
    assert np.abs(decode_jpeg(frame.jpeg).astype(int) - world.contexts[0].frames[3]).mean() < 2


def test_seed_and_actions_replay_a_session():
    one, two = (Session(DotWorld(), 20, start=5) for _ in range(2))
    assert [s.jpeg for s in play(one, actions_of(30))] == [s.jpeg for s in play(two, actions_of(30))]


@pytest.mark.parametrize("index", [0, 1, 24, 25, 26, 49, 99, 119])
def test_branching_and_replaying_gives_the_same_frames(index):
    session, actions = Session(DotWorld(), 10), actions_of(120)
    frames = play(session, actions)
    assert run_through(session.branch(index)).index == index == session.history.newest
    again = play(session, actions[index:])
    assert [s.jpeg for s in again] == [s.jpeg for s in frames[index:]]
    assert (session.num_branches, session.branches) == (1, [index])


def test_branching_at_the_newest_frame_is_no_branch():
    session = Session(DotWorld(), 10)
    play(session, actions_of(5))
    assert run_through(session.branch(5)).index == 5 and session.num_branches == 0


def test_other_actions_lead_elsewhere_and_the_old_future_is_gone():
    session = Session(DotWorld(), 10)
    frames = play(session, [2] * 20)
    run_through(session.rewind(10))
    again = play(session, [3] * 10)
    assert again[-1].index == 20 and again[-1].jpeg != frames[-1].jpeg
    assert session.peek(20).jpeg == again[-1].jpeg


def test_branches_on_branches():
    session, actions = Session(DotWorld(), 10), actions_of(60)
    frames = play(session, actions)
    for index in (50, 41, 41, 12):
        run_through(session.branch(index))
    assert session.branches == [12] and session.num_branches == 3
    assert [s.jpeg for s in play(session, actions[12:])] == [s.jpeg for s in frames[12:]]


def test_the_last_minute_is_kept_and_no_more():
    session = Session(DotWorld(size_px=16), 10)
    play(session, actions_of(1000))
    assert (session.history.oldest, session.history.newest) == (401, 1000)
    assert len(list(session.history)) <= 600 + 2 * SEGMENT_S * 10
    assert run_through(session.branch(401)).index == 401
    with pytest.raises(ServeError, match="`index` must be a frame of the last minute"):
        run_through(session.branch(402))


def test_going_back_costs_at_most_a_segment_of_steps():
    world = DotWorld()
    session = Session(world, 10)
    play(session, actions_of(300))
    before = world.num_steps
    run_through(session.branch(101))
    assert world.num_steps - before < SEGMENT_S * 10


def test_reset_begins_the_same_dream_and_a_start_another():
    session = Session(DotWorld(), 10)
    first = [s.jpeg for s in play(session, [2] * 5)]
    session.reset()
    assert [s.jpeg for s in play(session, [2] * 5)] == first
    assert session.reset(1).jpeg != session.reset(0).jpeg
    session.reset(3)  # context 0 again, with another seed
    assert [s.jpeg for s in play(session, [2] * 5)] != first


def test_a_tap_between_two_frames_counts_for_one():
    session = Session(DotWorld(), 10)
    session.hold(3, 1)
    session.hold(0, 2)
    frames = [session.advance() for _ in range(3)]
    assert [(int(s.action), s.input_id) for s in frames] == [(3, 1), (0, 2), (0, 2)]


def test_a_tap_beside_a_held_key_counts_for_one():
    session = Session(DotWorld(), 10)
    session.hold(2, 1)
    session.advance()
    session.hold(3, 2)
    session.hold(2, 3)
    assert [int(session.advance().action) for _ in range(3)] == [3, 2, 2]


def test_the_newest_of_two_presses_wins():
    session = Session(DotWorld(), 10)
    session.hold(3, 1)
    session.hold(2, 2)
    assert int(session.advance().action) == 2


@pytest.mark.parametrize("bad", [9, -1, 1.5, [1, 2], float("nan"), "2"])
def test_a_bad_action_is_refused_and_the_old_one_stays(bad):
    session = Session(DotWorld(), 10)
    session.hold(3, 1)
    with pytest.raises(ActionError):
        session.hold(bad, 2)
    assert int(session.advance().action) == 3


def test_a_pointer_rests_where_the_context_left_it():
    world = DotWorld(POINTER)
    held = Session(world, 10).status()["held"]
    assert held == pytest.approx(world.contexts[0].actions[2].tolist())
    assert Session(DotWorld(DISCRETE), 10).status()["held"] == 0


def test_a_recording_holds_what_was_seen_while_recording():
    session = Session(DotWorld(), 10)
    with pytest.raises(ServeError, match="`recording` must be made"):
        session.clip(None)
    play(session, [2] * 3)
    session.record(True)
    play(session, [2] * 4)
    session.record(False)
    play(session, [2] * 4)
    assert [s.index for s in session.clip(None)] == [3, 4, 5, 6, 7]
    assert [s.index for s in session.clip(3)] == [9, 10, 11]
