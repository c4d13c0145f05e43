"""The house: stairs go down only, rooms of one floor do not know each other, no drawers, no long files."""

import ast
import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from import_graph import find_cycle, find_imports, module_of

ROOT = Path(__file__).parents[2] / "worldling"
#: Rooms from the ground up, those to come included; files of one floor that make up a room stand in a group.
FLOORS = [
    [{"types", "errors", "config", "plugin", "progress", "protocol", "untrusted", "about", "folder_lock"}, "player"],
    [{"checkpoint", "packed"}, "machine", "frame_error", "nn", "scenes", "report", "timing"],
    ["data"],  # which opens the scenes by their names
    ["tokenizer", "dynamics"],
    [{"world", "backend", "world_files", "world_limits", "state", "tick", "foreign", "alarm"}, "description"],
    ["backends", "learn"],
    ["cost"],  # which the judge shows
    ["train", "plan", "rl", "engine", "export", "judge"],
    ["compress"],  # which trains and judges
    ["serve"],
    ["cli", "testing", "recipes"],
    [{"__main__", "__init__"}],
]
#: part of the package -> (its floor, its room)
PLACES = {
    part: (number, min(room) if isinstance(room, set) else room)
    for number, rooms in enumerate(FLOORS)
    for room in rooms
    for part in (room if isinstance(room, set) else {room})
}
FILES = sorted(ROOT.rglob("*.py"))
MODULES = {module_of(path, ROOT): path for path in FILES}


def part_of(module):
    """Return the file or folder in the package that a module lies in."""
    return module.split(".")[1] if "." in module else "__init__"


def imports(module):
    path = MODULES[module]
    return list(find_imports(path.read_text(), module, MODULES.keys(), path.name == "__init__.py"))


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_down(module):
    here = part_of(module)
    assert here in PLACES, f"{here} has no floor: put it on one in tests/house/test_floors.py"
    floor, room = PLACES[here]
    for found in imports(module):
        there = PLACES[part_of(found.module)]
        assert there[0] < floor or there == (floor, room), (
            f"{module}, line {found.line}, imports {found.module}, which is not on a lower floor"
        )


def test_there_are_no_cycles():
    graph = {module: {found.module for found in imports(module)} - {module} for module in MODULES}
    assert find_cycle(graph) == []


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_are_nouns_short_and_introduced(path):
    assert path.stem not in {"utils", "util", "common", "helpers", "misc", "base"}
    text = path.read_text()
    assert text.count("\n") <= 400
    assert ast.get_docstring(ast.parse(text)), "a file begins by saying what it is for"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_errors_are_never_swallowed(path):
    if path.relative_to(ROOT).parts[0] == "serve":
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
