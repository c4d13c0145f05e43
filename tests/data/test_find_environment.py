"""Environments by name: the three forms, from the folder one is in, and what the errors say."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from worldling.data.environment import open_environment
from worldling.data.find_environment import canonical, find_spec, runs_code
from worldling.data.record import record
from worldling.data.store import open_dataset, read_meta
from worldling.errors import EnvError

GAME = """
import gymnasium as gym
import numpy as np


class MyGame(gym.Env):
    metadata = {"render_modes": ["rgb_array"], "render_fps": 20}
    action_space = gym.spaces.Discrete(3)
    observation_space = gym.spaces.Box(0, 255, (32, 32, 3), np.uint8)

    def __init__(self, colour=200):
        self.colour = colour

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        self.x = int(self.np_random.integers(0, 24))
        return self.render(), {}

    def step(self, action):
        self.x = min(24, max(0, self.x + int(action) - 1))
        return self.render(), 0.0, False, False, {}

    def render(self):
        picture = np.zeros((32, 32, 3), np.uint8)
        picture[8:16, self.x : self.x + 8] = self.colour
        return picture


def make_game(colour=90):
    return MyGame(colour)


gym.register("MyGame-v0", entry_point=MyGame)
gym.register("own/MyGame-v1", entry_point=MyGame, kwargs={"colour": 30})
"""


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A folder with my_game.py in it, which one is in."""
    import gymnasium

    (tmp_path / "my_game.py").write_text(GAME)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p not in ("", str(tmp_path))])
    yield tmp_path
    for own in ("MyGame-v0", "own/MyGame-v1"):  # and no others: a package registers its ids once in a process
        gymnasium.registry.pop(own, None)
    for name in [n for n in sys.modules if n == "my_game" or str(tmp_path) in n]:
        del sys.modules[name]


@pytest.mark.parametrize(
    "env_id, brightest",
    [
        ("my_game.py:MyGame", 200),
        ("./my_game.py:MyGame", 200),
        ("my_game.py:make_game", 90),
        ("my_game.py:MyGame-v0", 200),
        ("my_game:MyGame", 200),
        ("my_game:MyGame-v0", 200),
        ("my_game:own/MyGame-v1", 30),
    ],
)
def test_every_form_opens_from_the_folder_one_is_in(desk, env_id, brightest):
    env = open_environment(env_id, 32)
    assert env.reset(1).max() == brightest and env.fps == 20
    assert (env.step(2).frame != env.reset(1)).any()
    assert env.env_id == env_id.removeprefix("./")


def test_a_file_elsewhere_is_kept_without_its_folder(desk, monkeypatch):
    monkeypatch.chdir(desk.parent)
    env = open_environment(f"{desk}/my_game.py:MyGame", 32, env_kwargs={"colour": 7})
    assert env.env_id == "my_game.py:MyGame" and env.reset(0).max() == 7


def test_a_registered_id_needs_no_code():
    assert not runs_code("CartPole-v1") and not runs_code("ALE/Pong-v5")
    assert runs_code("my_game:MyGame-v0") and runs_code("a/my_game.py:MyGame") and runs_code("my_game.py")
    assert canonical("a/b/my_game.py:MyGame") == "my_game.py:MyGame" and canonical("a.b:C-v0") == "a.b:C-v0"


@pytest.mark.parametrize("env_id", ["my_game.py:MyGame", "my_game:MyGame-v0"])
def test_worker_processes_find_it_too(desk, env_id):
    record(env_id, "data", frames=60, size_px=32, workers=2, quiet=True)
    assert read_meta("data").env_id == env_id and open_dataset("data").num_frames == 60


def test_it_is_resumed_from_another_folder(desk, monkeypatch):
    record("my_game.py:MyGame", desk / "data", frames=20, size_px=32, quiet=True)
    (desk / "elsewhere").mkdir()
    monkeypatch.chdir(desk / "elsewhere")
    record("../my_game.py:MyGame", desk / "data", frames=40, size_px=32, resume=True, quiet=True)
    assert open_dataset(desk / "data").num_frames == 40


def test_a_policy_may_lie_in_the_same_file(desk):
    with open("my_game.py", "a") as file:
        file.write("\n\ndef right(env, seed):\n    return lambda frame, info: 2\n")
    record("my_game.py:MyGame", "data", frames=20, size_px=32, policy="my_game.py:right", quiet=True)
    assert (open_dataset("data").actions(0) == 2).all()


