"""docs/your_own_game.md is true: every command in it runs, in order, and the game it is about can be played."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from urllib.parse import urljoin

import numpy as np
import pytest

from worldling.cli import build_parser, main
from worldling.data.environment import open_environment
from worldling.data.policies import load_policy

ROOT = Path(__file__).parents[2]
GAME = ROOT / "examples" / "my_game.py"
TEXT = (ROOT / "docs" / "your_own_game.md").read_text()
COMMANDS = [line for body in re.findall(r"```bash\n(.*?)```", TEXT, re.DOTALL) for line in body.splitlines()]
(FROM_PYTHON,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
#: what makes each command short enough for a test; the page's own values are what people use
SHORT = {
    "record": ["--frames", "900"],
    "info": [],
    "train": ["--steps", "3", "--size", "xs"],
    "play": ["--no-browser", "--port", "0", "--backend", "reference"],
    "judge": ["--starts", "4", "--horizons", "1,2", "--suite", "fidelity", "--backend", "reference"],
    "ladder": ["--starts", "4", "--horizon", "2", "--seconds", "0.05", "--forms", "none"],
    "cost": ["--backend", "reference", "--seconds", "0.1", "--batch", "2"],
}


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """An empty folder with only the example in it, which one is in."""
    (tmp_path / "examples").mkdir()
    shutil.copy(GAME, tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    return tmp_path


def test_the_game_is_sixty_lines():
    game = GAME.read_text().partition("\n\n\ndef follow")[0]
    assert game.count("\n") < 60


@pytest.mark.slow
def test_every_command_runs_in_order(desk, capsys):
    assert {shlex.split(command)[1] for command in COMMANDS} == set(SHORT)
    for command in COMMANDS:
        given = shlex.split(command)[1:]
        build_parser().parse_args(given)  # as it stands on the page
        if given[0] == "play":
            _play([*given, *SHORT["play"]])
        else:
            assert main([*given, *SHORT[given[0]]]) == 0, (command, capsys.readouterr().err)
    assert (desk / "data/my_game/contact_sheet.png").exists()
    assert (desk / "worlds/my_game/judge/report.html").exists()
    source = json.loads((desk / "worlds/my_game/card.json").read_text())["source"]
    assert source["env_id"] == "my_game.py:MyGame"


def _play(given):
    """Play in a process of its own, ask for the page and the world, and stop it as Ctrl-C does."""
    command = [sys.executable, "-m", "worldling", *given, "--json"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)
    with process:
        try:
            line = process.stdout.readline()
            if not line:
                raise AssertionError(process.stderr.read())
            with urllib.request.urlopen(urljoin(json.loads(line)["url"], "api/world")) as answer:
                world = json.load(answer)
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    assert world["beside"] and world["fps"] == 20 and world["action_space"]["names"] == ["NOOP", "LEFT", "RIGHT"]


@pytest.mark.slow
def test_its_python_runs(desk, capsys):
    exec(compile(FROM_PYTHON, "your_own_game.md", "exec"), {})
    assert (desk / "worlds/mine/config.json").exists()


@pytest.mark.parametrize("target", re.findall(r"\]\((?!https?:)([^)#:]+)\)", TEXT))
def test_its_links_lead_somewhere(target):
    assert (ROOT / "docs" / target).exists()


def _episode(policy, seed, limit=3000):
    env = open_environment(f"{GAME}:MyGame")
    frame, total, frames = env.reset(seed), 0.0, []
    act = load_policy(policy)(env, seed)
    for _ in range(limit):
        frames.append(frame)
        step = env.step(act(frame, env.info))
        frame, total = step.frame, total + step.reward
        if step.terminated:
            break
    return np.stack(frames), total, env


def test_the_follower_wins_and_chance_loses():
    (_, won, env), (short, lost, _) = _episode(f"{GAME}:follow", 0), _episode("random", 0)
    assert won == 16 == env.info["score"] and not env.raw.unwrapped.bricks.any()
    assert lost < 16 and len(short) < 1000


def test_the_same_seed_gives_the_same_game():
    one, two, other = (_episode("sticky", seed)[0] for seed in (3, 3, 4))
    assert np.array_equal(one, two) and not np.array_equal(one[:20], other[:20])


def test_the_ball_is_seen_and_the_paddle_follows_the_keys():
    env = open_environment(f"{GAME}:MyGame")
    env.reset(0)
    game = env.raw.unwrapped
    for action, way in ((1, -3), (2, 3), (0, 0)):
        before = game.paddle
        frame = env.step(action).frame
        assert game.paddle == before + way
        assert (frame == 255).all(-1).sum() == 16, "a ball of 4 x 4 px"
        assert (frame[60:63] == (120, 220, 160)).all(-1).sum() == 3 * 14
