"""Choosing a backend: by name, by what this machine has, with one line that says why."""

import copy
import subprocess
import sys

import pytest

import worldling
from worldling.backend import Reference
from worldling.backends import choose, compiled, openvino_graph
from worldling.backends.choose import BACKENDS, BOUND, use_backend
from worldling.errors import BackendError
from worldling.world_files import save_world


def test_an_unknown_name_names_the_nearest(world):
    with pytest.raises(BackendError, match="openvino-int8"):
        use_backend(copy.copy(world), "openvino-int4")


def test_every_backend_has_a_bound():
    assert set(BACKENDS) == set(BOUND)


class Named(Reference):
    """The reference under another name."""

    def __init__(self, world, name, reason):
        super().__init__(world, reason)
        self.name = name


@pytest.mark.parametrize(
    "has, chosen",
    [
        ({"openvino", "int8", "vnni"}, "openvino-int8"),
        ({"openvino", "int8"}, "openvino-bf16"),
        ({"openvino", "g++", "vnni"}, "openvino-bf16"),
        ({"g++"}, "torch"),
        (set(), "reference"),
    ],
)
def test_auto_takes_the_best_there_is_and_says_why(world, monkeypatch, capsys, has, chosen):
    monkeypatch.setattr(choose.importlib.util, "find_spec", lambda name: name if name in has else None)
    monkeypatch.setattr(openvino_graph, "is_built", lambda world, name: "int8" in has)
    monkeypatch.setattr(choose, "cpu_has_int8", lambda: "vnni" in has)
    monkeypatch.setattr(compiled, "compiler", lambda: "g++" if "g++" in has else None)
    monkeypatch.setitem(BACKENDS, chosen, lambda world, why, quiet: Named(world, chosen, f"{why}; built"))
    used = use_backend(copy.copy(world), "auto")
    lines = capsys.readouterr().err.strip().splitlines()
    assert used.backend.name == chosen and len(lines) == 1
    assert lines[0].startswith(f"backend {chosen}: ") and used.backend.reason in lines[0]


def test_openvino_missing_names_the_extra(world, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(BackendError, match=r"worldling\[fast\]"):
        use_backend(copy.copy(world), "openvino-bf16", quiet=True)


def test_switching_back_to_the_reference(world, tiny_clip):
    used = use_backend(copy.copy(world), "reference", quiet=True)
    expected = world.step(world.start(tiny_clip[0][0], tiny_clip[1][0]), 1).frame
    assert (used.step(used.start(tiny_clip[0][0], tiny_clip[1][0]), 1).frame == expected).all()


def test_load(world, tmp_path):
    bare = copy.copy(world)
    bare.contexts = []
    path = save_world(bare, tmp_path / "w")
    assert worldling.load(path, backend="reference").backend.name == "reference"
    with pytest.raises(BackendError, match="device"):
        worldling.load(path, device="tpu")


def test_importing_the_package_is_light():
    code = "import sys, worldling; print(sorted({'torch', 'numpy', 'gymnasium', 'openvino'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]" and done.stderr == ""
