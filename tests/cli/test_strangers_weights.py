"""Files of a stranger's world that are cut off, replaced, linked or hold other weights: each is told in one line."""

import json
import os

import pytest
import torch

from worldling.cli.commands import main

# Weights


def change_weights(folder, change):
    from safetensors.torch import load_file, save_file

    file = folder / "weights.safetensors"
    tensors = load_file(file)
    change(tensors)
    save_file(tensors, file, {"worldling": '{"format": "worldling-world-1"}'})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("name", ["tokenizer.decoder.0.weight", "dynamics.backbone.place"])
def test_weights_that_are_not_finite(folder, refused, name, value):
    change_weights(folder, lambda tensors: tensors[name].view(-1)[-1].fill_(value))
    assert name in refused() and "finite" in refused()


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.pop("dynamics.backbone.place"),
        lambda t: t.update(extra=torch.zeros(1)),
        lambda t: t.update({"dynamics.evil\x1b[2J": torch.zeros(1)}),
        lambda t: t.update({"dynamics.backbone.place": torch.zeros(64, 33)}),
        lambda t: t.update({"dynamics.backbone.place": torch.zeros(64, 32, dtype=torch.float64)}),
        lambda t: t.update({"dynamics.backbone.place": torch.zeros(64, 32, dtype=torch.uint8)}),
    ],
)
def test_missing_and_other_tensors(folder, refused, change):
    change_weights(folder, change)
    assert "must" in refused()


@pytest.mark.parametrize(
    "file", ["weights.safetensors", "config.json", "card.json", "mean.png", "contexts/shard-0-0000.h5"]
)
@pytest.mark.parametrize("keep", [0, 1, 60, -300])
def test_files_that_are_cut_off(folder, refused, file, keep):
    (folder / file).write_bytes((folder / file).read_bytes()[:keep])
    assert file in refused()


# Links


@pytest.mark.parametrize(
    "file",
    [
        "config.json",
        "card.json",
        "weights.safetensors",
        "mean.png",
        "contexts/dataset.json",
        "contexts/shard-0-0000.h5",
    ],
)
def test_links_out_of_the_folder(folder, refused, secret, tmp_path, file):
    (folder / file).rename(tmp_path / secret)
    (folder / file).symlink_to(tmp_path / secret)
    assert "leads out of" in refused()


def test_a_folder_of_clips_that_is_a_link(folder, refused, tmp_path):
    (folder / "contexts").rename(tmp_path / "other")
    (folder / "contexts").symlink_to(tmp_path / "other")
    assert "leads out of" in refused()


@pytest.mark.parametrize(
    "file", ["config.json", "card.json", "weights.safetensors", "mean.png", "contexts/dataset.json"]
)
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_pipes_are_not_waited_for(folder, refused, file):
    (folder / file).unlink()
    os.mkfifo(folder / file)
    refused()


def test_a_report_is_not_written_through_a_link(folder, tmp_path, capsys):
    (tmp_path / "elsewhere").mkdir()
    (folder / "judge").symlink_to(tmp_path / "elsewhere")
    assert main(["judge", str(folder), "--suite", "speed", "--backend", "reference"]) == 2
    assert "`--out` must be given" in capsys.readouterr().err
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_folder_that_is_itself_a_link_is_taken(folder, tmp_path, capsys):
    (tmp_path / "mine").symlink_to(folder)
    assert main(["info", str(tmp_path / "mine")]) == 0
    assert capsys.readouterr().err == ""


# The alarm that lies in the folder


@pytest.mark.parametrize("poison", ["nan", "shape", "missing", "limit", "link"])
def test_an_alarm_that_was_edited(folder, tmp_path, poison):
    from safetensors.torch import save_file

    from worldling.alarm import DriftAlarm, _weights
    from worldling.errors import CheckpointError

    rng = torch.Generator().manual_seed(0)
    tensors = {"starts": torch.randn(9, 10, generator=rng), "strays": torch.randn(9, 4, 10, generator=rng)}
    tensors["change"] = torch.tensor([-5.0, 0.0])
    meta = {"format": "worldling-alarm-1", "limit": 1.0, "rate": 0.005, "weights": _weights(folder)}
    file = folder / "alarm.safetensors"
    save_file(tensors, file, {"worldling": json.dumps(meta)})
    assert DriftAlarm.load(folder).limit == 1
    if poison == "nan":
        tensors["strays"][3, 1, 4] = float("nan")
    if poison == "shape":
        tensors["strays"] = tensors["strays"][:, :, :7].clone()
    if poison == "missing":
        del tensors["starts"]
    if poison == "limit":
        meta["limit"] = "1"
    save_file(tensors, file, {"worldling": json.dumps(meta)})
    if poison == "link":
        file.rename(tmp_path / "other")
        file.symlink_to(tmp_path / "other")
    with pytest.raises(CheckpointError, match=r"alarm\.safetensors"):
        DriftAlarm.load(folder)
