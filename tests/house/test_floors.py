"""The house: stairs go down only, rooms of one floor do not know each other, no drawers, no long files."""

import ast
import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "worldling"
FLOORS = [
    {"types", "errors", "config", "plugin", "progress", "protocol"},
    {"checkpoint", "machine", "nn", "data", "scenes", "report", "timing", "frame_error"},
    {"tokenizer", "dynamics"},
    {"world", "world_files", "state", "tick", "foreign", "alarm"},
    {"backends", "learn"},
    {"cost"},
    {"train", "compress", "engine", "plan", "rl", "judge"},
    {"serve"},
    {"cli", "testing", "recipes"},
    {"__main__", "__init__"},
]
#: Single files of one floor that may know each other, from the lowest up.
STAIRS = ["tick", "state", "world", "world_files"]
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
FREE = FLOORS[0]  # the words are free to all
FILES = sorted(ROOT.rglob("*.py"))


def room_of(path):
    first = path.relative_to(ROOT).parts[0]
    return first.removesuffix(".py")


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("worldling."):
            yield node.module.split(".")[1]
        elif isinstance(node, ast.Import):
            yield from (a.name.split(".")[1] for a in node.names if a.name.startswith("worldling."))


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_down(path):
    here = room_of(path)
    assert here in FLOOR, f"{here} has no floor: put it on one in tests/house/test_floors.py"
    for there in imports(path):
        if there == here or there in FREE:
            continue
        below = FLOOR[there] < FLOOR[here] or (
            {here, there} <= set(STAIRS) and STAIRS.index(there) < STAIRS.index(here)
        )
        assert below, f"{path.name} of {here} imports {there}, which is not on a lower floor"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_are_nouns_short_and_introduced(path):
    assert path.stem not in {"utils", "util", "common", "helpers", "misc", "base"}
    text = path.read_text()
    assert text.count("\n") <= 400
    assert ast.get_docstring(ast.parse(text)), "a file begins by saying what it is for"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_errors_are_never_swallowed(path):
    if room_of(path) == "serve":
        return
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ExceptHandler):
            name = getattr(node.type, "id", None)
            reraises = any(isinstance(n, ast.Raise) for n in ast.walk(node))
            assert node.type is not None and (name not in ("Exception", "BaseException") or reraises)


def test_importing_is_light_and_silent():
    code = "import sys, worldling; print(sorted({'torch', 'h5py', 'gymnasium', 'openvino'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_every_file_of_a_bundled_world_is_installed():
    data = tomllib.loads((ROOT.parent / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"][
        "worldling"
    ]
    kept = {path for pattern in data for path in ROOT.glob(pattern)}
    files = {path for path in (ROOT / "worlds").rglob("*") if path.is_file() and ".engine" not in path.parts}
    assert files and files <= kept


def test_bundled_worlds_are_called_as_they_say():
    for folder in (ROOT / "worlds").iterdir():
        assert json.loads((folder / "config.json").read_text())["name"] == folder.name


def test_bundled_worlds_are_small():
    for world in (ROOT / "worlds").iterdir():
        limit = 16e6 if world.name.endswith("-256") else 8e6
        assert sum(p.stat().st_size for p in world.rglob("*") if p.is_file() and ".engine" not in p.parts) <= limit
