"""What goes into a tick and comes out of it is the same by name and in a row, whole and in parts."""

import pytest
import torch

from worldling.tick import FlatTick, Tick, TickInputs, TickOutputs


@pytest.fixture(params=[(0, 0), (2, 0), (0, 5), (2, 5)], ids=["plain", "warp", "keypoints", "both"])
def world(request, make_world):
    warp, keypoints = request.param
    return make_world(2, warp=warp, keypoints=keypoints)


@pytest.fixture
def inputs(world, tiny_clip):
    state = world.start(*tiny_clip)
    return world.inputs(state, torch.eye(3), world.guess(state, torch.eye(3)))


def same(one, other):
    return type(one) is type(other) and all(torch.equal(a, b) for a, b in zip(one.flat(), other.flat(), strict=True))


def test_flat_inputs_come_back(world, inputs):
    again = TickInputs.from_flat(inputs.flat(), inputs.shown is not None, inputs.hint is not None)
    assert same(again, inputs) and len(again.memory) == 2 * world.dynamics.config.time_layers
    assert (again.shown is None) == (world.dynamics.config.warp == 0)
    assert (again.hint is None) == (world.dynamics.config.keypoints == 0)
    assert inputs.flat() == (*inputs.small, *inputs.memory)


def test_parts_are_the_whole(inputs):
    parts = inputs.split(2)
    assert [part.batch for part in parts] == [2, 1]
    whole = [torch.cat(column) for column in zip(*(part.flat() for part in parts), strict=True)]
    assert same(TickInputs.from_flat(whole, inputs.shown is not None, inputs.hint is not None), inputs)


@pytest.mark.parametrize("decode", [True, False])
@torch.inference_mode()
def test_a_flat_tick_is_the_tick_and_one_graph(world, inputs, unchecked_shapes, decode):
    tick = Tick(world.tokenizer, world.dynamics, decode)
    made = tick(inputs)
    assert (made.frame is None) != decode and same(TickOutputs.from_flat(made.flat(), decode), made)
    for run in (FlatTick(tick), torch.compile(FlatTick(tick), backend="eager", fullgraph=True, dynamic=False)):
        assert same(TickOutputs.from_flat(run(*inputs.flat()), decode), made)


@torch.inference_mode()
def test_what_is_remembered_does_not_depend_on_what_is_drawn(world, inputs):
    alone, made = world.backend.remember(inputs), world.backend.tick(inputs, decode=True).memory
    assert all(torch.equal(a, b) for a, b in zip(alone, made, strict=True))
