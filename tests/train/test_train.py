"""Training on a toy data set: a world comes out, it resumes on the same curve, and it fails in words."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import worldling
from worldling.checkpoint import read_json
from worldling.errors import CheckpointError, ConfigError, DatasetError
from worldling.folder_lock import only_writer
from worldling.learn.clips import busiest
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
    """Interrupt the dynamics in the middle of a step and go on: the weights are those of an uninterrupted run."""
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
    for a, b in zip(whole.dynamics.parameters(), parts.dynamics.parameters(), strict=False):
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


@pytest.mark.slow
def test_a_tokenizer_that_is_not_good_goes_on_and_the_dynamics_start_anew(square_data, tmp_path):
    for steps in (4, 9):
        world = train(square_data, tmp_path / "world", dataclasses.replace(QUICK, steps=steps), quiet=True)
        assert world.card["cost"]["steps"] == {"tokenizer": steps, "dynamics": steps}
    alone = train(square_data, tmp_path / "alone", dataclasses.replace(QUICK, steps=9), quiet=True)
    assert world.card["quality"]["psnr_h1_db"] == pytest.approx(alone.card["quality"]["psnr_h1_db"], abs=0.5)


def test_a_finished_world_is_trained_further_with_more_steps(square_data, tmp_path, monkeypatch):
    """The dynamics go on, in the code of the tokenizer they know; with no more steps nothing changes."""
    monkeypatch.setattr("worldling.train.quality.TokenizerQuality.is_good", True)
    first = train(square_data, tmp_path / "world", QUICK, quiet=True)
    further = train(square_data, tmp_path / "world", dataclasses.replace(QUICK, steps=10), quiet=True)
    again = train(square_data, tmp_path / "world", dataclasses.replace(QUICK, steps=9), quiet=True)
    assert further.card["cost"]["steps"] == again.card["cost"]["steps"] == {"tokenizer": 8, "dynamics": 10}
    for a, b, c in zip(*(world.tokenizer.parameters() for world in (first, further, again)), strict=False):
        assert torch.equal(a, b) and torch.equal(b, c)
    assert any(
        not torch.equal(a, b) for a, b in zip(first.dynamics.parameters(), further.dynamics.parameters(), strict=False)
    )
    assert all(
        torch.equal(a, b) for a, b in zip(further.dynamics.parameters(), again.dynamics.parameters(), strict=False)
    )


def test_a_folder_is_trained_by_one_process_at_a_time(square_data, tmp_path):
    with only_writer(tmp_path / "w" / "train", ".training", "trained"):
        with pytest.raises(DatasetError, match=r"must be trained by one process at a time, got another .*number \d+"):
            train(square_data, tmp_path / "w", QUICK, quiet=True)
        assert not (tmp_path / "w" / "train" / "train.json").exists()
    train(square_data, tmp_path / "w", dataclasses.replace(QUICK, steps=2), quiet=True)
    assert not (tmp_path / "w" / "train" / ".training").exists()


@pytest.mark.slow
def test_minutes_that_nobody_gave_are_chosen_once_and_kept(square_data, tmp_path, monkeypatch):
    told = []

    def fixed(*given):
        told.append(given)
        return SimpleNamespace(playable_minutes=1, chosen_minutes=0.03, sentence=lambda *said: str(said))

    monkeypatch.setattr("worldling.train.train.estimate", fixed)
    config = dataclasses.replace(QUICK, steps=0, compile="off")
    for _ in range(2):  # the second goes on with the first's
        train(square_data, tmp_path / "w", config, quiet=True)
        assert read_json(tmp_path / "w" / "train" / "train.json", "settings")["minutes"] == 0.03
    assert len(told) == 2 and [given[1].minutes for given in told] == [30.0, 0.03]


@pytest.mark.slow
@pytest.mark.parametrize("module", ["train.by_name", "cli.compressing"])
def test_openmp_spins_briefly_unless_told_otherwise(module):
    code = f"""if True:
        import os, sys, worldling.{module} as t
        print('torch' in sys.modules)
        try:
            t.train_by_name('no', 'w') if hasattr(t, 'train_by_name') else t._compress(None)
        except Exception:
            print(os.environ.get('GOMP_SPINCOUNT'))
    """
    clean = {k: v for k, v in os.environ.items() if k not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
    clean["PYTHONPATH"] = str(Path(worldling.__file__).parents[1])
    for given, said in (({}, "1000"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "None"), ({"GOMP_SPINCOUNT": "7"}, "7")):
        out = subprocess.run(
            [sys.executable, "-c", code], env=clean | given, stdout=subprocess.PIPE, text=True, check=True
        )
        assert out.stdout.split() == ["False", said]


def test_bad_training_is_told(square_data, tmp_path):
    with pytest.raises(DatasetError, match=r"dataset.json"):
        train(tmp_path / "nothing", tmp_path / "w", QUICK, quiet=True)
    with pytest.raises(ConfigError, match="size"):
        train(square_data, tmp_path / "w", TrainConfig(size="xl", steps=1), quiet=True)
    with pytest.raises(ConfigError, match="a world with keypoints, got physics"):
        train(square_data, tmp_path / "w", TrainConfig(steps=1, keypoints_from="physics"), quiet=True)
    with pytest.raises(ConfigError, match="minutes"):
        train(square_data, tmp_path / "w", TrainConfig(minutes=-1), quiet=True)
    with pytest.raises(ConfigError, match="mirror"):
        train(square_data, tmp_path / "w", TrainConfig(steps=1, clip_frames=8, mirror="x:7"), quiet=True)
    assert not (tmp_path / "w").exists()


def test_episodes_shorter_than_a_clip_are_trained_on_and_told(square_data, tmp_path, capsys):
    world = train(square_data, tmp_path / "w", dataclasses.replace(QUICK, clip_frames=30, steps=3))
    assert world.card["data"]["frames"] + 20 * world.card["data"]["held_out_episodes"] == 80
    assert "4 of 4 episodes (80 of 80 frames) are shorter than a clip of 31 frames" in capsys.readouterr().err
    assert world.card["cost"]["steps"]["dynamics"] == 3


def test_every_size_can_be_built():
    for size in SIZES:
        config = world_config(
            "w", TrainConfig(size=size), 256 if size == "g" else 64 * (1 + (size in "ml")), SPACE, 10.0
        )
        assert config.dynamics.channels == config.tokenizer.channels
        assert config.dynamics.grid == config.tokenizer.grid


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


@pytest.mark.slow
def test_a_world_with_keypoints_is_trained_and_resumed(square_data, tmp_path):
    config = dataclasses.replace(
        QUICK, steps=6, keypoints=3, mirror="x:0=2", sparse_share=0.25, dense_every=2, rollout_from=0.3
    )
    world = train(square_data, tmp_path / "world", config, quiet=True)
    assert not list((tmp_path / "world" / "train").glob("points-*")), "nothing is left of what was made on the way"
    assert set(world.card["cost"]["minutes"]) == {"tokenizer", "keypoints", "dynamics"}, "what they cost is told"
    loaded, clip = load_world(tmp_path / "world"), world.contexts[0]
    state = loaded.start(clip.frames, clip.actions)
    found = loaded.dynamics.keypoints.find(clip.frames[None, -1:])
    assert torch.allclose(state.points[0, 0], found[0, 0, 0], atol=1e-5)
    loaded.rollout(state, clip.actions)
    longer = train(square_data, tmp_path / "world", dataclasses.replace(config, steps=9), quiet=True)
    for name, weight in longer.dynamics.keypoints.state_dict().items():
        assert torch.equal(weight, world.dynamics.keypoints.state_dict()[name]), "the dynamics go on, not the keypoints"
    assert not torch.equal(longer.dynamics.head.hint_in.weight, world.dynamics.head.hint_in.weight)
    other = dataclasses.replace(config, keypoints=0, seed=5, keypoints_from=str(tmp_path / "world"))
    taken = train(square_data, tmp_path / "other", other, quiet=True)
    assert taken.card["cost"]["minutes"]["keypoints"] == 0 and taken.config.dynamics.keypoints == 3
    for name, weight in load_world(tmp_path / "other").dynamics.keypoints.state_dict().items():
        assert torch.equal(weight, loaded.dynamics.keypoints.state_dict()[name]), "taken over as they are"
    with pytest.raises(ConfigError, match="of the same grid or one"):
        train(square_data, tmp_path / "more", dataclasses.replace(other, grid=4), quiet=True)


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
