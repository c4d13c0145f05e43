"""Training on a toy data set: a world comes out, it resumes on the same curve, and it fails in words."""

import dataclasses
import json
import shutil
import signal

import pytest
import torch

from worldling.data.store import open_dataset
from worldling.dynamics.loss import only
from worldling.errors import CheckpointError, ConfigError, DatasetError
from worldling.learn.clips import Clips, busiest
from worldling.learn.frames import split
from worldling.learn.interruption import uninterrupted
from worldling.learn.optimizer import Muon, optimizer_for, orthogonal
from worldling.learn.scheduled_sampling import RolloutPool, roll_out
from worldling.train.dynamics_stage import cells_to_see
from worldling.train.pictures import draw_curves
from worldling.train.recipe import SIZES, TrainConfig, world_config
from worldling.train.train import train
from worldling.types import ActionSpace
from worldling.world_files import load_world

SPACE = ActionSpace("discrete", (3,))
QUICK = TrainConfig(
    size="tiny",
    steps=8,
    batch_frames=2,
    batch_clips=2,
    clip_frames=8,
    rollout_every=2,
    rollout_share=0.5,
    compile="off",
    mirror="x:0=2",
)


@pytest.fixture(autouse=True)
def tiny_size(monkeypatch):
    """A size of which eight steps take a second."""
    monkeypatch.setitem(SIZES, "tiny", (8, 32, 16, "ST", 1))


def losses(folder):
    rows = [json.loads(line) for line in (folder / "train" / "metrics.jsonl").read_text().splitlines()]
    return {(r["stage"], r["step"]): r["loss"] for r in rows if "loss" in r}


def test_a_world_comes_out_and_plays(square_data, tmp_path):
    train(square_data, tmp_path / "world", QUICK, quiet=True)
    world = load_world(tmp_path / "world")
    clip = world.contexts[0]
    assert world.rollout(world.start(clip.frames, clip.actions), [0, 1, 2]).shape == (1, 3, 64, 64, 3)
    assert world.card["cost"]["steps"] == {"tokenizer": 8, "dynamics": 8}
    assert world.card["cost"]["energy_joules"] == "not measured"
    for name in ("curves.png", "strip.png", "metrics.jsonl", "train.json"):
        assert (tmp_path / "world" / "train" / name).stat().st_size > 100


