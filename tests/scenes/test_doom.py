"""Doom: the same seed walks the same way, turning back comes back, walls are solid, doors obey, and no file is left."""

import re

import gymnasium
import numpy as np
import pytest

pytest.importorskip("vizdoom")

import worldling.scenes  # noqa: F401  (registers it)
from worldling.data.environment import open_environment
from worldling.errors import EnvError
from worldling.recipes.policies import doom_walker
from worldling.scenes import doom_map
from worldling.scenes.doom import ACTIONS, DoomEnv

ID = "worldling/Doom-v0"
FORWARD, BACK, LEFT, RIGHT, USE = (
    ACTIONS.index(name) for name in ("FORWARD", "BACK", "TURN LEFT", "TURN RIGHT", "USE")
)


@pytest.fixture(scope="module")
def game():
    env = DoomEnv(screen_px=120)
    yield env
    env.close()


def walk(game, action, count):
    return np.array([(game.step(action), game.place)[1] for _ in range(count)])


def test_the_same_seed_and_actions_walk_the_same_way():
    actions = np.random.default_rng(0).integers(len(ACTIONS), size=30)
    env, other = open_environment(ID, 32), open_environment(ID, 32)

    def play(env, seed):
        frames = np.stack([env.reset(seed), *(env.step(action).frame for action in actions)])
        return frames, env.state()

    for one, again in ((env, env), (env, other)):  # in a second episode, and in a second engine
        (frames, state), (others, stated) = play(one, 3), play(again, 3)
        assert np.array_equal(frames, others) and all(np.array_equal(state[name], stated[name]) for name in state)
    assert not np.array_equal(frames, play(env, 4)[0])
    env.close()
    other.close()


def test_it_is_what_gymnasium_and_the_player_expect_and_leaves_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "a b"))
    (tmp_path / "a b").mkdir()
    env = open_environment(ID, 64)
    assert env.action_space.names == ACTIONS and env.fps == 17.5 and "Freedoom" in env.license
    assert env.action_space.noop == 0 and env.raw.spec.max_episode_steps == 1000
    env.reset(0)
    shapes = {name: value.shape for name, value in env.state().items()}
    assert shapes == {"position": (2,), "angle": (), "velocity": (2,), "doors": (5,)}
    assert env.picture_px == (240, 240) and env.draw().std() > 10
    assert gymnasium.make(ID, obs_type="state").reset(seed=0)[0].shape == (11,)
    env.close()
    env.raw.unwrapped.close()
    assert [path.name for path in tmp_path.iterdir()] == ["a b"]
    for keywords in (dict(screen_px=64), dict(open_share=2), dict(obs_type="ram")):
        with pytest.raises(EnvError, match="`"):
            DoomEnv(**keywords)


def test_turning_back_comes_back_exactly(game):
    game.reset(seed=1, options={"place": (864, 672), "heading": 5, "doors": ""})
    before, heading = game.render(), game.heading
    for count in (1, 9, 35):
        walk(game, RIGHT, count)
        assert game.heading == (heading - count) % 64
        walk(game, LEFT, count)
        assert np.array_equal(game.render(), before) and game.place == (864, 672)
    walk(game, RIGHT, 64)
    assert np.array_equal(game.render(), before), "a full circle"


def test_walls_are_solid_and_slid_along(game):
    game.reset(seed=1, options={"place": (1000, 800), "heading": 16, "doors": ""})
    places = walk(game, FORWARD, 30)
    assert np.ptp(places[-10:], axis=0).max() == 0 and 870 <= places[-1][1] <= 880, "the wall is at 896"
    still = game.render()
    assert np.array_equal((walk(game, FORWARD, 5), game.render())[1], still)
    walk(game, RIGHT, 6)
    slid = walk(game, FORWARD, 12)
    assert slid[-1][0] > 1050 and np.ptp(slid[:, 1]) < 2
    walk(game, BACK, 20)
    assert game.place[1] < slid[-1][1] - 50


def test_doors_open_and_close_when_they_are_used_and_stay_as_they_are(game):
    for door in doom_map.DOORS:
        for other in (False, True):
            place, heading = doom_map.before_door(door, other)
            game.reset(seed=2, options={"place": place, "heading": heading, "doors": ""})
            assert not game.doors().any()
            for wanted in (1.0, 0.0):
                walk(game, USE, 1)
                walk(game, 0, 30)
                assert game.doors()[int(door) - 1] == wanted and game.doors().sum() == wanted
    game.reset(seed=2, options={"doors": "135"})
    assert game.doors().tolist() == [1, 0, 1, 0, 1]
    walk(game, 0, 200)
    assert game.doors().tolist() == [1, 0, 1, 0, 1]


def test_what_cannot_be_begun_or_done_is_said(game):
    for options in ({"place": (5, 5)}, {"doors": "9"}, {"where": 1}):
        with pytest.raises(EnvError, match="`options"):
            game.reset(options=options)
    with pytest.raises(EnvError, match="`action` must be from 0 to 9"):
        game.step(10)


def test_the_walker_goes_about_opens_doors_and_turns_back():
    env, cells, taken, opened = open_environment(ID, 16, env_kwargs={"screen_px": 120}), set(), "", 0
    for seed in range(2):
        act, doors, frame = doom_walker(env, seed), None, env.reset(seed)
        for _ in range(500):
            action = act(frame, {})
            env.advance(action)
            state, taken = env.state(), taken + str(action)
            cells.add(doom_map.cell_at(*state["position"]))
            opened += 0 if doors is None else int(((state["doors"] > 0.1) & (doors <= 0.1)).sum())
            doors = state["doors"]
    env.close()
    turns = re.findall("3330{0,3}444|4440{0,3}333", taken)
    assert len(cells) > 40 and len(turns) > 4 and opened > 0, (len(cells), len(turns), opened)
    assert set(taken) == set("0123456789") and "1" * 12 in taken, "all actions, and straight ways"
