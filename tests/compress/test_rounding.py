"""Weights of few bits that are trained: rounded in every step, and on their levels at the end."""

import json
from functools import partial

import numpy as np
import pytest
import torch

from worldling.cli.commands import main
from worldling.compress.rounding import Rounded, round_in_steps, settled
from worldling.compress.run import compress
from worldling.compress.sensitivity import Probe
from worldling.config import to_dict
from worldling.data.store import open_dataset
from worldling.errors import ConfigError
from worldling.learn.stage import Stage
from worldling.packed import Packing, rounded, scales
from worldling.train.recipe import TrainConfig
from worldling.world_files import load_world, read_packing, save_world, weights_of

TRAINED = TrainConfig(batch_clips=2, clip_frames=8, rollout_every=2, compile="off", dynamics_lr=2e-2)


@pytest.fixture
def folder(make_world, square_data, tmp_path, monkeypatch):
    monkeypatch.setattr("worldling.compress.run.Probe", partial(Probe, rows=1, steps=2))
    world = make_world(clips=True)
    world.card |= {"source": to_dict(open_dataset(square_data).meta), "training": to_dict(TRAINED)}
    return save_world(world, tmp_path / "w", half=False)


def test_the_gradient_goes_through_rounding():
    weight = torch.randn(8, 64, requires_grad=True)
    scale = scales(weight, 3)
    given = torch.randn(8, 64)
    seen = Rounded(3, scale)(weight)
    assert torch.allclose(seen, rounded(weight, 3, scale), atol=1e-6)
    (seen * given).sum().backward()
    assert torch.equal(weight.grad, given)


def test_settled_dynamics_are_those_that_were_trained(make_world):
    world = make_world(clips=True, keypoints=4)
    own = weights_of(world)
    bits = {name: 3 for name, weight in own.items() if name.startswith("dynamics.") and weight.ndim == 2}
    bits = {name: b for name, b in bits.items() if own[name].shape[1] >= 32}
    packing = Packing(bits, {name: scales(own[name], b) for name, b in bits.items()})
    before = {name: weight.clone() for name, weight in world.dynamics.state_dict().items()}
    round_in_steps(world.dynamics, packing)
    names = {name for name, _ in world.dynamics.named_parameters()}
    assert any("original" in name for name in names)
    assert not any("keypoints" in name and "original" in name for name in names), "they are trained before"
    found = settled(world.dynamics)
    assert found.state_dict().keys() == before.keys(), "under their usual names"
    for name, weight in found.state_dict().items():
        whole = f"dynamics.{name}"
        packed = whole in bits and not name.startswith("keypoints.")
        wanted = rounded(before[name], 3, packing.scales[whole]) if packed else before[name]
        assert torch.allclose(weight, wanted, atol=1e-6), name
    latent = torch.randn(2, 64, 8).clamp(-1, 1)
    hidden = torch.randn(2, 64, world.config.dynamics.width)
    tau, hint = torch.zeros(2), torch.randn(2, 64, found.head.hint_in.in_features)
    given = (hidden, latent, torch.zeros(2, 1, 8), tau, tau + 1, None, None, hint)
    with torch.no_grad():
        seen = [one.head(*given) for one in (world.dynamics, found)]
    assert torch.allclose(*seen, atol=1e-5)


@pytest.mark.slow
def test_weights_of_few_bits_are_trained_and_stay_on_their_levels(folder, square_data, tmp_path):
    plain = compress(folder, tmp_path / "plain", bits=3.5)
    found = compress(folder, tmp_path / "trained", bits=3.5, data=square_data, steps=12)
    assert found.mean_bits == plain.mean_bits and found.megabytes == pytest.approx(plain.megabytes, rel=0.02)
    worlds = [load_world(tmp_path / name) for name in ("plain", "trained")]
    packings = [read_packing(world) for world in worlds]
    assert packings[0].bits == packings[1].bits
    before, after = (weights_of(world) for world in worlds)
    moved = {name for name in packings[1].bits if not torch.equal(before[name], after[name])}
    assert moved and not any(name.startswith(("tokenizer.", "outcome.")) for name in moved)
    for name, bits in packings[1].bits.items():
        assert torch.equal(rounded(after[name], bits, packings[1].scales[name]), after[name])
    said = worlds[1].card["compression"]
    assert said["bits"] == pytest.approx(found.mean_bits, abs=1e-3) and said["steps"] == 12
    with pytest.raises(ConfigError, match="must not be quantized yet"):
        compress(tmp_path / "trained", tmp_path / "again", bits=3.5)


@pytest.mark.slow
def test_a_stopped_training_goes_on(folder, square_data, tmp_path, monkeypatch):
    command = dict(bits=3.5, data=square_data, steps=4)
    whole = compress(folder, tmp_path / "whole", **command)
    update = Stage.update

    def stopped(self, *arguments):
        if self.step == 2:
            raise KeyboardInterrupt
        update(self, *arguments)

    monkeypatch.setattr(Stage, "update", stopped)
    with pytest.raises(KeyboardInterrupt):
        compress(folder, tmp_path / "out", **command)
    monkeypatch.setattr(Stage, "update", update)
    found = compress(folder, tmp_path / "out", **command)
    assert found.psnr_db == pytest.approx(whole.psnr_db, abs=0.5)
    own, theirs = (weights_of(load_world(tmp_path / name)) for name in ("whole", "out"))
    assert np.mean([torch.allclose(own[name], theirs[name], atol=1e-4) for name in own]) > 0.9
    with pytest.raises(ConfigError, match="must be a new folder"):
        compress(folder, tmp_path / "out", **{**command, "bits": 4.5})


def test_the_command_trains_only_if_it_is_told_to(folder, square_data, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["compress", str(folder), "--bits", "4.5", "--out", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["compressed"]["mean_bits"] <= 4.5
    assert not (out / "train").exists()
    assert main(["compress", str(folder), "--bits", "4.5", "--minutes", "1", "--out", str(tmp_path / "trained")]) == 2
    assert "Add --data FOLDER" in capsys.readouterr().err
