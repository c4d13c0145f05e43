"""Dynamics of another shape begin with what they share, are trained on the world's data, and go on after a stop."""

import dataclasses
import json
import shutil

import pytest
import torch

from worldling.cli.commands import main
from worldling.compress.finetune import data_of, settings_of, sparse_shape
from worldling.compress.run import compress
from worldling.config import to_dict
from worldling.data.store import open_dataset
from worldling.dynamics.loss import ClipBatch, Teacher, dynamics_loss
from worldling.dynamics.memory import clip_age
from worldling.errors import CheckpointError, ConfigError, JudgeError
from worldling.learn.stage import Stage
from worldling.train.recipe import SIZES, TrainConfig
from worldling.world_files import load_world, save_world

TRAINED = TrainConfig(batch_clips=2, clip_frames=8, rollout_every=2, compile="off", dynamics_lr=5e-3)


@pytest.fixture
def folder(make_world, square_data, tmp_path):
    world = make_world(clips=True)
    world.card |= {"source": to_dict(open_dataset(square_data).meta), "training": to_dict(TRAINED)}
    return save_world(world, tmp_path / "w", half=False)


def test_a_dense_world_becomes_a_sparse_one(folder, square_data, tmp_path, monkeypatch):
    begun = []
    update = Stage.update

    def noted(self, *arguments):
        if not begun:
            begun.append({name: weight.clone() for name, weight in self.model.state_dict().items()})
        update(self, *arguments)

    monkeypatch.setattr(Stage, "update", noted)
    out = tmp_path / "sparse"
    found = compress(folder, out, sparse="window:4+global:2", data=square_data, steps=3)
    dense, made = load_world(folder), load_world(out)
    assert made.config.dynamics == dataclasses.replace(dense.config.dynamics, sparse="window:4+global:2")
    assert made.card["compression"] | {"minutes": 0} == {
        "sparse": "window:4+global:2", "of": "tiny", "minutes": 0, "steps": 3,
    }  # fmt: skip
    assert "verdict" in made.card["quality"] and found.mean_bits is None and found.psnr_db > 5
    shared = dense.dynamics.state_dict()
    assert all(torch.equal(begun[0][name], weight) for name, weight in shared.items()), "it begins with the dense one"
    fresh = begun[0].keys() - shared.keys()
    assert fresh and all(name.endswith((".ask", ".global_bias")) for name in fresh)
    assert any(
        not torch.equal(made.dynamics.state_dict()[name], weight.half().float()) for name, weight in shared.items()
    )
    assert not list(out.glob("train/latents*")), "they are forgotten at the end"


def test_the_same_command_goes_on(folder, square_data, tmp_path, monkeypatch):
    out, update = tmp_path / "sparse", Stage.update

    def stopped(self, *arguments):
        if self.step == 2:
            raise KeyboardInterrupt
        update(self, *arguments)

    monkeypatch.setattr(Stage, "update", stopped)
    command = {"sparse": "window:4", "data": square_data, "steps": 4}
    with pytest.raises(KeyboardInterrupt):
        compress(folder, out, **command)
    monkeypatch.setattr(Stage, "update", update)
    compress(folder, out, **command)
    assert load_world(out).card["compression"]["steps"] == 4
    with pytest.raises(ConfigError, match="`out` must be a new folder"):
        compress(folder, out, sparse="window:2", data=square_data, steps=4)


def test_settings_are_those_of_the_training(folder):
    world = load_world(folder)
    config = settings_of(world, 7.0, 0)
    assert config.dynamics_lr == pytest.approx(2e-3) and config.minutes == 7 and config.rollout_from == 0
    assert config.clip_frames == 8
    world.card["training"] = {"clip_frames": "many"}
    with pytest.raises(CheckpointError, match=r"`card.json` must say how the world was trained"):
        settings_of(world, 7.0, 0)


def test_data_are_those_of_the_training_if_they_are_there(folder, square_data, tmp_path):
    world = load_world(folder)
    with pytest.raises(ConfigError, match="Add --data FOLDER"):
        data_of(world, None)
    (folder / "train").mkdir()
    (folder / "train" / "train.json").write_text(f'{{"data": "{square_data}"}}')
    assert data_of(world, None) == square_data
    (folder / "train" / "train.json").write_text('{"data": "data/gone"}')
    with pytest.raises(ConfigError, match="data/gone is not here"):
        data_of(world, None)


