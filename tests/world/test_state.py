"""A state can be forked, saved and loaded, and what comes out steps as the original would."""

import numpy as np
import pytest
import torch

from worldling.checkpoint import write_tensors
from worldling.errors import CheckpointError, ShapeError
from worldling.state import State
from worldling.world_files import save_world

ACTIONS = np.random.default_rng(1).integers(0, 3, 12)


@pytest.fixture(
    params=[{}, {"passes": 2}, {"passes": 2, "warp": 2}, {"keypoints": 5}],
    ids=["one pass", "two passes", "warp", "keypoints"],
)
def world(request, make_world):
    return make_world(**request.param)


def tensors_of(state):
    extra = [tensor for tensor in (state.shown, state.points) if tensor is not None]
    memory = state.memory
    return [state.latent, state.previous, state.seeds, memory.stamp, memory.index, *memory.tensors, *extra]


def test_rows_are_repeated_in_place(world, tiny_clip):
    state = world.start(*tiny_clip, seed=[5, 6, 7])
    world.rollout(state, ACTIONS[:2])
    forks = state.fork(2)
    assert (forks.batch, forks.index) == (6, 2)
    for wide, narrow in zip(tensors_of(forks), tensors_of(state), strict=True):
        assert torch.equal(wide, narrow.repeat_interleave(2, 0))
    first = world.step(forks, [0] * 6).frame
    assert np.array_equal(first[::2], first[1::2]), "same seed, same action"
    assert (np.abs(first[::2].astype(int) - world.step(state, [0] * 3).frame) > 1).mean() < 1e-3
    assert torch.equal(forks.memory.stamp[::2], state.memory.stamp)


def test_a_fork_of_no_rows_is_refused(tiny_world, tiny_clip):
    with pytest.raises(ShapeError, match="`n` must be at least 1, got 0"):
        tiny_world.start(*tiny_clip).fork(0)


def test_a_row_is_put_in_place_of_another(world, tiny_clip):
    frames, actions = tiny_clip
    state, alone = world.start(frames, actions), world.start(frames[:1], actions[:1], seed=9)
    kept = [tensor.clone() for tensor in tensors_of(state)]
    state.put_row(2, alone)
    for now, before, one in zip(tensors_of(state), kept, tensors_of(alone), strict=True):
        assert torch.equal(now[2], one[0]) and torch.equal(now[:2], before[:2])


@pytest.mark.parametrize("batched", [True, False])
def test_a_restored_state_steps_as_the_original(world, batched, tiny_clip, tmp_path):
    frames, actions = tiny_clip if batched else (part[0] for part in tiny_clip)
    state = world.start(frames, actions, seed=3)
    world.rollout(state, ACTIONS[:5])
    state.save(tmp_path / "state")
    restored = State.load(tmp_path / "state", like=world.empty_state(1))
    assert (restored.index, restored.batched) == (5, batched)
    assert all(torch.equal(a, b) for a, b in zip(tensors_of(restored), tensors_of(state), strict=True))
    assert np.array_equal(world.rollout(restored, ACTIONS[5:]), world.rollout(state, ACTIONS[5:]))
    action = [0, 1, 2] if batched else 1
    assert world.step(restored, action).frame.shape == world.step(state, action).frame.shape


def test_half_precision_comes_back_as_it_was(tiny_world, tmp_path):
    state = tiny_world.empty_state(2, torch.bfloat16)
    for tensor in state.memory.tensors:
        tensor.normal_()
    state.save(tmp_path / "state")
    for a, b in zip(State.load(tmp_path / "state").memory.tensors, state.memory.tensors, strict=True):
        assert a.dtype == torch.bfloat16 and torch.equal(a, b)


@pytest.mark.parametrize("damage", ["missing", "cut", "empty", "foreign", "weights", "tensor"])
def test_what_is_no_whole_state_is_told(damage, tiny_world, tmp_path):
    path = tmp_path / "state"
    tiny_world.empty_state(1).save(path)
    data = path.read_bytes()
    if damage == "missing":
        path.unlink()
    elif damage == "weights":
        path = save_world(tiny_world, tmp_path / "world") / "weights.safetensors"
    elif damage == "tensor":
        write_tensors(path, {"latent": torch.zeros(1)}, {"format": "worldling-state-1"})
    else:
        path.write_bytes({"cut": data[: len(data) // 2], "empty": b"", "foreign": b"PK\x03\x04" * 100}[damage])
    with pytest.raises(CheckpointError, match=f"`{path}` must be a"):
        State.load(path)


@pytest.mark.parametrize("other", [{"grid": 4}, {"warp": 2}, {"keypoints": 5}], ids=["grid", "warp", "keypoints"])
def test_the_state_of_another_world_is_told(other, tiny_world, make_world, tmp_path):
    make_world(**other).empty_state(3).save(tmp_path / "state")
    with pytest.raises(CheckpointError, match=r"of a row must be .* for this world, got .* state of another world"):
        State.load(tmp_path / "state", like=tiny_world.empty_state(1))
