"""Policies: names, mixtures, and the scripted ones behind the shipped worlds."""

import numpy as np
import pytest

from worldling.data.environment import open_environment
from worldling.data.policies import load_policy, policy_name, random, sticky
from worldling.data.record import record
from worldling.data.store import open_dataset
from worldling.errors import ConfigError

TOY = "toy_environments:worldling_toy/Square-v0"
RECIPES = "worldling.recipes.policies:"

BLANK = np.zeros((16, 16, 3), np.uint8)  # no policy here looks at the frame


def play(policy, count=2000, kind="discrete", seed=0):
    env = open_environment(TOY, 16, env_kwargs={"space": kind})
    act = policy(env, seed)
    return np.stack([env.action_space.check(act(BLANK, {}), lead=()) for _ in range(count)])


@pytest.mark.parametrize("kind", ["discrete", "multi_discrete", "multi_binary", "box"])
def test_sticky_repeats_and_random_does_not(kind):
    changes = {}
    for name in ("random", "sticky"):
        actions = play(load_policy(name), kind=kind).reshape(2000, -1)
        changes[name] = (np.diff(actions, axis=0) != 0).any(axis=1).mean()
    assert 0.1 < changes["sticky"] < 0.25 < changes["random"]


def test_the_seed_decides():
    first = play(random, 50)
    assert np.array_equal(first, play(random, 50)) and not np.array_equal(first, play(random, 50, seed=1))


def constant(env, seed):
    return lambda frame, info: 3


def test_mixtures_keep_their_shares():
    actions = play(load_policy("test_policies:constant:0.75, random:0.25"), 20000)
    assert abs((actions == 3).mean() - (0.75 + 0.25 / 5)) < 0.08


@pytest.mark.parametrize(
    "text, says",
    [
        ("stikcy", "Did you mean 'sticky'"),
        ("sticky:0.5,randm:0.5", "Did you mean 'random'"),
        ("", "random, sticky"),
        ("sticky:-1,random:2", "above 0"),
        ("no_such_module:act", "importable"),
        (RECIPES + "pong_folower", "Did you mean 'pong_follower'"),
        ("sticky:nan", "above 0"),
    ],
)
def test_wrong_policies_are_told(text, says):
    with pytest.raises(ConfigError, match=says):
        load_policy(text)


def test_a_function_has_a_name_that_loads_it():
    assert load_policy(policy_name(sticky)) is sticky and policy_name("random") == "random"


def state_of(path, name):
    dataset = open_dataset(path)
    return np.concatenate([dataset.column(f"state/{name}", i) for i in range(len(dataset))])


def test_pong_follower_returns_the_ball(tmp_path):
    pytest.importorskip("ale_py")
    record(
        "ALE/Pong-v5",
        tmp_path / "a",
        frames=1000,
        size_px=16,
        policy=RECIPES + "pong_follower",
        env_kwargs={"repeat_action_probability": 0.0},
        quiet=True,
    )
    dataset = open_dataset(tmp_path / "a")
    assert (state_of(tmp_path / "a", "ram")[:, 54] > 0).mean() > 0.75, "the ball is mostly there"
    assert set(np.unique(dataset.actions(0))) == {0, 2, 3}
    assert (dataset[0].reward < 0).sum() < 8, "it misses a ball in every 150 frames or so"


def test_pusht_pusher_pushes(tmp_path):
    pytest.importorskip("gym_pusht")
    policy = RECIPES + "pusht_pusher"
    record("gym_pusht/PushT-v0", tmp_path / "a", frames=300, size_px=16, policy=policy, quiet=True)
    dataset = open_dataset(tmp_path / "a")
    reach = np.concatenate([np.linalg.norm(e.actions - e.state["agent_pos"][:-1], axis=1) for e in dataset])
    assert 0.6 < (reach <= 151).mean() < 1, "most targets lie near the agent, some far away"
    moved = np.abs(np.diff(state_of(tmp_path / "a", "block_pose")[:300], axis=0)).max(axis=1) > 0.05
    assert moved.mean() > 0.25


def test_carracing_driver_stays_near_the_track():
    pytest.importorskip("Box2D")
    from worldling.recipes.policies import carracing_driver

    env = open_environment("CarRacing-v3", 16)
    frame = env.reset(0)
    act = carracing_driver(env, 0)
    rewards = []
    for _ in range(120):
        step = env.step(act(frame, env.info))
        frame = step.frame
        rewards.append(step.reward)
    assert sum(r > 0 for r in rewards) > 5, "it reaches new tiles"


def test_bricks_player_shows_all_stages_of_the_game():
    from worldling.recipes.policies import bricks_player

    env, left, actions, lost, hit, cleared, beaten = open_environment("worldling/Bricks-v0", 16), [], [], 0, 0.0, 0, 0
    game = env.raw.unwrapped
    for seed in range(14):
        frame, act, over = env.reset(seed), bricks_player(env, seed), False
        while not over:
            lives = game.lives
            actions.append(act(frame, env.info))
            reward, over, _ = env.advance(actions[-1])
            left.append(game.bricks.sum())
            lost, hit = lost + (game.lives < lives), hit + reward
        cleared, beaten = cleared + (not game.bricks.any()), beaten + (game.lives == 0)
    shares = np.histogram(left, [0, 4, 12, 24, 39, 41])[0] / len(left)
    assert (shares > 0.02).all(), "few bricks, some and many"
    assert (np.bincount(actions, minlength=3) / len(actions) > 0.15).all()
    assert 150 < len(left) / lost < 600 and hit / lost > 3, "balls are lost, and bricks hit"
    assert cleared > 1 and beaten > 1, "games are won, and lost"
