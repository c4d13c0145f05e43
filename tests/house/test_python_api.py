"""`import worldling` gives every command as a function, fetched when used, and loads no torch."""

import subprocess
import sys
from pathlib import Path

import pytest

import worldling
from worldling.errors import CheckpointError, ConfigError, EnvError

ROOT = Path(__file__).parents[2]
COMMANDS = ("make_env", "record", "record_by_playing", "train", "judge", "play", "load", "bench")


def test_importing_and_naming_what_there_is_loads_no_torch():
    code = (
        "import sys, worldling; dir(worldling); worldling.train, worldling.judge, worldling.make_env; "
        "assert callable(worldling.train) and callable(worldling.judge); print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert (done.stdout.strip(), done.stderr) == ("False", "")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_a_function_that_is_described(name):
    assert callable(getattr(worldling, name)) and name in dir(worldling)


def test_a_folder_stays_a_function_when_what_is_in_it_was_imported():
    import worldling.judge.judgement
    import worldling.train.train

    assert callable(worldling.train) and callable(worldling.train.train.train)
    assert callable(worldling.judge) and callable(worldling.judge.judgement.judge)
    from worldling.judge import SUITES

    assert "fidelity" in SUITES


def test_they_take_what_the_command_line_takes(tmp_path):
    with pytest.raises(ConfigError, match="Did you mean 'minutes'"):
        worldling.train(tmp_path, tmp_path / "w", minuets=3)
    with pytest.raises(CheckpointError, match="must be a world's folder"):
        worldling.judge(tmp_path / "nothing")
    with pytest.raises(ConfigError, match="must name an existing file"):
        worldling.play(f"{tmp_path}/nosuch.py:World")
    with pytest.raises(EnvError, match=r"my_game\.py:MyGame"):
        worldling.make_env("NoSuchGame-v0")
    assert not list(tmp_path.iterdir())


def test_play_opens_what_it_is_told(monkeypatch):
    served, named = [], []
    monkeypatch.setattr("worldling.serve.run.serve_catalogue", lambda *given: served.append(given))
    monkeypatch.setattr("worldling.serve.run.real_opener", lambda world, beside: named.append(beside) or (lambda: None))
    worldling.play("physics", beside="my_game.py:MyGame", port=0, backend="reference")
    ((worlds, host, port, *_),) = served
    assert (worlds.host(None).world.path.name, host, port) == ("physics", "127.0.0.1", 0)
    assert named == ["my_game.py:MyGame"]


def test_the_docstring_shows_the_loop():
    for name in ("make_env", "record", "train", "judge", "play"):
        assert f"worldling.{name}(" in worldling.__doc__
