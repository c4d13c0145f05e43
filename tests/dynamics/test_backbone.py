"""stream = full pass: stepping with the ring memory gives what a full pass over the clip gives."""

import torch

from worldling.dynamics.loss import only
from worldling.dynamics.memory import Memory, clip_age
from worldling.dynamics.model import Dynamics, DynamicsConfig


def clip(config, frames, batch=2):
    generator = torch.Generator().manual_seed(1)
    latent = (
        torch.randint(config.levels, (batch, frames, config.tokens, config.channels), generator=generator) * 2 / 3 - 1
    )
    previous = torch.cat([latent[:, :1], latent[:, :-1]], 1)
    return latent, previous, torch.randn(batch, frames, config.action_size, generator=generator)


@torch.inference_mode()
def stream(dynamics, latent, previous, action, position):
    memory, out = Memory.empty(dynamics.config, len(latent)), []
    for t in range(latent.shape[1]):
        memory.index = position[:, t].clone()
        h, fresh = dynamics.backbone.step(
            latent[:, t], previous[:, t], action[:, t], memory.tensors, memory.age(dynamics.config)
        )
        memory.remember(fresh, dynamics.config)
        out.append(h)
    return torch.stack(out, 1)


def test_stream_equals_full_pass_well_beyond_the_window():
    torch.manual_seed(0)
    config = DynamicsConfig(
        action_size=2, grid=4, channels=4, width=32, head_dim=16, backbone="STST", window=5, sinks=2
    )
    dynamics = Dynamics(config).eval()
    latent, previous, action = clip(config, 23)
    position = torch.arange(23).expand(2, -1)
    with torch.inference_mode():
        full = dynamics.backbone(latent, previous, action, clip_age(position, config))
    assert torch.allclose(stream(dynamics, latent, previous, action, position), full, atol=1e-4)


def test_stream_equals_full_pass_on_a_clip_that_jumps_from_its_sinks():
    torch.manual_seed(0)
    config = DynamicsConfig(action_size=2, grid=4, channels=4, width=32, head_dim=16, backbone="ST", window=5, sinks=2)
    dynamics = Dynamics(config).eval()
    latent, previous, action = clip(config, 9)
    position = torch.tensor([[0, 1, 40, 41, 42, 43, 44, 45, 46]]).expand(2, -1)
    with torch.inference_mode():
        full = dynamics.backbone(latent, previous, action, clip_age(position, config))
    assert torch.allclose(stream(dynamics, latent, previous, action, position), full, atol=1e-4)


def test_naming_every_cell_equals_naming_none():
    """sparse(full) = dense, in any order of the cells."""
    torch.manual_seed(0)
    config = DynamicsConfig(action_size=2, grid=4, channels=4, width=32, head_dim=16, backbone="SST", window=5, sinks=2)
    dynamics = Dynamics(config).eval()
    latent, previous, action = clip(config, 6)
    age = clip_age(torch.arange(6).expand(2, -1), config)
    cells = torch.stack([torch.randperm(16), torch.arange(16)])
    with torch.inference_mode():
        dense = dynamics.backbone(latent, previous, action, age)
        sparse = dynamics.backbone(*only(cells, latent, previous), action, age, cells)
        one = torch.ones(12)
        scores = dynamics.head(dense.flatten(0, 1), latent.flatten(0, 1), torch.zeros(1, 1, 4), 0 * one, one)
        few = dynamics.head(
            sparse.flatten(0, 1), only(cells, latent)[0].flatten(0, 1), torch.zeros(1, 1, 4), 0 * one, one, cells
        )
    assert torch.allclose(sparse, only(cells, dense)[0], atol=1e-5)
    assert torch.allclose(few.view(2, 6, 16, 4, 4), only(cells, scores.view(2, 6, 16, 4, 4))[0], atol=1e-5)


def test_age_shows_the_window_the_sinks_and_nothing_later():
    config = DynamicsConfig(window=3, sinks=1)
    age = clip_age(torch.arange(7)[None], config)[0]
    missing = config.window + 2
    assert age[6].tolist() == [4, missing, missing, 3, 2, 1, 0]
    assert (age.triu(1)[age.triu(1) != 0] == missing).all()


def test_rows_of_different_age_share_a_batch():
    config = DynamicsConfig(action_size=1, grid=4, channels=4, width=32, head_dim=16, backbone="ST", window=4, sinks=1)
    a, b = Memory.empty(config, 1), Memory.empty(config, 1)

    def fresh():
        return [torch.randn(1, config.tokens, config.width) for _ in range(2)]

    for _ in range(7):
        a.remember(fresh(), config)
    for _ in range(2):
        b.remember(fresh(), config)
    both = Memory(
        [torch.cat(pair) for pair in zip(a.tensors, b.tensors, strict=False)],
        torch.cat([a.stamp, b.stamp]),
        torch.cat([a.index, b.index]),
    )
    new = [torch.randn(2, config.tokens, config.width) for _ in range(2)]
    both.remember(new, config)
    a.remember([n[:1] for n in new], config)
    b.remember([n[1:] for n in new], config)
    for together, x, y in zip(both.tensors, a.tensors, b.tensors, strict=False):
        assert torch.equal(together, torch.cat([x, y]))
    assert torch.equal(both.age(config), torch.cat([a.age(config), b.age(config)]))
