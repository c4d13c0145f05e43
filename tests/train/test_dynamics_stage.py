"""The parts of a step of the second stage, each alone."""

import pytest
import torch

from worldling.learn.clips import Clips
from worldling.learn.stage import Budget
from worldling.train.dynamics_stage import DynamicsTraining, cells_to_see
from worldling.train.recipe import TrainConfig

QUICK = TrainConfig(steps=40, batch_clips=4, clip_frames=8, rollout_every=2, rollout_from=0.5, compile="off")


@pytest.fixture
def make_training(make_world, tmp_path):
    """The second stage of a tiny world on clips of two random episodes."""

    def make(config=QUICK, passes=1, offsets=(0, 30, 70)):
        world = make_world(passes)
        shape = world.dynamics.config
        levels = torch.randint(4, (70, shape.tokens, shape.channels), generator=torch.Generator().manual_seed(0))
        clips = Clips(levels.to(torch.uint8), torch.zeros(70, 3), list(offsets), shape.levels)
        return DynamicsTraining(
            world.dynamics,
            world.tokenizer,
            clips,
            tmp_path,
            config,
            Budget(1.0, config.steps),
            torch.device("cpu"),
            quiet=True,
        )

    return make


def draw(training):
    return training.draw(training.stage.generator())


def test_a_step_draws_the_same_batch_each_time_it_is_drawn(make_training):
    training = make_training()
    (first, rows), (again, _) = draw(training), draw(training)
    assert first.keys() == again.keys() and all(torch.equal(first[name], again[name]) for name in first)
    assert rows.shape == (4, 7), "all clips are true before there are roll-outs"
    assert first["latent"].shape == first["target"].shape == (4, 8, 64, 8) and first["age"].shape == (4, 8, 8)


def test_roll_outs_begin_when_they_should_and_fill_their_share(make_training):
    training = make_training()
    training.refresh()
    assert training.rollouts.pool is None
    training.stage.step = 20
    training.refresh()
    assert training.rollouts.pool is not None and len(draw(training)[1]) == 2


@pytest.mark.parametrize("passes", [1, 2])
def test_the_loss_teaches_the_dynamics_and_leaves_the_tokenizer(make_training, passes):
    training = make_training(passes=passes)
    batch, _ = draw(training)
    denoising = training.draw_denoising(batch["latent"], training.stage.generator())
    assert (denoising is None) == (passes == 1)
    loss, nats = training.loss(batch, denoising, sparse=False)
    loss.backward()
    assert nats.shape == (4, 8) and not nats.requires_grad
    assert all(p.grad is not None for p in training.dynamics.head.scores.parameters())
    assert all(p.grad is None for p in training.tokenizer.parameters())


def test_some_steps_are_sparse_until_the_last_share(make_training):
    training = make_training(
        TrainConfig(**{**QUICK.__dict__, "sparse_share": 0.25, "dense_every": 4, "dense_from": 0.9})
    )
    sparse = []
    for training.stage.step in range(40):
        sparse.append(training.is_sparse)
    assert sparse == [step % 4 > 0 and step < 36 for step in range(40)]


def test_a_world_of_several_passes_sees_all_cells(make_training):
    training = make_training(TrainConfig(**{**QUICK.__dict__, "sparse_share": 0.25}), passes=2)
    training.stage.step = 1
    assert not training.is_sparse


@pytest.mark.parametrize(
    "changing, share, shown", [(10, 0.0, 20), (0, 0.0, 16), (20, 0.0, 64), (10, 0.4, 26), (0, 1.0, 64)]
)
def test_a_step_looks_at_twice_as_many_cells_as_change_or_at_all(changing, share, shown):
    levels = torch.zeros(101, 64, 3, dtype=torch.uint8)
    levels[:, :changing, 1] = (torch.arange(101) % 2)[:, None].to(torch.uint8)
    assert cells_to_see(Clips(levels, torch.zeros(101, 1), [0, 101], 4), share) == shown


@pytest.mark.parametrize("passes", [1, 2])
def test_nothing_is_learnt_from_what_lies_past_the_end_of_a_short_episode(make_training, passes):
    training = make_training(passes=passes, offsets=[0, 5, 10, 70])
    while (batch := draw(training)[0])["known"].all():
        training.stage.step += 1
    rows = draw(training)[1]
    assert ((rows < 0) == ~batch["known"][:, 1:]).all()
    noise = training.draw_denoising(batch["latent"], training.stage.generator())
    if noise is not None:
        noise = noise._replace(bootstrap_rows=0)
    total, nats = training.loss(batch, noise, sparse=False)
    other = {name: value.clone() for name, value in batch.items()}
    past = ~batch["known"]
    other["latent"][past] = -other["latent"][past]
    other["action"][past] += 1
    again, same = training.loss(other, noise, sparse=False)
    assert torch.allclose(nats[~past], same[~past], atol=1e-4), "what is past the end does not reach back"
    assert torch.allclose(total, again, atol=1e-4)


def test_short_episodes_are_rolled_out_within_their_end(make_training):
    training = make_training(offsets=[0, 6, 12, 70])
    training.stage.step = 20
    training.refresh()
    pool = training.rollouts.pool
    true = training.clips.at(pool["row"])
    changed = (pool["latent"] != true["latent"]).flatten(2).any(-1)
    assert not changed[:, :3].any() and (changed & pool["known"]).any()
    training.take_step()
    assert torch.isfinite(training.priorities.latest).all()
    held = training.rollouts.tensors()
    training.rollouts.restore(held, torch.device("cpu"))
    assert torch.equal(training.rollouts.pool["known"], pool["known"])
