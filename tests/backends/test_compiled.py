"""Compiled torch equals the reference within its bound, and its package is kept on disk."""

import copy

import numpy as np
import pytest
import torch

from worldling.backends import compiled
from worldling.backends.choose import BOUND
from worldling.backends.deviation import deviation
from worldling.world_files import load_world, save_world

pytestmark = [pytest.mark.slow, pytest.mark.skipif(compiled.compiler() is None, reason="needs a C++ compiler")]


@pytest.fixture(scope="module")
def folder(warping, tmp_path_factory):
    bare = copy.copy(warping)
    bare.contexts = []
    return save_world(bare, tmp_path_factory.mktemp("compiled") / "w", half=False)


@pytest.fixture(scope="module")
def backend(folder):
    """In fp32: what differs is then the compiler's doing alone."""
    return compiled.CompiledOnCpu(load_world(folder), half=False)


def test_stays_within_its_bound(warping, backend):
    assert deviation(warping, {"torch": backend}, steps=32, starts=2)["torch"].err < BOUND["torch"] / 10


def test_the_second_start_needs_no_compiler(folder, backend, monkeypatch, tiny_clip):
    assert backend.origin in backend.reason
    monkeypatch.setattr(compiled, "compiler", lambda: None)
    again = compiled.CompiledOnCpu(load_world(folder), half=False)
    assert again.origin == "from the cache"
    world = load_world(folder)
    inputs = world.inputs(world.start(tiny_clip[0][0], tiny_clip[1][0]), torch.ones(1, 3))
    first, second = (b.tick(inputs, decode=True) for b in (backend, again))
    assert all(torch.equal(a, b) for a, b in zip(first.flat(), second.flat(), strict=True))


def test_other_weights_run_on_the_reference(make_world, backend, tiny_clip):
    other = make_world(seed=1, warp=2)
    other.backend = backend.like(other)
    assert other.backend.name == "reference"
    ours, theirs = (w.rollout(w.start(*tiny_clip), [1, 2]) for w in (other, make_world(seed=1, warp=2)))
    assert np.array_equal(ours, theirs)
