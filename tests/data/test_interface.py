"""Environments that follow another interface, raise, or use the names of other families for themselves."""

import numpy as np
import pytest

from worldling.data.environment import open_environment
from worldling.errors import EnvError, EpisodeError

ODD, NAMED = (f"odd_environments:worldling_odd/{name}-v0" for name in ("Odd", "Named"))


def opened(**keywords):
    env = open_environment(ODD, 16, env_kwargs=keywords)
    env.reset(1)
    return env


@pytest.mark.parametrize(
    "interface, cause",
    [
        ("four", "4 values"),
        ("nothing", "a NoneType"),
        ("word", "one number as its reward, got str"),
        ("none", "one number as its reward, got NoneType"),
        ("vector", "one number as its reward, got 3 numbers"),
    ],
)
def test_another_interface_is_told_in_one_line(interface, cause):
    with pytest.raises(EnvError, match=cause) as caught:
        opened(interface=interface).step(1)
    assert "\n" not in str(caught.value) and not isinstance(caught.value, EpisodeError)


def test_the_wrappers_of_gymnasium_do_not_hide_the_old_interface():
    import gymnasium

    env = opened(interface="four")
    env.raw = gymnasium.wrappers.TimeLimit(env.raw.unwrapped, 50)
    env.reset(1)
    with pytest.raises(EnvError, match="old Gym"):
        env.step(1)


def test_resetting_as_the_old_gym_did_is_told(monkeypatch):
    env = opened()
    monkeypatch.setattr(env, "raw", type("Old", (), {"reset": lambda self: np.zeros(2)})())
    with pytest.raises(EnvError, match="takes no seed"):
        env.reset(1)
    for answer in (np.zeros(2), (np.zeros(2), 0.5), None):
        monkeypatch.setattr(env, "raw", type("Old", (), {"reset": lambda self, seed, answer=answer: answer})())
        with pytest.raises(EnvError, match="does not return observation and info"):
            env.reset(1)


def test_rewards_and_flags_may_be_arrays_of_one():
    assert opened(interface="array").step(1).reward == 0.5
    env = opened(interface="flags", steps=2)
    assert [env.step(1).terminated for _ in range(2)] == [False, True]


@pytest.mark.parametrize("fails, call", [("always", "reset"), ("render", "render")])
def test_an_exception_becomes_one_line_that_names_the_place(fails, call):
    with pytest.raises(EpisodeError, match=rf"{call}\(\) of .*odd_environments\.py, line \d+") as caught:
        open_environment(ODD, 16, env_kwargs={"fails": fails}).reset(1)
    assert "\n" not in str(caught.value)


def test_an_environment_without_render_draws_nothing():
    with pytest.raises(EnvError, match="must draw pixels"):
        open_environment(ODD, 16, env_kwargs={"fails": "no render"}).reset(1)


def test_another_render_mode_is_told():
    with pytest.raises(EnvError, match=r"`render_mode` must be rgb_array, got None .*Leave it out of env_kwargs"):
        open_environment(ODD, 16, env_kwargs={"draws": "nothing", "render_mode": None}).reset(1)


def test_a_maker_that_forgets_the_render_mode_is_told():
    with pytest.raises(EnvError, match=r'got None .*Make the environment with render_mode="rgb_array"'):
        open_environment("test_interface:make_blind", 16).reset(1)


def make_blind():
    from odd_environments import Odd

    return Odd(draws="nothing")


def test_a_package_missed_when_drawing_is_a_missing_package():
    with pytest.raises(EnvError, match=r"must be installed.*pygame is not installed"):
        open_environment(ODD, 16, env_kwargs={"fails": "package"}).reset(1)


@pytest.mark.parametrize("own", [["data"], ["model"], ["data", "model", "state", "ale", "physics"]])
def test_attributes_of_its_own_are_not_taken_for_a_simulators(own):
    env = opened(own=own)
    assert env.state() == {} and env.step(1).frame.shape == (16, 16, 3)


def test_attributes_that_fail_or_are_no_method_are_left_alone():
    env = open_environment(NAMED, 16)
    env.reset(1)
    assert env.state() == {} and env.action_space.names == () and env.fps == 30


def test_mujoco_is_still_read():
    mujoco = pytest.importorskip("mujoco")
    env = opened()
    raw = env.raw.unwrapped
    raw.model = mujoco.MjModel.from_xml_string(
        '<mujoco><worldbody><body><joint type="slide"/><geom size="1"/></body></worldbody></mujoco>'
    )
    raw.data = mujoco.MjData(raw.model)
    assert {name: len(value) for name, value in env.state().items()} == {"qpos": 1, "qvel": 1}
    env._simulator.prepare(raw)
    assert raw.model.vis.quality.shadowsize == 512
