"""What a data set says about itself, in numbers and pictures."""

import json

import numpy as np
import pytest
from PIL import Image

from worldling.data.contact_sheet import dataset_info, write_contact_sheet
from worldling.data.record import record
from worldling.data.store import open_dataset
from worldling.errors import DatasetError
from worldling.types import ActionSpace, Episode

TOY = "toy_environments:worldling_toy/Square-v0"


@pytest.mark.parametrize("kind", ["discrete", "multi_discrete", "multi_binary", "box"])
def test_info_counts_what_is_there(tmp_path, kind):
    kwargs = {"space": kind}
    record(TOY, tmp_path / "a", frames=100, size_px=16, policy="random", env_kwargs=kwargs, quiet=True)
    info = dataset_info(tmp_path / "a")
    dataset = open_dataset(tmp_path / "a")
    assert json.loads(json.dumps(info)) == info
    assert (info["frames"], info["episodes"], info["size_px"]) == (100, len(dataset), 16)
    assert info["reward"]["sum"] == sum(length - 1 for length in dataset.lengths)
    assert (info["terminated"], info["truncated"], info["cut_episodes"]) == (len(dataset) - 1, 0, 1)
    assert info["bytes"] == sum(p.stat().st_size for p in (tmp_path / "a").glob("*.h5"))
    actions = info["actions"]
    assert actions["kind"] == kind
    if kind == "box":
        first = actions["axes"]["0"]
        assert set(actions["axes"]) == {"0", "1"} and -1 <= first["min"] < first["max"] <= 1
    else:
        shares = [actions["share"].values()] if kind == "discrete" else actions["share"].values()
        assert all(abs(sum(share) - 1) < 0.01 for share in shares)


@pytest.mark.parametrize("size_px, side", [(16, 96), (64, 64), (96, 96), (160, 128)])
def test_a_contact_sheet_shows_the_frames(tmp_path, size_px, side):
    record(TOY, tmp_path / "a", frames=70, size_px=size_px, quiet=True)
    image = np.asarray(Image.open(write_contact_sheet(tmp_path / "a", rows=8, columns=5)))
    assert (tmp_path / "a" / "contact_sheet.png").is_file()
    height = 36 + (3 + 2) * (side + 12)
    assert image.shape == (height, 92 + 5 * side, 3), "three episodes, then two strips with actions"
    first = image[36 : 36 + side, 92 : 92 + side]
    assert (np.abs(first[..., 2].astype(int) - 40) < 3).mean() > 0.5, "the toy's ground is dark blue"


def write(path, space, actions, reward=None):
    from worldling.data.store import DatasetMeta, DatasetWriter

    count = len(actions)
    reward = np.ones(count, np.float32) if reward is None else reward
    flags = np.zeros(count, bool)
    with DatasetWriter(path, DatasetMeta("x", 16, space)) as writer:
        writer.write(Episode(np.zeros((count + 1, 16, 16, 3), np.uint8), actions, reward, flags, flags))
    return path


@pytest.mark.parametrize(
    "space, actions, keys",
    [
        (ActionSpace("box", low=(0, 0), high=(1, 1), names=("# recorded on the bench",)), np.ones((9, 2)), "01"),
        (ActionSpace("discrete", (3,), names=("a", "b")), np.ones(9, int), "012"),
        (ActionSpace("multi_binary", (2, 2), names=("a", "b", "c")), np.ones((9, 2), int), "01"),
        (ActionSpace("multi_discrete", (3, 2), names=("push", "push")), np.ones((9, 2), int), ("push (0)", "push (1)")),
    ],
)
def test_names_that_do_not_fit_do_not_keep_a_data_set_from_being_described(tmp_path, space, actions, keys):
    told = dataset_info(write(tmp_path / "d", space, actions.astype(space.dtype)))["actions"]
    assert list(told.get("axes", told.get("share"))) == list(keys)
    assert write_contact_sheet(tmp_path / "d").is_file()


def test_actions_that_are_not_those_of_the_space_are_one_line(tmp_path):
    path = write(tmp_path / "d", ActionSpace("discrete", (5,)), np.arange(9) % 5)
    text = (path / "dataset.json").read_text()
    (path / "dataset.json").write_text(text.replace("5\n", "3\n"))
    with pytest.raises(DatasetError, match=r"actions as its dataset\.json says") as caught:
        dataset_info(path)
    assert "\n" not in str(caught.value)


def test_sums_leave_out_rewards_that_are_no_numbers(tmp_path):
    reward = np.array([1, np.nan, 2, np.inf, -1, 0], np.float32)
    told = dataset_info(write(tmp_path / "d", ActionSpace("discrete", (2,)), np.zeros(6, int), reward))["reward"]
    assert told == {"sum": 2.0, "min": -1.0, "max": 2.0, "nonzero": 3, "not_finite": 2}