@pytest.mark.parametrize(
    "options, said",
    [
        ([], "`bits`, `sparse`, `size` or `prune` must be given, one of them, got none"),
        (["--bits", "4", "--sparse", "window:4"], "one of them, got bits and sparse"),
        (["--prune", "1"], "`prune` must be above 0 and below 1, got 1"),
        (["--prune", "nan"], "`prune` must be above 0 and below 1, got nan"),
        (["--prune", "0.001"], "`prune` must take 8 channels or more, got 0.001 of 128"),
        (["--size", "q"], "`size` must be one of xs, s, s+, m, l, g, got 'q'"),
        (["--size", "l"], "`size` must be smaller than the world's own"),
        (["--sparse", "window:3"], "`sparse` must have windows that divide the grid of 8"),
        (["--sparse", ""], "`sparse` must be another pattern than the world has"),
    ],
)
def test_bad_input_is_refused(folder, square_data, tmp_path, capsys, options, said):
    command = ["compress", str(folder), "--out", str(tmp_path / "out"), "--data", str(square_data), *options]
    assert main(command) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_data_of_another_world_are_refused(folder, square_data, tmp_path):
    other = tmp_path / "other-data"
    shutil.copytree(square_data, other)
    meta = json.loads((other / "dataset.json").read_text())
    meta["action_space"]["nvec"] = [4]
    (other / "dataset.json").write_text(json.dumps(meta))
    with pytest.raises(JudgeError, match="must hold the world's actions"):
        compress(folder, tmp_path / "out", sparse="window:4", data=other, steps=2)
    assert not (tmp_path / "out" / "config.json").exists()


def test_a_pattern_must_be_another_one(make_world):
    world = make_world(clips=True, sparse="window:4")
    with pytest.raises(ConfigError, match="another pattern"):
        sparse_shape(world, "window:4")
    assert sparse_shape(world, "").sparse == ""


def test_a_student_learns_from_its_teacher(folder, square_data, tmp_path, monkeypatch):
    monkeypatch.setitem(SIZES, "xxs", (4, 16, 16, "ST", 1))
    compress(folder, tmp_path / "small", size="xxs", data=square_data, steps=3)
    made, teacher = load_world(tmp_path / "small"), load_world(folder)
    assert made.config.dynamics.width == 16 and made.config.dynamics.backbone == "ST"
    assert made.config.tokenizer == teacher.config.tokenizer
    assert made.card["compression"]["size"] == "xxs" and made.card["parameters"]["dynamics"] < 20_000
    assert made.rollout(made.start(teacher.contexts[0].frames, teacher.contexts[0].actions), [1, 2]).shape[0] == 1


def test_a_teacher_is_met(make_world):
    """With all of the loss from the teacher, dynamics with its weights have the least that there can be."""
    world, other = make_world(), make_world(seed=1)
    generator = torch.Generator().manual_seed(0)
    levels = world.dynamics.config.levels
    latent = torch.randint(levels, (2, 4, 64, 8), generator=generator) * (2 / (levels - 1)) - 1
    batch = ClipBatch(
        latent, latent, torch.randn(2, 4, 3, generator=generator), clip_age(torch.arange(4).expand(2, -1),
        world.dynamics.config), torch.randint(levels, (2, 4, 64, 8), generator=generator), torch.ones(2, 4, 64),
    )  # fmt: skip
    teacher = Teacher(world.dynamics, 1.0)
    alike, apart = (dynamics_loss(one.dynamics, batch, teacher=teacher).total.item() for one in (world, other))
    assert alike < apart
    plain, none = (
        dynamics_loss(other.dynamics, batch, teacher=t).total.item() for t in (None, Teacher(world.dynamics, 0))
    )
    assert plain == pytest.approx(none)
    cells = torch.tensor([[0, 5, 9], [3, 7, 60]])
    assert dynamics_loss(world.dynamics, batch, cells, teacher=teacher).total.item() > 0
