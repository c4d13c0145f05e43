"""Names of actions, wherever an environment keeps them."""

import enum
from types import SimpleNamespace

import pytest

from worldling.data.action_names import declared_names
from worldling.data.environment import open_environment


class Moves(enum.IntEnum):
    back = 2
    left = 0
    right = 1


BUTTONS = [SimpleNamespace(name=name) for name in ("MOVE_LEFT", "ATTACK")]
GAME = SimpleNamespace(get_available_buttons=lambda: BUTTONS)


@pytest.mark.parametrize(
    "raw, count, names",
    [
        (SimpleNamespace(get_action_meanings=lambda: ["NOOP", "UP"]), 2, ("NOOP", "UP")),
        (SimpleNamespace(get_action_meanings=lambda: {1: "UP", 0: "NOOP"}), 2, ("NOOP", "UP")),
        (SimpleNamespace(action_names=["a", "b"], get_action_meanings="none"), 2, ("a", "b")),
        (SimpleNamespace(actions=Moves), 3, ("left", "right", "back")),
        (SimpleNamespace(actions=Moves), 2, ("left", "right")),
        (SimpleNamespace(actions=Moves), 4, ()),
        (SimpleNamespace(actions=[0, 1], action_names="ab"), 2, ()),
        (SimpleNamespace(action_type=SimpleNamespace(actions={0: "SLOWER", 1: "IDLE"})), 2, ("SLOWER", "IDLE")),
        (SimpleNamespace(game=GAME), 2, ("MOVE_LEFT", "ATTACK")),
        (
            SimpleNamespace(game=GAME, button_map=[(0, 0), (0, 1), (1, 0), (1, 1)]),
            4,
            ("NOOP", "ATTACK", "MOVE_LEFT", "MOVE_LEFT+ATTACK"),
        ),
        (SimpleNamespace(), 2, ()),
    ],
)
def test_names_are_found(raw, count, names):
    assert declared_names(raw, count) == names


@pytest.mark.parametrize(
    "env_id, keywords, names",
    [
        ("CartPole-v1", {}, ("LEFT", "RIGHT")),
        ("MountainCar-v0", {}, ("LEFT", "NOOP", "RIGHT")),
        ("Pendulum-v1", {}, ("torque",)),
        ("FrozenLake-v1", {}, ("LEFT", "DOWN", "RIGHT", "UP")),
        ("CarRacing-v3", {}, ("steer", "gas", "brake")),
        ("CarRacing-v3", {"continuous": False}, ("NOOP", "RIGHT", "LEFT", "GAS", "BRAKE")),
    ],
)
def test_environments_of_gymnasium_have_names(env_id, keywords, names):
    if env_id.startswith("CarRacing"):
        pytest.importorskip("Box2D")
    env = open_environment(env_id, 64, env_kwargs=keywords)
    assert env.action_space.names == names
    env.close()


@pytest.mark.parametrize("motor, wanted", [('name="knee motor"', "knee motor"), ("", "knee")])
def test_axes_of_mujoco_are_called_as_its_actuators_or_joints(motor, wanted):
    mujoco = pytest.importorskip("mujoco")
    model = mujoco.MjModel.from_xml_string(
        '<mujoco><worldbody><body><joint name="knee"/><geom size="1"/></body></worldbody>'
        f'<actuator><motor joint="knee" {motor}/></actuator></mujoco>'
    )
    physics = SimpleNamespace(model=SimpleNamespace(ptr=model))
    wrapped = SimpleNamespace(_env=SimpleNamespace(physics=physics))
    for raw in (SimpleNamespace(model=model), SimpleNamespace(physics=physics), wrapped):
        assert declared_names(raw, 1) == (wanted,) and declared_names(raw, 2) == ()
