"""Packages that register their ids when they are imported: plain ids, what is missing, and what they print."""

import functools
import sys

import numpy as np
import pytest

from worldling.data import simulators
from worldling.data.environment import open_environment
from worldling.data.packages import PACKAGES
from worldling.data.simulators import is_known, simulator_of
from worldling.errors import EnvError

PACKAGE = """
import enum
import sys

import gymnasium as gym
import numpy as np

print("welcome")
print("news of the package", file=sys.stderr)


class Actions(enum.IntEnum):
    left = 0
    right = 1
    forward = 2
    done = 3


class Grid(gym.Env):
    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}
    actions = Actions
    action_space = gym.spaces.Discrete(3)
    observation_space = gym.spaces.Dict(image=gym.spaces.Box(0, 255, (7, 7, 3), np.uint8))

    def __init__(self, render_mode=None):
        print("falling back")
        self.render_mode = render_mode

    def see(self):
        return {"image": np.ones((7, 7, 3), np.uint8)}

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        self.count = 0
        return self.see(), {}

    def step(self, action):
        self.count += 1
        return self.see(), 0.0, self.count == 5, False, {}

    def render(self):
        assert self.render_mode == "rgb_array"
        return np.full((64, 64, 3), 10 * self.count, np.uint8) if self.count < 5 else None


gym.register("MiniGrid-Fake-v0", entry_point="minigrid.envs:Grid")
"""


@pytest.fixture
def minigrid(tmp_path, monkeypatch):
    """A package of that name, which registers one id; whatever is installed under it is out of sight."""
    import gymnasium

    (tmp_path / "minigrid").mkdir()
    (tmp_path / "minigrid" / "__init__.py").write_text("from minigrid import envs\n")
    (tmp_path / "minigrid" / "envs.py").write_text(PACKAGE)
    before = dict(gymnasium.registry)
    hidden = {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] == "minigrid"}
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "minigrid"]:
        del sys.modules[name]
    sys.modules.update(hidden)
    # Other packages may have been imported meanwhile: what they registered stays, as they do not register it again.
    for name in [name for name, spec in gymnasium.registry.items() if str(spec.entry_point).startswith("minigrid")]:
        del gymnasium.registry[name]
    gymnasium.registry.update(before)


@pytest.mark.parametrize("env_id", ["MiniGrid-Fake-v0", "minigrid:MiniGrid-Fake-v0"])
def test_an_id_needs_no_module_before_it_and_prints_nothing(minigrid, capsys, env_id):
    env = open_environment(env_id, 64)
    assert env.reset(0).shape == (64, 64, 3) and env.fps == 10
    assert env.action_space.names == ("left", "right", "forward"), "of four, the three that it takes"
    assert env.license == "MIT" and capsys.readouterr() == ("", "")


def test_an_end_at_which_nothing_is_drawn_keeps_the_last_picture(minigrid):
    env = open_environment("MiniGrid-Fake-v0", 64)
    env.reset(0)
    steps = [env.step(0) for _ in range(5)]
    assert steps[-1].terminated and np.array_equal(steps[-1].frame, steps[-2].frame)
    assert steps[-1].frame is not steps[-2].frame


@pytest.mark.parametrize("env_id", ["MiniGrid-Fkae-v0", "minigrid:MiniGrid-Fkae-v0"])
def test_a_wrong_id_of_a_package_names_the_nearest(minigrid, env_id):
    with pytest.raises(EnvError, match=r"Did you mean 'MiniGrid-Fake-v0'"):
        open_environment(env_id)


@pytest.mark.parametrize(
    "env_id, says",
    [
        ("MiniGrid-Empty-8x8-v0", "pip install minigrid"),
        ("BabyAI-GoToRedBall-v0", "pip install minigrid"),
        ("MiniWorld-Hallway-v0", "pip install miniworld"),
        ("highway-fast-v0", "pip install highway-env"),
        ("VizdoomBasic-v1", "pip install vizdoom"),
        ("CrafterReward-v1", "pip install crafter"),
        ("FetchPush-v4", "pip install gymnasium-robotics"),
        ("dm_control/cheetah-run-v0", r'pip install "shimmy\[dm-control\]" "mujoco>=3\.10'),
    ],
)
def test_a_package_that_is_not_installed_is_told_with_what_to_install(monkeypatch, env_id, says):
    import gymnasium

    for name in [n for n, spec in gymnasium.registry.items() if simulator_of(spec.entry_point) in PACKAGES]:
        monkeypatch.delitem(gymnasium.registry, name)
    for package in PACKAGES:
        monkeypatch.setitem(sys.modules, package.module, None)
    with pytest.raises(EnvError, match=says) as caught:
        open_environment(env_id)
    assert "must be installed" in str(caught.value) and "\n" not in str(caught.value)


def test_a_package_without_its_own_packages_is_told(minigrid, tmp_path):
    (tmp_path / "minigrid" / "envs.py").write_text("")
    with pytest.raises(EnvError, match=r"minigrid registers no such environment.*pip install minigrid"):
        open_environment("MiniGrid-Fake-v0")
    (tmp_path / "minigrid" / "__init__.py").write_text("import sys\nsys.no_such_thing\n")
    del sys.modules["minigrid"]
    with pytest.raises(EnvError, match=r"must be installed.*no_such_thing.*pip install minigrid"):
        open_environment("MiniGrid-Fake-v0")


def test_an_id_of_ones_own_may_begin_like_a_packages(monkeypatch):
    import gymnasium
    from toy_environments import Square

    monkeypatch.setitem(sys.modules, "highway_env", None)
    monkeypatch.setitem(
        gymnasium.registry, "merge-v0", gymnasium.envs.registration.EnvSpec("merge-v0", entry_point=Square)
    )
    assert open_environment("merge-v0", 16).reset(0).shape == (16, 16, 3)
    assert open_environment("toy_environments:merge-v0", 16).reset(0).shape == (16, 16, 3)


def test_a_package_is_known_by_the_function_that_makes_its_environments():
    def make(name):
        return name

    make.__module__ = "shimmy.registration"
    assert simulator_of(functools.partial(make, name="cheetah")).name == "shimmy"
    assert is_known("dm_control/cheetah-run-v0") and is_known("VizdoomBasic-v1") and not is_known("Mini-v0")


def test_the_rate_is_that_of_the_game_where_the_package_says_another():
    class Road:
        config = {"policy_frequency": 5}  # noqa: RUF012
        metadata = {"render_fps": 10}  # noqa: RUF012
        dt = 0.025
        unwrapped = property(lambda self: self)

    rates = {package.name: package.frames_per_second(Road()) for package in PACKAGES}
    assert rates["highway_env"] == 5 and rates["shimmy"] == 40 and rates["minigrid"] == 10
    assert next(p for p in PACKAGES if p.name == "highway_env").frames_per_second(object()) == 30


def test_a_machine_without_a_screen_draws_off_it(monkeypatch):
    if sys.platform != "linux":
        pytest.skip("elsewhere there is a screen")
    names = ("SDL_VIDEODRIVER", "SDL_AUDIODRIVER", "PYGLET_HEADLESS", "DISPLAY", "WAYLAND_DISPLAY")
    for name in names:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SDL_AUDIODRIVER", "alsa")
    simulators.prepare_process()
    import os

    assert [os.environ.get(name) for name in names[:3]] == ["offscreen,dummy", "alsa", "1"]
    for name in ("SDL_VIDEODRIVER", "PYGLET_HEADLESS"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("DISPLAY", ":0")
    simulators.prepare_process()
    assert "SDL_VIDEODRIVER" not in os.environ and "PYGLET_HEADLESS" not in os.environ
