"""MLPs of fewer channels: what is missed least goes, and the others make up for it."""

import dataclasses

import pytest
import torch

from worldling.compress.compensate import input_products
from worldling.compress.prune import fewer_inputs, pruned_shape, pruned_weights
from worldling.compress.run import compress
from worldling.compress.sensitivity import Probe
from worldling.config import to_dict
from worldling.data.store import open_dataset
from worldling.dynamics.model import Dynamics
from worldling.errors import ConfigError
from worldling.nn.blocks import Mlp
from worldling.train.recipe import TrainConfig
from worldling.world import World
from worldling.world_files import load_world, save_world

TRAINED = TrainConfig(batch_clips=2, clip_frames=8, rollout_every=2, compile="off", dynamics_lr=5e-3)


def pruned(world, share):
    """Return a world with pruned dynamics, before any training."""
    shape = pruned_shape(world, share)
    dynamics = Dynamics(shape)
    weights = pruned_weights(world, shape.hidden, input_products(world, Probe(world, rows=2, steps=3)))
    dynamics.load_state_dict(weights)
    config = dataclasses.replace(world.config, dynamics=shape)
    return World(config, world.tokenizer, dynamics, contexts=world.contexts)


def test_channels_that_do_nothing_are_not_missed(make_world):
    world = make_world(clips=True)
    with torch.no_grad():
        for layer in world.dynamics.modules():
            if isinstance(layer, Mlp):
                layer.fall.weight[:, ::2] = 0
    small = pruned(world, 0.5)
    assert small.config.dynamics.hidden == 64
    for layer, whole in zip(small.dynamics.modules(), world.dynamics.modules(), strict=True):
        if isinstance(layer, Mlp):
            assert torch.equal(layer.rise.weight, whole.rise.weight[1::2])
            assert torch.allclose(layer.fall.weight, whole.fall.weight[:, 1::2], atol=1e-2)


def test_the_inputs_that_stay_make_up_for_those_that_went():
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(500, 6, generator=generator) @ torch.randn(6, 24, generator=generator)
    hidden = hidden + 0.1 * torch.randn(500, 24, generator=generator)
    weight = torch.randn(5, 24, generator=generator)
    kept, fitted = fewer_inputs(weight, hidden.t() @ hidden / 500, 12)
    wanted, dropped = hidden @ weight.t(), hidden[:, kept] @ weight[:, kept].t()
    errors = [(made - wanted).square().mean() for made in (hidden[:, kept] @ fitted.t(), dropped)]
    assert kept.tolist() == sorted(set(kept.tolist())) and fitted.shape == (5, 12)
    assert errors[0] < 0.1 * errors[1] and errors[0] < 0.02 * wanted.square().mean()


def test_a_world_is_pruned_trained_and_saved(make_world, square_data, tmp_path):
    world = make_world(clips=True)
    world.card |= {"source": to_dict(open_dataset(square_data).meta), "training": to_dict(TRAINED)}
    folder = save_world(world, tmp_path / "w", half=False)
    compress(folder, tmp_path / "small", prune=0.5, data=square_data, steps=2)
    small = load_world(tmp_path / "small")
    assert small.config.dynamics == dataclasses.replace(world.config.dynamics, hidden=64)
    assert small.card["compression"] | {"minutes": 0} == {"prune": 0.5, "of": "tiny", "minutes": 0, "steps": 2}
    assert sum(p.numel() for p in small.dynamics.parameters()) < sum(p.numel() for p in world.dynamics.parameters())
    assert pruned_shape(small, 0.5).hidden == 32, "a pruned world can be pruned again"


@pytest.mark.parametrize("share", [0, 1, -1, float("nan"), 0.01])
def test_shares_that_leave_all_or_nothing_are_refused(make_world, share):
    with pytest.raises(ConfigError, match="`prune` must"):
        pruned_shape(make_world(), share)


def test_pruning_needs_no_data_if_it_is_not_trained(make_world, square_data, tmp_path):
    world = make_world(clips=True)
    world.card |= {"source": to_dict(open_dataset(square_data).meta)}
    folder = save_world(world, tmp_path / "w", half=False)
    found = compress(folder, tmp_path / "small", prune=0.25, minutes=0)
    small = load_world(tmp_path / "small")
    assert small.config.dynamics.hidden == 96 and small.card["compression"] == {"prune": 0.25, "of": "tiny"}
    assert found.psnr_db > 15 and "compression" not in world.card
