"""Environments: where pictures, actions, names and state come from, and what the errors say."""

import sys

import numpy as np
import pytest
from toy_environments import SPACES

from worldling.data.environment import open_environment, shrink
from worldling.errors import ActionError, ConfigError, EnvError

TOY = "toy_environments:worldling_toy/Square-v0"


@pytest.mark.parametrize("shows", ["image", "dict", "render"])
def test_pixels_are_found_wherever_they_are(shows):
    env = open_environment(TOY, 24, env_kwargs={"shows": shows})
    frame = env.reset(3)
    assert frame.shape == (24, 24, 3) and frame.dtype == np.uint8 and frame.std() > 0
    assert env.fps == 20


@pytest.mark.parametrize("kind", ["discrete", "multi_discrete", "multi_binary", "box"])
def test_every_kind_of_action_reaches_the_environment(kind):
    env = open_environment(TOY, 16, env_kwargs={"space": kind})
    env.reset(0)
    rng = np.random.default_rng(0)
    for _ in range(20):
        action = env.action_space.sample(rng)
        env.step(action)
        native = env.raw.unwrapped.taken[-1]
        assert SPACES[kind].contains(native), "the environment must get what its own space asks for"
        start = 2 if kind == "discrete" else 0
        assert np.allclose(native, action + start)


def test_unbounded_actions_and_missing_pictures_are_errors():
    with pytest.raises(ActionError, match="bounded Box"):
        open_environment(TOY, env_kwargs={"space": "unbounded"})
    with pytest.raises(EnvError, match="must draw pixels"):
        open_environment(TOY, env_kwargs={"shows": "nowhere"}).reset(0)


def test_a_wrong_action_is_an_error():
    env = open_environment(TOY, 16)
    env.reset(0)
    with pytest.raises(ActionError, match=r"lie in 0\.\.4"):
        env.step(7)
    with pytest.raises(ActionError, match="shape"):
        env.step([1, 2])


def test_frame_skip_repeats_the_action_and_sums_the_reward():
    env = open_environment(TOY, 16, frame_skip=4, env_kwargs={"steps": 6})
    env.reset(0)
    first, second = env.step(1), env.step(1)
    assert (first.reward, second.reward) == (4.0, 2.0), "the second step ends with the episode"
    assert second.terminated and env.fps == 5


def test_unknown_ids_name_the_nearest():
    with pytest.raises(EnvError, match="Did you mean 'CartPole-v1'"):
        open_environment("CartPoel-v1")
    with pytest.raises(EnvError, match="Did you mean 'worldling_toy/Square-v0'"):
        open_environment("Square-v0")
    with pytest.raises(EnvError, match="importable module"):
        open_environment("no_such_module:Thing-v0")
    with pytest.raises(EnvError, match="Check env_kwargs"):
        open_environment(TOY, env_kwargs={"colour": 3})


@pytest.mark.parametrize(
    "env_id, module, extra",
    [
        ("ALE/Pong-v5", "ale_py", "atari"),
        ("gym_pusht/PushT-v0", "gym_pusht", "pusht"),
        ("CarRacing-v3", "Box2D", "driving"),
    ],
)
def test_a_missing_package_names_its_extra(monkeypatch, env_id, module, extra):
    for name in [n for n in sys.modules if n.startswith("gymnasium.envs.box2d")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(EnvError, match=rf'pip install "worldling\[{extra}\]"') as caught:
        open_environment(env_id)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("size_px, frame_skip", [(4, None), (4096, None), (64, 0)])
def test_settings_out_of_range_are_errors(size_px, frame_skip):
    with pytest.raises(ConfigError, match="must be"):
        open_environment(TOY, size_px, frame_skip)


def test_shrinking_keeps_the_mean_and_thin_lines():
    picture = np.zeros((256, 256, 3), np.uint8)
    picture[101] = 255  # one line in four would be missed by a filter that samples
    small = shrink(picture, 64)
    assert abs(small.mean() - picture.mean()) < 0.5 and small.max() == 64


def test_atari_skips_natively_and_shows_its_ram():
    pytest.importorskip("ale_py")
    env = open_environment("ALE/Pong-v5", 32, env_kwargs={"repeat_action_probability": 0.0})
    env.reset(0)
    env.step(0)
    assert env.frame_skip == 4 and env.fps == 15
    assert env.raw.unwrapped.ale.getEpisodeFrameNumber() == 4, "skipping on top would give 16"
    assert env.state()["ram"].shape == (128,) and env.action_space.names[:2] == ("NOOP", "FIRE")


@pytest.mark.parametrize("size_px", [64, 256])
def test_pusht_is_drawn_without_the_action_and_tells_its_poses(size_px):
    pytest.importorskip("gym_pusht")
    env = open_environment("gym_pusht/PushT-v0", size_px)
    frame = env.reset(1)
    state = env.state()
    assert frame.shape == (size_px, size_px, 3) and env.action_space.names == ("x", "y") and env.fps == 10
    x, y = (state["agent_pos"] / 512 * size_px).astype(int)
    assert frame[y, x, 2] > frame[y, x, 0] + 50, "the agent is blue and where the state says"
    assert state["block_pose"].shape == (3,) and 0 <= state["block_pose"][2] < 2 * np.pi
    red = env.step([10, 10]).frame.astype(int)
    assert not ((red[..., 0] > 200) & (red[..., 1] < 80)).any(), "no action marker"


@pytest.mark.parametrize("size_px", [64, 128])
def test_carracing_looks_the_same_at_every_size(size_px):
    pytest.importorskip("Box2D")
    env = open_environment("CarRacing-v3", size_px)
    env.reset(1)
    for _ in range(3):
        frame = env.step([0.0, 1.0, 0.0]).frame
    seen = env.raw.unwrapped.state
    assert np.abs(shrink(frame, 32).astype(int) - shrink(seen, 32)).mean() < 3
    assert set(env.state()) == {"position", "angle", "velocity", "angular_velocity"}
    assert env.action_space.names == ("steer", "gas", "brake")


@pytest.mark.parametrize("seen", ["grayscale", "ram", "rgb"])
def test_atari_is_recorded_in_colour_whatever_is_observed(seen):
    pytest.importorskip("ale_py")
    env, usual = (open_environment("ALE/Breakout-v5", 64, env_kwargs=k) for k in ({"obs_type": seen}, {}))
    frames = env.reset(1), usual.reset(1)
    assert np.array_equal(*frames) and (frames[0][..., 0] != frames[0][..., 2]).any()
    assert np.array_equal(env.step(1).frame, usual.step(1).frame)
