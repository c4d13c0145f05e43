"""Scripted hands: the same seed is the same hand at any rate, and they do what their names say."""

from itertools import groupby

import numpy as np
import pytest

from worldling.data.hands import FASTEST, hands_for, is_pointer, play_hand, turning
from worldling.errors import ConfigError
from worldling.types import ActionSpace

POINTER = ActionSpace("box", (), (0.0, 0.0), (512.0, 512.0), ("x", "y"))
STICK = ActionSpace("box", (), (-1.0, 0.0, 0.0), (1.0, 1.0, 1.0), ("steer", "gas", "brake"))
KEYS = ActionSpace("discrete", (5,), names=("NOOP", "LEFT", "RIGHT", "UP", "DOWN"))
WALK = ActionSpace("discrete", (4,), names=("NOOP", "turn_left", "turn_right", "move_forward"))
SPACES = [POINTER, STICK, KEYS, WALK, ActionSpace("multi_binary", (2, 2, 2)), ActionSpace("multi_discrete", (3, 2))]
EACH = [(space, name) for space in SPACES for name in hands_for(space)]


def played(space, name, fps=50, seconds=20.0, seed=3, **more):
    return play_hand(space, name, seed, np.arange(round(seconds * fps)) / fps, **more)


@pytest.mark.parametrize("space, name", EACH)
def test_a_hand_is_its_seed_at_any_rate(space, name):
    fast, slow = played(space, name, 50), played(space, name, 10)
    np.testing.assert_array_equal(fast[::5], slow)
    np.testing.assert_array_equal(fast, played(space, name, 50))
    assert not np.array_equal(fast, played(space, name, 50, seed=4))
    assert space.check(fast, (len(fast),)).dtype == space.dtype and len(np.unique(fast, axis=0)) > 1


def test_a_pointer_comes_up_slowly_from_the_agent_and_sweeps_at_a_speed_that_people_have():
    start = np.array([100.0, 400.0])
    for seed in range(5):
        path = played(POINTER, "sweeps", 100, seed=seed, start=start, near=np.array([256.0, 256.0]))
        np.testing.assert_allclose(path[0], start)
        speed = np.linalg.norm(np.diff(path, axis=0), axis=1)[60:] * 100
        assert speed.max() < 3 * FASTEST and (speed > 60).any() and (speed == 0).any(), "curves are not of even speed"
    flicks = np.linalg.norm(np.diff(played(POINTER, "flicks", 100), axis=0), axis=1)[60:]
    assert ((flicks == 0) | (flicks > 5)).all() and flicks.max() > 100, "there at once, or resting"


def test_goals_lie_near_what_is_of_interest():
    near = np.array([80.0, 430.0])
    to = [np.linalg.norm(played(POINTER, "flicks", 5, 60.0, near=n)[5:] - near, axis=1) for n in (near, 512 - near)]
    assert np.median(to[0]) < np.median(to[1]) - 50


def test_keys_are_held_tapped_and_opposed():
    assert np.mean(played(KEYS, "tap") == 0) > 0.6 > np.mean(played(KEYS, "hold") == 0)
    changes = {name: np.mean(np.diff(played(KEYS, name)) != 0) for name in hands_for(KEYS)}
    assert changes["mash"] > changes["opposite"] > changes["hold"]
    pairs = {frozenset(pair) for pair in zip(*(lambda a: (a, a[1:]))(played(KEYS, "opposite").tolist()), strict=False)}
    assert {frozenset((1, 2)), frozenset((3, 4))} <= pairs, "left and right, up and down"


def test_keys_that_turn_look_aside_and_back():
    assert hands_for(WALK) == (*hands_for(KEYS), "look") and turning(KEYS) is turning(STICK) is None
    switches = turning(ActionSpace("multi_binary", (2, 2, 2), names=("TURN_LEFT", "jump", "TURN RIGHT")))
    assert (switches.left.tolist(), switches.right.tolist(), switches.forward) == ([1, 0, 0], [0, 0, 1], None)
    runs = [(key, len(list(run))) for key, run in groupby(played(WALK, "look", 100).tolist())][:-3]
    assert [key == 3 for key, _ in runs[2::3]] == [True] * len(runs[2::3]) and len(runs) > 9
    for (one, first), (other, second) in zip(runs[::3], runs[1::3], strict=False):
        assert {one, other} == {1, 2} and abs(first - second) <= 1
    pairs = set(zip(*(lambda a: (a, a[1:]))(played(WALK, "opposite").tolist()), strict=False))
    assert {(1, 2), (2, 1)} <= pairs


def test_sticks_glide_or_are_thrown():
    slow, full = played(STICK, "slow"), played(STICK, "full")
    assert np.abs(np.diff(slow, axis=0)).max() < 0.2
    assert set(full[:, 0]) == {-1, 0, 1} and set(full[:, 1]) == {0, 1}


def test_who_points():
    assert is_pointer(POINTER) and not is_pointer(STICK) and hands_for(ActionSpace("none")) == ()
    from worldling.data.hands import check_hands

    assert check_hands(POINTER, ()) == hands_for(POINTER) and check_hands(KEYS, ["tap"]) == ("tap",)
    with pytest.raises(ConfigError, match="`hands` must fit the world's actions"):
        check_hands(KEYS, ["sweeps"])
