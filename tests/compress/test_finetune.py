"""Dynamics of another shape begin with what they share, are trained on the world's data, and go on after a stop."""

import dataclasses

import pytest
import torch

from worldling.cli.commands import main
from worldling.compress.finetune import data_of, settings_of, sparse_shape
from worldling.compress.run import compress
from worldling.config import to_dict
from worldling.data.store import open_dataset
from worldling.errors import CheckpointError, ConfigError, JudgeError
from worldling.learn.stage import Stage
from worldling.train.recipe import TrainConfig
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
        ([], "`bits` or `sparse` must be given, one of them, got none"),
        (["--bits", "4", "--sparse", "window:4"], "`bits` or `sparse` must be given, one of them, got both"),
        (["--sparse", "window:3"], "`sparse` must have windows that divide the grid of 8"),
        (["--sparse", ""], "`sparse` must be another pattern than the world has"),
    ],
)
def test_bad_input_is_refused(folder, square_data, tmp_path, capsys, options, said):
    command = ["compress", str(folder), "--out", str(tmp_path / "out"), "--data", str(square_data), *options]
    assert main(command) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_data_of_another_world_are_refused(make_world, folder, square_data, tmp_path):
    world = make_world(clips=True, size_px=32)
    world.card |= {"source": to_dict(open_dataset(square_data).meta) | {"size_px": 32}, "training": to_dict(TRAINED)}
    world.contexts = []
    save_world(world, tmp_path / "small")
    with pytest.raises((ConfigError, JudgeError)):
        compress(tmp_path / "small", tmp_path / "out", sparse="window:4", data=square_data, steps=2)


def test_a_pattern_must_be_another_one(make_world):
    world = make_world(clips=True, sparse="window:4")
    with pytest.raises(ConfigError, match="another pattern"):
        sparse_shape(world, "window:4")
    assert sparse_shape(world, "").sparse == ""
