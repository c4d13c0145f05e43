"""The equalities of the design that a world alone must keep."""

import numpy as np
import pytest
import torch

from worldling.errors import ActionError, ShapeError
from worldling.nn.lattice import to_levels

ACTIONS = np.random.default_rng(1).integers(0, 3, 20)


def nearly_all_equal(a, b):
    """Other batch sizes round differently in the last bit, which now and then tips a level or a pixel by one."""
    return (np.abs(a.astype(int) - b) > 1).mean() < 1e-3


def test_batch_equals_alone(tiny_world, tiny_clip):
    frames, actions = tiny_clip
    together = tiny_world.start(frames, actions)
    alone = [tiny_world.start(f, a) for f, a in zip(frames, actions, strict=False)]
    for action in ACTIONS:
        batch = tiny_world.step(together, [action] * 3)
        for row, state in enumerate(alone):
            frame = tiny_world.step(state, action).frame
            assert nearly_all_equal(frame, batch.frame[row])
            alone[row] = together.rows([row])  # go on from the same state: untrained dreams are chaotic
            alone[row].batched = False


def test_fork_equals_original(tiny_world, tiny_clip):
    frames, actions = tiny_clip
    state = tiny_world.start(frames[0], actions[0])
    tiny_world.rollout(state, ACTIONS[:9])
    fork, forks = state.fork(), state.fork(4)
    original = tiny_world.rollout(state, ACTIONS[9:])
    assert np.array_equal(tiny_world.rollout(fork, ACTIONS[9:]), original)
    copies = tiny_world.rollout(forks, ACTIONS[9:])
    assert copies.shape[0] == 4
    for copy in copies:
        assert np.array_equal(copy, copies[0])
    assert nearly_all_equal(copies[0, 0], original[0, 0])


@pytest.mark.parametrize("kind", [{}, {"warp": 2}, {"keypoints": 5}])
def test_stepping_a_fork_leaves_the_original_alone(kind, make_world, tiny_clip):
    world, (frames, actions) = make_world(**kind), tiny_clip
    state = world.start(frames[0], actions[0])
    before = [t.clone() for t in world.inputs(state, torch.zeros(1, 3)).flat()]
    world.rollout(state.fork(), ACTIONS)
    assert state.index == 0
    for a, b in zip(before, world.inputs(state, torch.zeros(1, 3)).flat(), strict=True):
        assert torch.equal(a, b)


def test_a_head_that_warps_looks_at_the_frame_on_show_whatever_is_done_to_it(make_world, tiny_clip):
    world, (frames, actions) = make_world(warp=2), tiny_clip
    state, other = (world.start(frames, actions) for _ in range(2))
    assert np.array_equal(state.shown, world.decode(world.encode(frames[:, -1]))), "as the world paints it"
    for action in ACTIONS[:4]:
        mine = world.step(state, [action] * 3).frame
        mine[:] = 0
        theirs = world.step(other, [action] * 3).frame
        assert np.array_equal(other.shown, theirs) and np.array_equal(state.shown, theirs) and theirs.any()


@pytest.mark.parametrize("kind", [{"warp": 2}, {"keypoints": 5}])
def test_rows_that_stand_still_go_on_as_if_nothing_had_been(kind, make_world, tiny_clip):
    world, (frames, actions) = make_world(**kind), tiny_clip
    together, alone = world.start(frames, actions), world.start(frames[1:2], actions[1:2])
    for t in range(len(ACTIONS)):
        rows = torch.tensor([0, 2] if t % 3 else [0, 1, 2])
        made = world.advance(together, torch.zeros(3, 3), rows=rows)
        if 1 in rows:
            assert nearly_all_equal(made[1], world.advance(alone, torch.zeros(1, 3))[0])


def test_points_go_on_from_the_last_two_frames_and_change_what_is_drawn(make_world, tiny_clip):
    world, (frames, actions) = make_world(keypoints=5), tiny_clip
    state, found = world.start(frames, actions), world.dynamics.keypoints.find(frames)
    assert torch.allclose(state.points[:, 0], found[:, -1, 0]) and torch.allclose(state.points[:, 1], found[:, -2, 0])
    assert torch.equal(world.start(frames[:, :1], []).points[:, 0], world.start(frames[:, :1], []).points[:, 1])
    other = state.fork()
    other.points = other.points + 0.2
    before = state.points.clone()
    one, two = (world.step(s, [1, 1, 1]).latent for s in (state, other))
    assert torch.equal(state.points[:, 1], before[:, 0]) and not torch.equal(state.points[:, 0], before[:, 0])
    assert not torch.equal(one, two), "the head is told"


@pytest.mark.parametrize("passes", [1, 2, 4])
def test_same_seed_and_actions_same_frames(passes, make_world, tiny_clip):
    world, (frames, actions) = make_world(passes), tiny_clip
    a, b, c = (world.rollout(world.start(frames[0], actions[0], seed=s), ACTIONS) for s in (7, 7, 8))
    assert np.array_equal(a, b)
    assert np.array_equal(a, c) == (passes == 1)


def test_a_seed_for_each_row_gives_what_each_row_gives_alone(make_world, tiny_clip):
    world, (frames, actions) = make_world(2), tiny_clip
    together = world.rollout(world.start(frames[[0, 0]], actions[[0, 0]], seed=[7, 8]), [ACTIONS, ACTIONS])
    for row, seed in zip(together, (7, 8), strict=False):
        assert np.array_equal(world.rollout(world.start(frames[0], actions[0], seed=seed), ACTIONS)[0], row)


