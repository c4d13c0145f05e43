"""Delta: only what may change is made and drawn; nothing else about a world changes."""

import copy
from importlib.util import find_spec

import numpy as np
import pytest
import torch

from worldling.backend import Reference
from worldling.backends.choose import use_backend
from worldling.backends.delta import Delta
from worldling.backends.repaint import Repaint
from worldling.errors import BackendError, ConfigError
from worldling.nn.cells import at, put
from worldling.nn.lattice import snap
from worldling.tick import CellTick, Tick

ACTIONS = np.random.default_rng(3).integers(0, 3, (3, 12))


KINDS = {"plain": {}, "warping": {"warp": 2}, "pointed": {"keypoints": 3}, "two passes": {"passes": 2}}


@pytest.fixture(params=KINDS)
def world(request, make_world):
    return make_world(clips=True, **KINDS[request.param])


def with_delta(world, threshold, name="reference"):
    return use_backend(copy.copy(world), f"{name}+delta={threshold}", quiet=True)


def calm(world):
    """Let most cells of a world stay as they are: only those with a strong first channel are moved by the head."""
    with torch.no_grad():
        world.dynamics.head.scores.weight.mul_(0.2)
        world.dynamics.head.stay.add_(4.0)
    return world


def test_a_threshold_of_zero_is_the_full_computation(world, tiny_clip):
    delta = with_delta(world, 0)
    states = [w.start(*tiny_clip) for w in (world, delta)]
    frames = [w.rollout(s, ACTIONS) for w, s in zip((world, delta), states, strict=True)]
    assert np.array_equal(*frames)
    for ours, theirs in zip(*(state._tensors().values() for state in states), strict=True):
        assert torch.equal(ours, theirs)


def test_all_cells_in_any_order_make_the_frame(world, tiny_clip):
    state, vectors = world.start(*tiny_clip), torch.eye(3)
    inputs = world.inputs(state, vectors, world.guess(state, vectors))
    tick = Tick(world.tokenizer, world.dynamics, decode=False)
    with torch.inference_mode():
        whole = tick(inputs)
        order = torch.stack([torch.randperm(64, generator=torch.Generator().manual_seed(row)) for row in range(3)])
        some = CellTick(tick)(inputs, order, torch.arange(3))
    assert torch.equal(some.latent, at(whole.latent, order))
    for ours, theirs in zip(some.memory, whole.memory, strict=True):
        assert torch.allclose(ours, at(theirs, order), atol=1e-5)


def test_cells_that_are_not_made_stay_and_remember_what_they_did(make_world, tiny_clip):
    world = calm(make_world(clips=True))
    delta = with_delta(world, 0.5)
    state = delta.start(*tiny_clip)
    delta.rollout(state, ACTIONS[:, :6])
    inputs = delta.inputs(state, torch.eye(3))
    backend = delta.backend
    sizes = backend.sizes_of(inputs)
    assert min(sizes) < 64
    row = sizes.index(min(sizes))
    cells = backend.choose(inputs, sizes[row])[row]
    kept = [cell for cell in range(64) if cell not in cells]
    with torch.inference_mode():
        made = backend.tick(inputs, decode=True)
    assert torch.equal(made.latent[row, kept], inputs.latent[row, kept])
    newest = int(inputs.age[row].argmin())
    for fresh, past in zip(made.memory, inputs.memory, strict=True):
        assert torch.equal(fresh[row, kept], past[row, newest, kept])
        assert not torch.equal(fresh[row, cells], past[row, newest, cells])


def test_rows_do_not_depend_on_each_other_nor_on_what_was_drawn_before(make_world, tiny_clip):
    world = calm(make_world(clips=True))
    delta = with_delta(world, 0.5)
    state = delta.start(*tiny_clip)
    changed = torch.arange(64) < torch.tensor([10, 0, 60])[:, None]
    state.previous = torch.where(changed[..., None], -state.latent, state.latent)
    assert delta.backend.sizes_of(delta.inputs(state, torch.eye(3))) == [32, 16, 64]
    fork, alone = state.fork(), [state.rows([row]) for row in range(3)]
    together = delta.rollout(state, ACTIONS)
    for row in (2, 0, 1):
        assert np.array_equal(delta.rollout(alone[row], ACTIONS[row : row + 1])[0], together[row])
    assert np.array_equal(with_delta(world, 0.5).rollout(fork, ACTIONS), together)