def test_curves_are_drawn_though_a_line_was_cut_off(tmp_path):
    whole = json.dumps({"stage": "tokenizer", "step": 1, "seconds": 1.0, "loss": 0.5})
    (tmp_path / "metrics.jsonl").write_text(f"{whole}\n{whole[:20]}{whole}\n{whole}\n")
    draw_curves(tmp_path / "metrics.jsonl", tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 100


def test_a_resumed_run_continues_the_same_curve(square_data, tmp_path, monkeypatch):
    """Stop the dynamics with Ctrl-C in the middle of a step, go on, and end with the very weights of an uninterrupted run."""
    whole = train(square_data, tmp_path / "whole", QUICK, quiet=True)
    backward, calls = torch.Tensor.backward, []

    def interrupted(self, *arguments, **options):
        calls.append(1)
        if len(calls) == QUICK.steps + 6:  # the tokenizer's steps, and six
            raise KeyboardInterrupt
        return backward(self, *arguments, **options)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(torch.Tensor, "backward", interrupted)
        train(square_data, tmp_path / "parts", QUICK, quiet=True)
    parts = train(square_data, tmp_path / "parts", QUICK, quiet=True)
    for a, b in zip(whole.dynamics.parameters(), parts.dynamics.parameters()):
        assert torch.equal(a, b)
    assert losses(tmp_path / "parts")["tokenizer", 8] == losses(tmp_path / "whole")["tokenizer", 8]


def test_latents_are_encoded_once_and_forgotten_at_the_end(square_data, tmp_path, monkeypatch):
    from importlib import import_module

    from worldling.learn import latents

    encoded, encode = [], latents._encoded
    monkeypatch.setattr(latents, "_encoded", lambda *given: encoded.append(1) or encode(*given))

    def cut_off(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(import_module("worldling.train.train"), "train_dynamics", cut_off)
        train(square_data, tmp_path / "world", QUICK, quiet=True)
    assert len(list((tmp_path / "world" / "train").glob("latents-*.npy"))) == 1
    train(square_data, tmp_path / "world", QUICK, quiet=True)
    assert encoded == [1] and not list((tmp_path / "world" / "train").glob("*latents*"))


def test_a_finished_world_is_trained_further_with_more_steps(square_data, tmp_path):
    """The dynamics go on, in the code of the tokenizer they know; with no more steps nothing changes."""
    first = train(square_data, tmp_path / "world", QUICK, quiet=True)
    further = train(square_data, tmp_path / "world", dataclasses.replace(QUICK, steps=10), quiet=True)
    again = train(square_data, tmp_path / "world", dataclasses.replace(QUICK, steps=9), quiet=True)
    assert further.card["cost"]["steps"] == again.card["cost"]["steps"] == {"tokenizer": 8, "dynamics": 10}
    for a, b, c in zip(*(world.tokenizer.parameters() for world in (first, further, again))):
        assert torch.equal(a, b) and torch.equal(b, c)
    assert any(not torch.equal(a, b) for a, b in zip(first.dynamics.parameters(), further.dynamics.parameters()))
    assert all(torch.equal(a, b) for a, b in zip(further.dynamics.parameters(), again.dynamics.parameters()))


def test_bad_training_is_told(square_data, tmp_path):
    with pytest.raises(DatasetError, match="dataset.json"):
        train(tmp_path / "nothing", tmp_path / "w", QUICK, quiet=True)
    with pytest.raises(ConfigError, match="size"):
        train(square_data, tmp_path / "w", TrainConfig(size="xl", steps=1), quiet=True)
    with pytest.raises(ConfigError, match="minutes"):
        train(square_data, tmp_path / "w", TrainConfig(minutes=0), quiet=True)
    with pytest.raises(ConfigError, match="mirror"):
        train(square_data, tmp_path / "w", TrainConfig(steps=1, clip_frames=8, mirror="x:7"), quiet=True)
    assert not (tmp_path / "w").exists()
    with pytest.raises(DatasetError, match="more than 31 frames"):
        train(square_data, tmp_path / "w", TrainConfig(steps=1, clip_frames=30), quiet=True)


def test_validation_episodes_are_not_trained_on(square_data):
    training, held = split(open_dataset(square_data), 8)
    assert training and held and not set(training) & set(held)


def test_every_size_can_be_built():
    for size in SIZES:
        config = world_config(
            "w", TrainConfig(size=size), 256 if size == "g" else 64 * (1 + (size in "ml")), SPACE, 10.0
        )
        assert config.dynamics.channels == config.tokenizer.channels
        assert config.dynamics.grid == config.tokenizer.grid


def test_clips_follow_the_episode_and_jump_only_from_their_sinks():
    levels = torch.arange(60, dtype=torch.uint8).view(60, 1, 1) % 4
    clips = Clips(levels, torch.arange(60.0)[:, None], [0, 25, 60], 4)
    batch = clips.sample(64, 8, 2, torch.Generator().manual_seed(0))
    jumped = 0
    for action, position, target in zip(batch["action"][..., 0], batch["position"], batch["target"][..., 0, 0]):
        assert torch.equal(action - action[0], position.float())  # rows and positions advance together
        assert (action < 25).all() or (action >= 25).all()
        assert torch.equal(target, (action.long() + 1) % 4)
        steps = position.diff()
        jumped += bool((steps[1] > 1).item())
        assert (steps[[0, 2, 3, 4, 5, 6]] == 1).all()
    assert jumped > 5


def test_clips_where_more_happens_are_drawn_more_often():
    levels = torch.zeros(400, 4, 1, dtype=torch.uint8)
    levels[:200, :, 0] = torch.arange(200)[:, None] % 4  # all four cells change; afterwards none does
    rows = Clips(levels, torch.zeros(400, 1), [0, 200, 400], 4).sample(500, 8, 2, torch.Generator().manual_seed(0))[
        "row"
    ]
    still = (rows[:, -1] >= 200).float().mean()
    assert 0.05 < still < 0.25  # a quarter of the mean for every clip, and the rest by what happens


def test_on_a_fine_lattice_a_cell_changes_by_more_than_a_level():
    levels = torch.tensor([0, 1, 2, 5, 5, 9], dtype=torch.uint8).view(6, 1, 1)
    assert Clips(levels, torch.zeros(6, 1), [0, 6], 8).changed().tolist() == [1, 1, 1, 0, 1]
    assert Clips(levels, torch.zeros(6, 1), [0, 6], 32).changed().tolist() == [0, 0, 1, 0, 1]


def test_the_busiest_cells_are_given_and_nothing_else():
    weight = torch.zeros(2, 3, 6)
    weight[0, 1, 4], weight[0, :, 2], weight[1, 2, 0], weight[1, 0, 5] = 2.0, 1.0, 1.0, 1.0
    cells = busiest(weight, 2)
    assert cells.tolist() == [[2, 4], [0, 5]]
    number = torch.arange(6.0).expand(2, 3, 6)
    for part in only(cells, number, number[..., None].expand(-1, -1, -1, 7)):
        assert torch.equal(part.reshape(2, 3, 2, -1)[..., 0], cells[:, None].expand(-1, 3, -1).float())


@pytest.mark.parametrize(
    "changing, share, shown", [(10, 0.0, 20), (0, 0.0, 16), (20, 0.0, 64), (10, 0.4, 26), (0, 1.0, 64)]
)
def test_a_step_looks_at_twice_as_many_cells_as_change_or_at_all(changing, share, shown):
    levels = torch.zeros(101, 64, 3, dtype=torch.uint8)
    levels[:, :changing, 1] = (torch.arange(101) % 2)[:, None].to(torch.uint8)
    assert cells_to_see(Clips(levels, torch.zeros(101, 1), [0, 101], 4), share) == shown


def test_most_steps_look_at_few_cells_and_still_learn(square_data, tmp_path, monkeypatch):
    from worldling.train import dynamics_stage

    looked = []
    monkeypatch.setattr(dynamics_stage, "busiest", lambda weight, count: looked.append(count) or busiest(weight, count))
    train(
        square_data,
        tmp_path / "few",
        dataclasses.replace(QUICK, steps=40, sparse_share=0.25, dense_every=4, rollout_from=0.9),
        quiet=True,
    )
    by_step = losses(tmp_path / "few")
    assert looked == [16] * 27, "3 steps of 4, until the last tenth"
    assert by_step["dynamics", 40] < 0.85 * by_step["dynamics", 20]


def test_a_run_goes_on_with_what_it_was_begun_with_or_not_at_all(square_data, tmp_path):
    train(square_data, tmp_path / "world", dataclasses.replace(QUICK, steps=1), quiet=True)
    before = (tmp_path / "world" / "train" / "train.json").read_text()
    for change, words in (
        ({"levels": 16}, "tokenizer"),
        ({"centered_scores": True}, "dynamics"),
        ({"mirror": ""}, "mirror"),
    ):
        with pytest.raises(CheckpointError, match=f"`{words}` must be as when"):
            train(square_data, tmp_path / "world", dataclasses.replace(QUICK, steps=2, **change), quiet=True)
    shutil.copytree(square_data, tmp_path / "other")
    about = json.loads((tmp_path / "other" / "dataset.json").read_text())
    (tmp_path / "other" / "dataset.json").write_text(json.dumps({**about, "seed": 7}))
    with pytest.raises(CheckpointError, match="`data` must be as when"):
        train(tmp_path / "other", tmp_path / "world", dataclasses.replace(QUICK, steps=2), quiet=True)
    assert (tmp_path / "world" / "train" / "train.json").read_text() == before
    older = json.loads(before)
    del older["made_of"]["dynamics"]["warp"]  # begun before there was such a thing
    (tmp_path / "world" / "train" / "train.json").write_text(json.dumps(older))
    train(square_data, tmp_path / "world", dataclasses.replace(QUICK, steps=2), quiet=True)
    assert (
        json.loads((tmp_path / "world" / "train" / "train.json").read_text())["made_of"]
        == json.loads(before)["made_of"]
    )


@pytest.mark.parametrize("passes", [1, 2])
def test_a_world_that_warps_is_trained_and_its_tokenizer_left_alone(square_data, tmp_path, passes):
    config = dataclasses.replace(
        QUICK, steps=6, merge=2, warp=True, passes=passes, sparse_share=0.25, dense_every=2, rollout_from=0.3
    )
    world = train(square_data, tmp_path / "world", config, quiet=True)
    assert world.dynamics.head.warp.flow.weight.abs().max() > 0
    assert all(p.grad is None for p in world.tokenizer.parameters())
    clip = world.contexts[0]
    loaded = load_world(tmp_path / "world")
    loaded.rollout(loaded.start(clip.frames, clip.actions), clip.actions)


@pytest.fixture
def counting(tiny_world):
    """Clips of two episodes whose every latent is different, for the tiny world's dynamics."""
    config = tiny_world.dynamics.config
    levels = torch.randint(4, (70, config.tokens, config.channels), generator=torch.Generator().manual_seed(0))
    return Clips(levels.to(torch.uint8), torch.zeros(70, 3), [0, 30, 70], config.levels)


def test_own_history_replaces_what_follows_the_context_of_each_row(tiny_world, counting):
    true = counting.at(torch.arange(3, 12).expand(4, -1))
    context = torch.tensor([3, 8, 5, 9])
    own = roll_out(tiny_world.dynamics, tiny_world.tokenizer, true, context, torch.Generator())
    for row, first in enumerate(context.tolist()):
        assert torch.equal(own["latent"][row, :first], true["latent"][row, :first])
        assert torch.equal(own["previous"][row, : first + 1], true["previous"][row, : first + 1])
        assert all(not torch.equal(a, b) for a, b in zip(own["latent"][row, first:], true["latent"][row, first:]))
    assert torch.equal(own["previous"][:, 1:], own["latent"][:, :-1])
    assert torch.equal(own["target"], true["target"])


def test_a_row_of_own_history_does_not_depend_on_the_others(tiny_world, counting):
    true = counting.at(torch.arange(3, 12).expand(2, -1))
    alone, both = (
        roll_out(tiny_world.dynamics, tiny_world.tokenizer, true, torch.tensor(c), torch.Generator())
        for c in ([4, 4], [4, 7])
    )
    assert torch.allclose(alone["latent"][0], both["latent"][0])


def test_own_history_survives_a_checkpoint(tiny_world, counting):
    own = RolloutPool(counting, tiny_world.tokenizer, 8, 9, 3)
    own.refresh(tiny_world.dynamics, 5, torch.Generator().manual_seed(0))
    again = RolloutPool(counting, tiny_world.tokenizer, 8, 9, 3)
    again.restore(own.tensors(), torch.device("cpu"))
    assert again.made_at == own.made_at == 5
    for name in own.pool:
        assert torch.allclose(again.pool[name].float(), own.pool[name].float(), atol=1e-6), name
    true = counting.at(own.pool["row"])["latent"]
    replaced = [int((a != b).any(-1).any(-1).sum()) for a, b in zip(own.pool["latent"], true)]
    assert 1 <= min(replaced) and max(replaced) <= 3, "only the last frames are the model's own"


def test_a_mix_ends_with_own_clips(tiny_world, counting):
    own, generator = RolloutPool(counting, tiny_world.tokenizer, 8, 9, 4), torch.Generator().manual_seed(0)
    true = counting.sample(4, 9, 2, generator)
    true["clean"] = true["latent"]
    assert own.mix(true, 0.5, generator) is true
    own.refresh(tiny_world.dynamics, 0, generator)
    both = own.mix(true, 0.5, generator)
    assert torch.equal(both["latent"][:2], true["latent"][:2]) and len(both["latent"]) == 4
    assert torch.equal(both["clean"][2:], both["latent"][2:]), "its own mistakes are what is to be put right"


def test_a_signal_waits_for_the_end_of_a_step():
    done, before = [], signal.signal(signal.SIGINT, signal.default_int_handler)
    with pytest.raises(KeyboardInterrupt):
        with uninterrupted():
            signal.raise_signal(signal.SIGINT)
            done.append("step")
        done.append("after")
    assert done == ["step"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, before)


def test_orthogonal_is_close_to_the_polar_factor():
    x = torch.randn(3, 20, 48)
    u, _, v = torch.linalg.svd(x, full_matrices=False)
    for got, polar in zip(orthogonal(x), u @ v):
        assert torch.nn.functional.cosine_similarity(got.flatten(), polar.flatten(), 0) > 0.97


def test_matrices_go_to_muon_and_tables_do_not(tiny_world):
    optimizer = optimizer_for(tiny_world.dynamics, 1e-3)
    assert isinstance(optimizer, Muon)
    muon, adam = (set(map(id, g["params"])) for g in optimizer.param_groups)
    layer = tiny_world.dynamics.backbone.layers[0]
    assert id(layer.mlp.rise.weight) in muon and id(layer.attention.position) in adam
    assert len(muon) + len(adam) == len(list(tiny_world.dynamics.parameters()))
