"""Compiled torch equals the reference within its bound, and its package is kept on disk."""

import copy

import numpy as np
import pytest
import torch
from with_clips import warping  # noqa: F401

from worldling.engine import compiled
from worldling.engine.backends import BOUND
from worldling.engine.deviation import deviation
from worldling.world_files import load_world, save_world

pytestmark = pytest.mark.skipif(compiled.compiler() is None, reason="needs a C++ compiler")


@pytest.fixture(scope="module")
def folder(warping, tmp_path_factory):
    bare = copy.copy(warping)
    bare.contexts = []
    return save_world(bare, tmp_path_factory.mktemp("compiled") / "w", half=False)


@pytest.fixture(scope="module")
def runner(folder):
    """In fp32: what differs is then the compiler's doing alone."""
    made = compiled.PackageRunner(load_world(folder), half=False)
    made.prepare(1, watch=True)
    return made


def test_stays_within_its_bound(warping, runner):
    assert deviation(warping, {"torch": runner}, steps=32, starts=2)["torch"]["err"] < BOUND["torch"] / 10


def test_the_second_start_needs_no_compiler(folder, runner, monkeypatch, tiny_clip):
    assert runner.how.startswith("built now")
    monkeypatch.setattr(compiled, "compiler", lambda: None)
    again = compiled.PackageRunner(load_world(folder), half=False)
    again.prepare(1, watch=True)
    assert again.how == "built before"
    world = load_world(folder)
    inputs = world.inputs(world.start(tiny_clip[0][0], tiny_clip[1][0]), torch.ones(1, 3))
    assert all(np.array_equal(a, b) for a, b in zip(runner(inputs, True), again(inputs, True)))
