"""Many sessions in one engine: none depends on the others."""

import numpy as np
import pytest

from worldling.engine.engine import Engine
from worldling.errors import ActionError, ServeError

ACTIONS = np.random.default_rng(3).integers(0, 3, 12)


def played(engine, session, actions):
    return np.stack([engine.step({session: a})[session] for a in actions])


def test_who_joins_leaves_or_waits_changes_nothing(world, tiny_clip):
    frames, actions = tiny_clip
    quiet = Engine(world, capacity=5, batch_size=3)
    alone = played(quiet, quiet.open(frames[0], actions[0]), ACTIONS)
    engine = Engine(world, capacity=5, batch_size=3)
    first = engine.open(frames[1], actions[1])
    me = engine.open(frames[0], actions[0])
    others, shown = [first], []
    for t, action in enumerate(ACTIONS):
        if t in (2, 3, 4):
            others.append(engine.open(frames[t % 3], actions[t % 3]))
        if t == 7:
            engine.close(others.pop(1))
        moving = {s: (t + s) % 3 for s in others if (s + t) % 2}
        shown.append(engine.step({me: action, **moving})[me])
    assert len(engine) == 4 and np.array_equal(np.stack(shown), alone)


@pytest.mark.parametrize("name", ["world", "warping", "pointed"])
def test_a_session_makes_the_frames_of_a_state(name, request, tiny_clip):
    world, (frames, actions) = request.getfixturevalue(name), tiny_clip
    engine = Engine(world, capacity=2)
    session = engine.open(frames[2], actions[2], seed=5)
    state = world.start(frames[2], actions[2], seed=5)
    for action in ACTIONS[:4]:
        expected = world.step(state, action).frame
        assert (np.abs(engine.step({session: action})[session].astype(int) - expected) > 1).mean() < 1e-2


def test_a_slot_is_reused_as_new(world, tiny_clip):
    frames, actions = tiny_clip
    engine = Engine(world, capacity=1)
    before = engine.open(frames[0], actions[0])
    first = played(engine, before, ACTIONS)
    with pytest.raises(ServeError, match="capacity"):
        engine.open(frames[0], actions[0])
    engine.close(before)
    with pytest.raises(ServeError, match="session"):
        engine.step({before: 0})
    assert np.array_equal(played(engine, engine.open(frames[0], actions[0]), ACTIONS), first)


def test_a_bad_action_changes_no_session(world, tiny_clip):
    frames, actions = tiny_clip
    engine, other = Engine(world, capacity=2), Engine(world, capacity=2)
    a, b = (engine.open(frames[i], actions[i]) for i in (0, 1))
    with pytest.raises(ActionError):
        engine.step({a: 1, b: 9})
    c = other.open(frames[0], actions[0])
    assert np.array_equal(played(engine, a, ACTIONS[:3]), played(other, c, ACTIONS[:3]))


def test_without_pixels(world, tiny_clip):
    engine = Engine(world, capacity=1)
    session = engine.open(tiny_clip[0][0], tiny_clip[1][0])
    assert engine.step({session: 0}, decode=False)[session].shape == (64, 8)
