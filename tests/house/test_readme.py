"""The README is true: its Python runs, its commands parse, its files exist, and it stays short."""

import re
import shlex
from pathlib import Path

import pytest

from worldling.cli import build_parser

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", TEXT, re.S)
COMMANDS = [
    part.strip()
    for kind, body in BLOCKS
    if kind == "bash"
    for line in body.splitlines()
    for part in line.split("#")[0].split("&&")
    if part.strip().startswith("worldling ")
]


def test_it_is_short():
    assert TEXT.count("\n") <= 170


@pytest.mark.parametrize("command", COMMANDS)
def test_its_commands_parse(command):
    build_parser().parse_args(shlex.split(command)[1:])


@pytest.mark.parametrize("number", range(sum(kind == "python" for kind, _ in BLOCKS)))
def test_its_python_runs(number, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code = [body for kind, body in BLOCKS if kind == "python"][number]
    exec(compile(code, "README.md", "exec"), {})


@pytest.mark.parametrize("target", re.findall(r"\]\(([^)#:]+)\)", TEXT) + re.findall(r'src="([^":]+)"', TEXT))
def test_its_links_lead_somewhere(target):
    assert (ROOT / target).exists()


def test_ci_calls_what_it_says():
    tests = next(
        line for kind, body in BLOCKS if kind == "bash" for line in body.splitlines() if "scripts/check" in line
    )
    install, run = (part.strip() for part in tests.split("&&"))
    script = (ROOT / ".ci" / "run").read_text()
    assert run in script and install.split()[-1].strip("'\"") in script
