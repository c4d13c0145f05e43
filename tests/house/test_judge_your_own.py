"""docs/judge_your_own.md is true: its code runs as it stands, in under 60 lines, and its commands do what they say."""

import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest

from worldling.cli import build_parser, main
from worldling.data.store import DatasetMeta, DatasetWriter
from worldling.types import ActionSpace, Episode

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "judge_your_own.md").read_text()
WORLD, CONTRACT, FROM_PYTHON = re.findall(r"```python\n(.*?)```", TEXT, re.S)
COMMANDS = [
    line for body in re.findall(r"```bash\n(.*?)```", TEXT, re.S) for line in body.replace("\\\n", "").splitlines()
]
JUDGE_IT = [command for command in COMMANDS if "my_world.py:Mine" in command]


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A folder with the page's files in it, and held-out data: a square that moves."""
    for code in (WORLD, CONTRACT):
        (tmp_path / code.split("\n")[0].removeprefix("# ")).write_text(code)
    space = ActionSpace("box", low=(0, 0), high=(512, 512))
    frames, nothing = np.full((30, 64, 64, 3), 200, np.uint8), np.zeros(29, np.float32)
    for t in range(30):
        frames[t, 20:30, t : t + 10] = 40
    with DatasetWriter(tmp_path / "data/pusht-test", DatasetMeta("gym_pusht/PushT-v0", 64, space, seed=1)) as writer:
        for _ in range(2):
            writer.write(Episode(frames, np.zeros((29, 2), np.float32), nothing, nothing > 0, nothing > 0))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("my_world", None)


def test_a_foreign_model_is_judged_in_under_60_lines():
    assert (WORLD + CONTRACT + FROM_PYTHON).count("\n") < 60


def test_its_world_keeps_the_contract(desk):
    names: dict = {}
    exec(compile(CONTRACT, "test_my_world.py", "exec"), names)
    for law in [name for name in dir(names["TestMine"]) if name.startswith("test_")]:
        getattr(names["TestMine"](), law)()


def test_its_python_judges(desk, capsys):
    exec(compile(FROM_PYTHON, "judge_your_own.md", "exec"), {})
    assert (desk / "judged" / "report.html").exists()
    assert "'10': {'value'" in capsys.readouterr().out


def test_its_command_judges(desk):
    (command,) = JUDGE_IT
    assert main([*shlex.split(command)[1:], "--starts", "4", "--horizons", "1,2"]) == 0
    assert (desk / "judged" / "report.html").exists()


@pytest.mark.parametrize("command", [command for command in COMMANDS if command.startswith("worldling ")])
def test_its_commands_parse(command):
    build_parser().parse_args(shlex.split(command)[1:])


@pytest.mark.parametrize("target", re.findall(r"\]\(([^)#:]+)\)", TEXT))
def test_its_links_lead_somewhere(target):
    assert (ROOT / "docs" / target).exists()