def test_a_file_runs_once_until_it_is_changed(desk):
    file = Path("my_game.py")
    file.write_text(GAME + "\nwith open('runs', 'a') as file:\n    file.write('x')\n")
    for _ in range(3):
        open_environment("my_game.py:MyGame", 32).close()
    assert Path("runs").read_text() == "x"
    file.write_text(file.read_text().replace("colour=200", "colour=100"))
    os.utime(file, ns=(1, 1))
    assert open_environment("my_game.py:MyGame", 32).reset(0).max() == 100


@pytest.mark.parametrize(
    "env_id, says",
    [
        ("NoSuchGame-v0", r"my_game:MyGame-v0.*my_game\.py:MyGame"),
        ("MyGame", r"my_game\.py:MyGame"),
        ("no_such_game.py:MyGame", r"existing file.*Check the path"),
        ("no_such_game:MyGame-v0", r"importable module.*my_game\.py:MyGame"),
        ("my_game.py:MyGaem", "Did you mean 'MyGame'"),
        ("my_game:MyGaem-v0", "Did you mean 'MyGame-v0'"),
        ("my_game.py", r"Did you mean 'my_game\.py:MyGame'"),
        ("my_game.py:", r"Did you mean 'my_game\.py:MyGame'"),
        ("my_game.py:np", r"must name an environment in my_game\.py"),
        (":MyGame", "must be"),
    ],
)
def test_a_wrong_name_is_one_line_that_helps(desk, env_id, says):
    with pytest.raises(EnvError, match=says) as caught:
        open_environment(env_id, 32)
    assert "\n" not in str(caught.value) and "`env_id` must" in str(caught.value)


@pytest.mark.parametrize(
    "code, says",
    [
        ("import gymnasium\nfoo = = 1\n", r"SyntaxError: invalid syntax \(my_game\.py, line 2\)"),
        ("x = 1\ny = no_such_name\n", r"NameError: name 'no_such_name' is not defined \(my_game\.py, line 2\)"),
        ("import no_such_package\n", "No module named 'no_such_package'"),
        (GAME.replace("self.colour = colour", "self.colour = 1 / 0"), r"ZeroDivisionError.*\(my_game\.py, line 12\)"),
        (GAME.replace("self.colour = colour", "raise ValueError('a\\nb')"), r"ValueError: a \(my_game\.py, line 12\)"),
        (GAME.replace("(gym.Env)", ""), "must inherit from the gymnasium.Env class"),
    ],
)
def test_code_that_fails_is_one_line_that_names_the_line(desk, code, says):
    Path("my_game.py").write_text(code)
    with pytest.raises(EnvError, match=says) as caught:
        open_environment("my_game.py:MyGame", 32)
    assert "\n" not in str(caught.value)


def test_wrong_arguments_are_said_to_be_arguments(desk):
    with pytest.raises(EnvError, match=r"unexpected keyword argument 'color'.*Check env_kwargs"):
        open_environment("my_game.py:MyGame", 32, env_kwargs={"color": 3})


@pytest.mark.filterwarnings("ignore:.*render_modes")
def test_a_render_mode_is_only_given_to_what_takes_one(desk):
    Path("drawn.py").write_text(
        GAME.replace("def __init__(self, colour=200):", "def __init__(self, render_mode=None):")
        .replace("self.colour = colour", "self.colour, self.render_mode = 200, render_mode")
        .replace('"render_modes": ["rgb_array"], ', "")
        .replace(
            "        picture = np.zeros", "        assert self.render_mode == 'rgb_array'\n        picture = np.zeros"
        )
        .replace("own/MyGame-v1", "drawn/MyGame-v1")
        .replace('"MyGame-v0"', '"Drawn-v0"')
    )
    assert open_environment("drawn.py:MyGame", 32).reset(0).max() == 200


def test_gymnasium_ids_are_found_as_ever():
    assert find_spec("CartPole-v1").id == "CartPole-v1"
    frame = open_environment("CartPole-v1", 32).reset(0)
    assert frame.shape == (32, 32, 3) and np.ptp(frame) > 0