def test_every_cell_is_looked_at_within_the_window(make_world, tiny_clip):
    world = make_world(clips=True)
    backend = Delta(world, Reference(world), 2.0)
    state, seen = world.start(*tiny_clip), set()
    for t in range(12):
        inputs = world.inputs(state, torch.eye(3))._replace(latent=state.latent, previous=state.latent)
        if t >= 12 - world.dynamics.config.window:
            seen |= set(backend.choose(inputs, backend.sizes_of(inputs)[0])[0].tolist())
        world.step(state, ACTIONS[:, t])
    assert seen == set(range(64))


@pytest.mark.parametrize("options", [{}, {"size_px": 128}, {"size_px": 128, "warp": 2}])
def test_what_is_drawn_anew_is_what_drawing_all_gives(make_world, options):
    world = make_world(**options)
    for network in world.tokenizer.decoder:
        if hasattr(network, "weight"):
            torch.nn.init.normal_(network.weight, std=0.1)
    reference, sides = Reference(world), []

    def decode_box(cells):
        sides.append(cells.shape[-1])
        return reference.decode_box(cells)

    repaint, generator = Repaint(world.tokenizer, reference.decode, decode_box), torch.Generator().manual_seed(0)
    shape = (3, world.dynamics.config.tokens, world.dynamics.config.channels)
    latent = snap(2 * torch.rand(shape, generator=generator) - 1, 4)
    with torch.inference_mode():
        repaint.draw(latent)
        for _ in range(30):
            latent = latent.clone()
            for row in range(3):
                count = int(torch.randint(4, (1,), generator=generator))
                cells = torch.randint(shape[1], (count,), generator=generator)
                latent[row, cells] = snap(2 * torch.rand(count, shape[2], generator=generator) - 1, 4)
            wanted, got = reference.decode(latent).int(), repaint.draw(latent).int()
            assert (wanted - got).abs().max() <= 1, "but for what rounding does"
            assert (wanted != got).float().mean() < 1e-3
    assert len(set(sides)) > 1


@pytest.mark.slow
@pytest.mark.skipif(find_spec("openvino") is None, reason="needs openvino")
@pytest.mark.parametrize("kind, rows", [("plain", 20), ("warping", 1), ("pointed", 3)])  # in parts, alone, padded
def test_openvino_makes_the_same_cells(make_world, tiny_clip, kind, rows):
    world = make_world(clips=True, **KINDS[kind])
    fast, slow = with_delta(world, 0.5, "openvino-f32"), with_delta(world, 0.5)
    pick = np.arange(rows) % 3
    clip, actions = [part[pick] for part in tiny_clip], torch.eye(3)[pick]
    state = fast.start(*clip)
    fast.rollout(state, ACTIONS[pick, :4])
    inputs = fast.inputs(state, actions, fast.guess(state, actions))
    cells, order = slow.backend.choose(inputs, 8), torch.arange(rows).flip(0)
    with torch.inference_mode():
        told = [w.backend.hinted(inputs.of(order), cells[order]) for w in (fast, slow)]
        ours, theirs = (
            w.backend.inner.tick_cells(said, cells[order], order) for w, said in zip((fast, slow), told, strict=True)
        )
    assert (ours.latent != theirs.latent).float().mean() < 0.01, "but for levels that rounding tips"
    for a, b in zip(ours.memory, theirs.memory, strict=True):
        assert torch.allclose(a, b, atol=1e-3)


