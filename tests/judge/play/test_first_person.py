"""Worlds with keys that turn: the right one passes, and each fault is seen by the check for it."""

from pathlib import Path

import numpy as np
import pytest
from panorama import FPS, Room

from worldling.data.environment import open_environment
from worldling.foreign import ForeignWorld
from worldling.judge import judge
from worldling.judge.play.checks import Seen
from worldling.judge.play.first_person import TurningBack, view_right, walls_solid
from worldling.judge.truth.driven import Hand, drive_all
from worldling.types import ActionSpace

HANDS = [Hand("hold", (0, i)) for i in range(6)]
TURNS = ("turned_back_1s", "turned_back_2s")


@pytest.fixture(scope="module")
def env():
    opened = open_environment(f"{Path(__file__).parent / 'panorama.py'}:Panorama", 24)
    yield opened
    opened.close()


@pytest.mark.parametrize("kind, passes", [("right", 1), ("still", 0), ("forgets", 0)])
def test_turning_back_shows_the_same_view(env, kind, passes):
    world = Room(kind)
    turns = TurningBack.of(world, FPS)
    turns.drive(env, HANDS, 1, quiet=True)
    given = np.stack([one.given for one in drive_all(env, HANDS, [[0]] * len(HANDS), 1, 1, quiet=True)])
    state = world.start(given, np.zeros((len(HANDS), 0), np.int64))
    for _ in range(2):
        turns.dream(world, state)
        world.step(state, [1] * len(HANDS))
    found = turns.checks()
    assert tuple(found) == TURNS
    for check in found.values():
        assert check.dream.shape == (6, 2) and (check.dream == passes).all()
        assert (check.real[:, 0] == 1).all() and np.isnan(check.real[:, 1]).all()
    if kind == "right":
        turns.real = None
        assert (turns.checks()["turned_back_2s"].dream == 1).all(), "also without a real environment"


@pytest.mark.parametrize("kind, passes", [("right", 1), ("still", 1), ("no walls", 0)])
def test_walls_are_solid(env, kind, passes):
    check = walls_solid(Room(kind), env, HANDS, [5, 20], 4, 1, seed=0, quiet=True)["walls_solid"]
    assert np.isnan(check.dream[:, 0]).any(), "some walk on for a second"
    assert (check.dream[:, 1] == passes).all() and (check.real[:, 1] == 1).all() and "4 steps" in check.definition


def test_the_view_is_right(env):
    driven = drive_all(env, HANDS, [[4]] * len(HANDS), 4, 1, quiet=True)
    real = np.stack([one.frames for one in driven])
    dream = real.copy()
    dream[:2] = dream[:2, :, :, ::-1]
    reached = np.arange(6)[:, None] < 5
    check = view_right(Room(), Seen([4], dream, real, {}, reached))["view_right"]
    np.testing.assert_array_equal(check.dream[:, 0], [0, 0, 1, 1, 1, np.nan])
    np.testing.assert_array_equal(check.real[:, 0], [1, 1, 1, 1, 1, np.nan])
    assert view_right(Room(), Seen([4], dream, None, {}, reached)) == {}


def test_worlds_without_such_keys_are_left_alone(env):
    assert TurningBack.of(Room(names=()), FPS) is None
    assert walls_solid(Room(names=()), env, HANDS, [5], 4, 1, seed=0) == {}


class StillDoom(ForeignWorld):
    """A world of Doom in which nothing ever moves."""

    def __init__(self, names):
        super().__init__(32, ActionSpace("discrete", (10,), names=names), 1, "still", {"env_id": "worldling/Doom-v0"})

    def observe(self, frames, actions, seeds):
        return frames[:, -1]

    def predict(self, state, actions):
        return state, state


def test_the_play_suite_says_it_of_doom():
    pytest.importorskip("vizdoom")
    from worldling.scenes.doom import ACTIONS

    world = StillDoom(ACTIONS)
    found = judge(world, None, suites=("play",), players=2, seconds=(1.0, 3.0), quiet=True)["suites"]["play"]
    assert list(found["hands"]) == ["hold", "tap", "mash", "opposite", "look"]
    checks = found["checks"]
    assert {*TURNS, "view_right", "walls_solid", "alive", "looks_real"} <= set(checks)
    for name in TURNS:
        assert list(checks[name]["dream"]) == ["0.0", "1.0", "3.0"] and checks[name]["real"]["0.0"]["value"] == 1
        assert all(value["value"] == 0 for value in checks[name]["dream"].values())
    assert checks["walls_solid"]["real"]["3.0"]["value"] in (1, None)
    assert checks["view_right"]["real"]["3.0"]["value"] == 1
