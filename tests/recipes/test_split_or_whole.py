"""The design that ours is measured against must itself be sound, or the comparison means nothing."""

import torch

from worldling.dynamics.memory import Memory, clip_age
from worldling.dynamics.model import Dynamics, DynamicsConfig
from worldling.nn.lattice import from_levels, to_levels
from worldling.recipes.split_or_whole import Whole, split_step

SHAPE = DynamicsConfig(action_size=3, channels=8, width=32, head_dim=16, backbone="STST", window=6, sinks=2)


@torch.no_grad()
def dream(step, frames=5, rows=2):
    """Roll out from a random latent; returns the latents `[B, T + 1, N, C]` and the actions between them."""
    generator = torch.Generator().manual_seed(0)
    levels = torch.randint(4, (rows, SHAPE.tokens, SHAPE.channels), generator=generator)
    latents = [from_levels(levels, SHAPE.levels)]
    actions = torch.randn(rows, frames, 3, generator=generator)
    memory = Memory.empty(SHAPE, rows)
    for t in range(frames):
        latents.append(step(latents[-1], latents[max(0, t - 1)], actions[:, t], memory))
    return torch.stack(latents, 1), actions


def lively(model):
    """Give an untrained model scores of its own, so that frames depend on everything."""
    torch.nn.init.normal_(
        model.get_submodule("scores.scores" if isinstance(model, Whole) else "head.scores").weight, std=0.5
    )
    return model.eval()


@torch.no_grad()
def test_the_whole_draws_a_clip_as_it_draws_frame_by_frame():
    torch.manual_seed(0)
    whole = lively(Whole(SHAPE))
    latents, actions = dream(whole.step)
    assert not torch.equal(latents[:, 1], latents[:, 2])
    latent = latents[:, :-1]
    previous = torch.cat([latent[:, :1], latent[:, :-1]], 1)
    target = to_levels(latents[:, 1:], SHAPE.levels)
    age = clip_age(torch.arange(latent.shape[1]).expand(2, -1), SHAPE)
    scores = whole.draw(latent, previous, actions, age, latents[:, 1:])
    assert (scores.argmax(-1) == target.flatten(0, 1)).float().mean() > 0.999


@torch.no_grad()
def test_the_whole_does_not_see_the_frame_it_draws():
    torch.manual_seed(0)
    whole = lively(Whole(SHAPE))
    latents, actions = dream(whole.step)
    latent = latents[:, :-1]
    target = to_levels(latents[:, 1:], SHAPE.levels)
    age = clip_age(torch.arange(latent.shape[1]).expand(2, -1), SHAPE)
    other = (target[:, 3] + 1) % SHAPE.levels
    changed = latents[:, 1:].clone()
    changed[:, 3] = from_levels(other, SHAPE.levels)
    one, two = (whole.draw(latent, latent, actions, age, f).unflatten(0, (2, -1)) for f in (latents[:, 1:], changed))
    assert torch.allclose(one[:, :4], two[:, :4], atol=1e-5)
    assert not torch.allclose(one[:, 4], two[:, 4], atol=1e-3), "the next frame sees it finished"


def test_both_have_nearly_as_many_parameters():
    split, whole = (sum(p.numel() for p in model.parameters()) for model in (Dynamics(SHAPE), Whole(SHAPE)))
    assert abs(split - whole) < 0.25 * split
    big = DynamicsConfig(action_size=3, width=128, head_dim=64)
    split, whole = (sum(p.numel() for p in model.parameters()) for model in (Dynamics(big), Whole(big)))
    assert abs(split - whole) < 0.05 * split


@torch.no_grad()
def test_the_split_steps_as_the_world_does(tiny_world, tiny_clip):
    frames, actions = tiny_clip
    state = tiny_world.start(frames[:, :1], actions[:, :0])
    latent, memory = state.latent, Memory.empty(tiny_world.dynamics.config, len(frames))
    previous, step, steps = latent, split_step(tiny_world.dynamics), []
    for action in tiny_world.action_space.encode(actions).swapaxes(0, 1):
        latent, previous = step(latent, previous, torch.from_numpy(action), memory), latent
        steps.append(latent)
    assert torch.equal(torch.stack(steps, 1), tiny_world.rollout(state, actions, decode=False))


@torch.no_grad()
def test_the_whole_remembers_the_true_frame_where_there_is_one():
    """Shown true frames, its memory is what it would be had it drawn them."""
    torch.manual_seed(0)
    whole = lively(Whole(SHAPE))
    latents, _actions = dream(whole.step)
    shown, memories = iter(latents[:, 1:].unbind(1)), []

    def told(latent, previous, action, memory):
        memories.append(memory)
        return whole.step(latent, previous, action, memory, next(shown))

    again, _ = dream(told)
    assert torch.equal(again, latents)
    other = latents[:, 1:].flip(0)
    shown = iter(other.unbind(1))
    dream(told)
    assert not torch.equal(memories[0].tensors[0], memories[-1].tensors[0])