def test_rewinding_and_replaying_gives_the_same_frames(make_world, tiny_clip):
    world, (frames, actions) = make_world(2), tiny_clip
    state = world.start(frames[0], actions[0], seed=3)
    world.rollout(state, ACTIONS[:5])
    kept = state.fork()
    first = world.rollout(state, ACTIONS[5:])
    assert np.array_equal(world.rollout(kept, ACTIONS[5:]), first)


def test_reseeded_forks_part_ways(make_world, tiny_clip):
    world, (frames, actions) = make_world(2), tiny_clip
    forks = world.start(frames[0], actions[0]).fork(2)
    forks.reseed([1, 2])
    dream = world.rollout(forks, ACTIONS)
    assert not np.array_equal(dream[0], dream[1])


def test_the_action_matters(tiny_world, tiny_clip):
    frames, actions = tiny_clip
    forks = tiny_world.start(frames[0], actions[0]).fork(3)
    dream = tiny_world.rollout(forks, np.repeat(np.arange(3)[:, None], 5, 1))
    assert not np.array_equal(dream[0], dream[1])


def test_unwatched_frames_are_the_same_frames(tiny_world, tiny_clip):
    frames, actions = tiny_clip
    watched = tiny_world.rollout(tiny_world.start(frames, actions), ACTIONS)
    latents = tiny_world.rollout(tiny_world.start(frames, actions), ACTIONS, decode=False)
    assert nearly_all_equal(tiny_world.decode(latents), watched)


@pytest.mark.parametrize("passes, warp, keypoints", [(1, 0, 0), (2, 0, 0), (1, 2, 0), (2, 2, 0), (1, 0, 5), (2, 2, 5)])
def test_surprise_is_what_stepping_through_the_clip_would_say(passes, warp, keypoints, make_world):
    world, rng = make_world(passes, warp=warp, keypoints=keypoints), np.random.default_rng(2)
    frames = rng.integers(0, 256, (12, 64, 64, 3), dtype=np.uint8)  # longer than the ring memory
    config, found = world.dynamics.config, world.surprise(frames, ACTIONS[:11])
    noise = torch.randn(11, config.tokens, config.channels, generator=torch.Generator().manual_seed(0))
    for t in range(11):
        state = world.start(frames[: t + 1], ACTIONS[:t])
        vector = torch.from_numpy(world.action_space.encode(ACTIONS[t : t + 1]))
        inputs = world.inputs(state, vector, world.guess(state, vector))
        latent = inputs.latent
        with torch.inference_mode():
            h, _ = world.dynamics.backbone.step(latent, inputs.previous, inputs.action, list(inputs.memory), inputs.age)
            given = noise[t : t + 1] if passes > 1 else torch.zeros_like(latent)
            shown = world.dynamics.head.render(latent, world.tokenizer)
            tau, size = torch.zeros(1), torch.full((1,), 1 / passes)
            scores = world.dynamics.head(h, latent, given, tau, size, shown=shown, hint=inputs.hint)
            level = to_levels(world.encode(frames[t + 1 : t + 2]), config.levels)
            nats = -scores.log_softmax(-1).gather(-1, level[..., None]).sum()
        assert found[t] == pytest.approx(float(nats), rel=1e-4)


def test_surprise_looks_at_the_past_alone_and_at_each_clip_alone(tiny_world, tiny_clip):
    frames, actions = tiny_clip
    found = tiny_world.surprise(frames, actions)
    assert found.shape == (3, 4)
    for clip, action, row in zip(frames, actions, found, strict=False):
        np.testing.assert_allclose(tiny_world.surprise(clip, action), row, rtol=1e-4)
    later = frames.copy()
    later[:, 3:] = 0
    np.testing.assert_allclose(tiny_world.surprise(later, actions)[:, :2], found[:, :2], rtol=1e-5)
    assert not np.allclose(tiny_world.surprise(later, actions)[:, 2:], found[:, 2:], rtol=1e-3)
    with pytest.raises(ShapeError, match="at least 2"):
        tiny_world.surprise(frames[:, :1], [])


def test_frames_have_a_batch_axis_only_if_asked_for(tiny_world, tiny_clip):
    frames, actions = tiny_clip
    assert tiny_world.step(tiny_world.start(frames[0], actions[0]), 1).frame.shape == (64, 64, 3)
    assert tiny_world.step(tiny_world.start(frames, actions), [0, 1, 2]).frame.shape == (3, 64, 64, 3)
    assert tiny_world.step(tiny_world.start(frames[0, :1], []), 1).frame.dtype == np.uint8


@pytest.mark.parametrize(
    "frames,actions,error",
    [
        (np.zeros((5, 32, 32, 3), np.uint8), [0] * 4, ShapeError),
        (np.zeros((5, 64, 64, 3), np.float32), [0] * 4, ShapeError),
        (np.zeros((64, 64, 3), np.uint8), [], ShapeError),
        (np.zeros((5, 64, 64, 3), np.uint8), [0] * 5, ActionError),
        (np.zeros((5, 64, 64, 3), np.uint8), [0, 1, 2, 3], ActionError),
        (np.zeros((5, 64, 64, 3), np.uint8), [[0.5, 0.5]] * 4, ActionError),
    ],
)
def test_bad_starts_are_told(tiny_world, frames, actions, error):
    with pytest.raises(error, match="must"):
        tiny_world.start(frames, actions)


@pytest.mark.parametrize("action", [3, -1, [0, 1], 0.5, "up", None])
def test_bad_actions_are_told(tiny_world, tiny_clip, action):
    state = tiny_world.start(tiny_clip[0][0], tiny_clip[1][0])
    with pytest.raises(ActionError, match="must"):
        tiny_world.step(state, action)
    assert state.index == 0
