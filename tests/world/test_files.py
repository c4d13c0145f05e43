import copy
import json

import numpy as np
import pytest

from worldling.config import to_dict
from worldling.data.store import DatasetMeta
from worldling.errors import CheckpointError
from worldling.types import Episode
from worldling.world_files import load_world, save_world

ACTIONS = [0, 1, 2, 1, 0, 2]


@pytest.fixture
def folder(tiny_world, tmp_path):
    return save_world(tiny_world, tmp_path / "tiny", half=False)


def test_loading_gives_the_same_frames(tiny_world, tiny_clip, folder):
    frames, actions = tiny_clip
    again = load_world(folder)
    assert again.config == tiny_world.config
    a, b = (w.rollout(w.start(frames, actions), ACTIONS) for w in (tiny_world, again))
    assert np.array_equal(a, b)


def test_writing_again_replaces_the_clips_to_start_from(tiny_world, tiny_clip, tmp_path):
    space, world = tiny_world.config.action_space, copy.copy(tiny_world)
    world.card = {"source": to_dict(DatasetMeta("Toy-v0", 64, space))}
    nothing = np.zeros(4, np.float32)
    for frames, actions in zip(*tiny_clip, strict=False):
        world.contexts = [Episode(frames, actions, nothing, nothing > 0, nothing > 0)]
        save_world(world, tmp_path / "w")
        (again,) = load_world(tmp_path / "w").contexts
        assert np.array_equal(again.frames, frames)
    assert not list((tmp_path / "w").glob(".*"))


@pytest.mark.parametrize("keep", [0, 7, 100, 5000])
def test_truncated_weights_are_told(folder, keep):
    file = folder / "weights.safetensors"
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match=r"weights.safetensors.*must"):
        load_world(folder)


def test_foreign_weights_are_told(folder):
    from safetensors.numpy import save_file

    save_file({"x": np.zeros(3, np.float32)}, folder / "weights.safetensors")
    with pytest.raises(CheckpointError, match="foreign"):
        load_world(folder)


@pytest.mark.parametrize(
    "change,message",
    [
        ({"format": "other"}, "format"),
        ({"size": None, "extra": 1}, "extra"),
        ({"name": 1, "tokenizer": {"grid": 9}}, "size_px"),
    ],
)
def test_foreign_settings_are_told(folder, change, message):
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    with pytest.raises(CheckpointError, match=message):
        load_world(folder)


def test_weights_of_another_world_are_told(folder):
    file = folder / "config.json"
    values = json.loads(file.read_text())
    values["dynamics"]["width"] = 64
    file.write_text(json.dumps(values))
    with pytest.raises(CheckpointError, match="shape"):
        load_world(folder)


def test_unknown_names_are_told():
    with pytest.raises(CheckpointError, match="pusht3"):
        load_world("pusht3")