@pytest.mark.slow
@pytest.mark.skipif(find_spec("openvino") is None, reason="needs openvino")
def test_int8_makes_any_number_of_cells(make_world, tiny_clip):
    """It was calibrated with a quarter of them: no scale may be one for each cell."""
    world = make_world(clips=True, **KINDS["pointed"])
    fast, slow = with_delta(world, 0.5, "openvino-int8"), with_delta(world, 0.5)
    state = fast.start(*tiny_clip)
    inputs = fast.inputs(state, torch.eye(3), fast.guess(state, torch.eye(3)))
    for count in (8, 16, 32, 64):
        cells, order = slow.backend.choose(inputs, count), torch.arange(3)
        with torch.inference_mode():
            said = slow.backend.hinted(inputs, cells)
            ours, theirs = (w.backend.inner.tick_cells(said, cells, order) for w in (fast, slow))
        assert ours.latent.shape == theirs.latent.shape == (3, count, world.dynamics.config.channels)
        for a, b in zip(ours.memory, theirs.memory, strict=True):
            assert (a.float() - b).norm() < 0.25 * b.norm(), "int8 differs by .14 on a CPU without VNNI"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["reference", "openvino-f32"])
def test_hints_of_some_cells_are_those_of_all(make_world, tiny_clip, name):
    if name != "reference" and find_spec("openvino") is None:
        pytest.skip("needs openvino")
    world = make_world(clips=True, **KINDS["pointed"])
    delta, state, vectors = with_delta(world, 0.5, name), world.start(*tiny_clip), torch.eye(3)
    whole, part = world.guess(state, vectors), delta.guess(state, vectors)
    assert part.hint is None and torch.allclose(part.points, whole.points, atol=1e-5)
    inputs = world.inputs(state, vectors, whole)
    cells = torch.stack([torch.randperm(64)[:16] for _ in range(3)])
    with torch.inference_mode():
        some, every = delta.backend.hinted(inputs, cells).hint, delta.backend.hinted(inputs).hint
    assert torch.allclose(every, whole.hint, atol=1e-4) and torch.allclose(at(some, cells), at(every, cells), atol=1e-4)
    assert some.ne(0).any(-1).sum() == 3 * 16, "of the others nothing is said"


def test_cells_go_back_where_they_came_from():
    whole = torch.rand(2, 5, 9, 4) + 1
    cells = torch.tensor([[3, 0], [8, 4]])
    taken = at(whole, cells)
    assert torch.equal(taken[1, 2, 0], whole[1, 2, 8])
    back = put(taken[:, 0], cells, 9)
    assert torch.equal(at(back, cells), taken[:, 0]) and back.count_nonzero() == taken[:, 0].numel()
    assert torch.equal(at(whole, cells[:1], torch.tensor([1]))[0], whole[1][:, [3, 0]])


@pytest.mark.parametrize("given", ["-0.1", "2.5", "nan", "x", ""])
def test_bad_thresholds_are_told(make_world, given):
    with pytest.raises(ConfigError, match=r"`delta` must be a number from 0 to 2"):
        use_backend(make_world(), f"reference+delta={given}", quiet=True)


def test_a_backend_that_cannot_is_named(make_world):
    with pytest.raises(BackendError, match="must be used with openvino or the reference, got torch"):
        use_backend(make_world(), "torch+delta=0.1", quiet=True)


def test_cells_to_which_a_point_goes_are_made(make_world, tiny_clip):
    world = make_world(clips=True, keypoints=3)
    backend, state = Delta(world, Reference(world), 2.0), world.start(*tiny_clip)
    inputs = world.inputs(state, torch.eye(3))._replace(latent=state.latent, previous=state.latent)
    assert not backend.active(inputs).any(), "without a guess only changes count"
    still = torch.zeros(3, 3, 2)
    goes = still.clone()
    goes[1, 2] = torch.tensor([0.9, -0.9])  # to the last cell of the first row
    active = backend.active(inputs._replace(points=torch.stack([goes, still], 1)))
    assert not active[0].any() and not active[2].any()
    assert active[1, 7] and active[1, 27] and active[1, 36] and not active[1, 56], "where it goes, and where it is"
