"""The container: what goes in comes out, anyone can read it, and damage is told."""

import errno
import json
import pickle
import subprocess
import sys

import h5py
import numpy as np
import pytest

from worldling.data import store
from worldling.data.dataset import DatasetMeta
from worldling.data.store import PIECE_FRAMES, DatasetWriter, open_dataset
from worldling.errors import ActionError, DatasetError, DiskFullError, ShapeError
from worldling.types import ActionSpace, Episode

SPACE = ActionSpace("box", low=(-1, 0), high=(1, 2))
META = DatasetMeta("Toy-v0", 16, SPACE, {"a": [1, 2]}, license="MIT", seed=3)


def make_episode(length: int, seed: int = 0) -> Episode:
    rng = np.random.default_rng(seed)
    return Episode(
        frames=rng.integers(0, 256, (length, 16, 16, 3), dtype=np.uint8),
        actions=rng.uniform([-1, 0], [1, 2], (length - 1, 2)).astype(np.float32),
        reward=rng.normal(size=length - 1).astype(np.float32),
        terminated=np.arange(length - 1) == length - 2,
        truncated=np.zeros(length - 1, bool),
        state={"pose": rng.normal(size=(length, 3)), "time": np.arange(length)},
        meta={"seed": seed, "number": seed},
    )


@pytest.fixture
def written(tmp_path):
    episodes = [make_episode(length, i) for i, length in enumerate((40, 2, 900, 1200, 17))]
    with DatasetWriter(tmp_path / "data", META) as writer:
        for episode in episodes:
            writer.write(episode)
    return tmp_path / "data", episodes


def test_what_is_written_is_read(written):
    path, episodes = written
    dataset = open_dataset(path)
    assert dataset.meta == META
    assert dataset.lengths == [40, 2, 900, PIECE_FRAMES, 1200 - PIECE_FRAMES + 1, 17]
    assert dataset.num_frames == sum(dataset.lengths) and len(list(dataset)) == len(dataset) == 6
    for index, episode in zip((0, 1, 2, 5), (episodes[i] for i in (0, 1, 2, 4)), strict=True):
        read = dataset[index]
        for name in ("frames", "actions", "reward", "terminated", "truncated"):
            assert np.array_equal(getattr(read, name), getattr(episode, name)), name
            assert getattr(read, name).dtype == getattr(episode, name).dtype
        assert np.array_equal(read.state["pose"], episode.state["pose"])
        assert np.array_equal(read.state["time"], episode.state["time"])
        assert read.meta["seed"] == episode.meta["seed"] and not read.meta["cut"]


@pytest.mark.parametrize("call", range(11))
def test_an_interrupt_while_writing_leaves_whole_episodes(tmp_path, monkeypatch, call):
    """Ctrl-C at any column of the second episode: the first one is kept, whole, and recording can go on."""
    grow, calls = store._grow, []

    def interrupted(file, name, values):
        grow(file, name, values)
        calls.append(name)
        if len(calls) == call + 1:
            raise KeyboardInterrupt

    with DatasetWriter(tmp_path / "data", META) as writer:
        writer.write(make_episode(40))
        monkeypatch.setattr(store, "_grow", interrupted)
        with pytest.raises(KeyboardInterrupt):
            writer.write(make_episode(30, 1))
    assert open_dataset(tmp_path / "data").lengths == [40]
    monkeypatch.undo()
    with DatasetWriter(tmp_path / "data", META) as writer:
        writer.write(make_episode(30, 1))
    dataset = open_dataset(tmp_path / "data")
    assert dataset.lengths == [40, 30] and np.array_equal(dataset[1].frames, make_episode(30, 1).frames)


def test_an_interrupt_in_the_first_episode_leaves_no_shard(tmp_path, monkeypatch):
    def interrupted(file, name, values):
        raise KeyboardInterrupt

    monkeypatch.setattr(store, "_grow", interrupted)
    with pytest.raises(KeyboardInterrupt), DatasetWriter(tmp_path / "data", META) as writer:
        writer.write(make_episode(40))
    assert not list((tmp_path / "data").glob("shard-*"))


def test_a_long_episode_is_cut_without_losing_a_transition(written):
    path, episodes = written
    first, second = open_dataset(path)[3], open_dataset(path)[4]
    assert first.meta["cut"] and not second.meta["cut"]
    assert np.array_equal(first.frames[-1], second.frames[0])
    assert np.array_equal(np.concatenate([first.actions, second.actions]), episodes[3].actions)


def test_slices_are_those_of_the_episode(written):
    path, episodes = written
    dataset = open_dataset(path)
    assert np.array_equal(dataset.frames(2, 100, 133), episodes[2].frames[100:133])
    assert np.array_equal(dataset.frames(2, 890), episodes[2].frames[890:])
    assert np.array_equal(dataset.actions(2, 890, 5000), episodes[2].actions[890:])
    assert dataset.frames(2, 5, 5).shape == (0, 16, 16, 3)
    assert np.array_equal(dataset.column("state/pose", 0), episodes[0].state["pose"])
    assert len(dataset.column("reward", 0)) == 39
    copy = pickle.loads(pickle.dumps(dataset))
    assert np.array_equal(copy.frames(0), episodes[0].frames), "a data set can go to a spawned process"


def test_shards_are_plain_hdf5(written):
    """The example in the docstring of store.py."""
    path, episodes = written
    shard = h5py.File(path / "shard-0-0000.h5")
    first, last = shard["episode_offsets"][0], shard["episode_offsets"][1]
    assert np.array_equal(shard["pixels"][first:last], episodes[0].frames)
    assert np.array_equal(shard["action"][first : last - 1], episodes[0].actions)
    assert shard["pixels"].chunks[0] == 16 and shard["pixels"].compression_opts == 1
    columns = ("pixels", "action", "reward", "terminated", "truncated", "state/pose")
    assert {len(shard[name]) for name in columns} == {shard["episode_offsets"][-1]}
    assert (shard.attrs["env_id"], shard.attrs["seed"], shard.attrs["license"]) == ("Toy-v0", 3, "MIT")


def test_a_writer_goes_on_after_the_shards_that_exist(written):
    path, _ = written
    before = sorted(p.name for p in path.glob("*.h5"))
    with DatasetWriter(path, META) as writer:
        writer.write(make_episode(9))
    assert len(list(path.glob("*.h5"))) == len(before) + 1 and open_dataset(path).lengths[-1] == 9


def test_a_killed_writer_leaves_the_shards_before(written):
    path, _ = written
    writer = DatasetWriter(path, META)
    writer.write(make_episode(50))  # never closed, as if the process had been killed
    (path / ".shard-0-0007.h5.abc").write_bytes(b"half")
    assert open_dataset(path).num_frames == 40 + 2 + 900 + 1201 + 17


@pytest.mark.parametrize("damage", ["cut", "empty", "foreign", "column", "size", "offsets"])
def test_a_damaged_shard_is_named(written, damage):
    path, _ = written
    shard = sorted(path.glob("*.h5"))[-1]
    if damage in ("cut", "empty", "foreign"):
        data = shard.read_bytes()
        left = {"cut": data[: len(data) // 2], "empty": b"", "foreign": b"PK\x03\x04" * 100}
        shard.write_bytes(left[damage])
    else:
        with h5py.File(shard, "r+") as file:
            if damage == "column":
                del file["action"]
            elif damage == "size":
                del file["pixels"]
                file["pixels"] = np.zeros((5, 8, 8, 3), np.uint8)
            else:
                file["episode_offsets"][-1] = 10**6
    with pytest.raises(DatasetError, match=shard.name) as caught:
        open_dataset(path)
    assert "Delete it" in str(caught.value) and "\n" not in str(caught.value)


def test_rotten_bytes_are_noticed_on_reading(written):
    path, _ = written
    shard = path / "shard-0-0000.h5"
    data = bytearray(shard.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 2000] = bytes(2000)
    shard.write_bytes(data)
    with pytest.raises(DatasetError, match=shard.name):
        list(open_dataset(path))


def test_a_folder_that_is_no_data_set_is_told(tmp_path, written):
    with pytest.raises(DatasetError, match="no such folder"):
        open_dataset(tmp_path / "nowhere")
    with pytest.raises(DatasetError, match=r"dataset\.json"):
        open_dataset(tmp_path)
    path, _ = written
    meta = json.loads((path / "dataset.json").read_text())
    for text in ("{", "[]", json.dumps({**meta, "format": "other"}), json.dumps({**meta, "colour": 1})):
        (path / "dataset.json").write_text(text)
        with pytest.raises(DatasetError, match=r"dataset\.json"):
            open_dataset(path)
    with DatasetWriter(tmp_path / "new", META):
        pass
    with pytest.raises(DatasetError, match="at least one shard"):
        open_dataset(tmp_path / "new")


def test_a_full_disk_leaves_the_shards_before(written, monkeypatch):
    path, _ = written
    before = {p.name for p in path.iterdir()}

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    writer = DatasetWriter(path, META)
    writer.write(make_episode(30))
    with pytest.raises(DiskFullError, match="Free some space"):
        writer.close()
    assert {p.name for p in path.iterdir()} == before and open_dataset(path).num_frames > 2000


@pytest.mark.parametrize("change", ["size", "dtype", "short", "actions", "bounds"])
def test_an_episode_that_does_not_fit_is_refused(tmp_path, change):
    episode = make_episode(10)
    if change == "size":
        episode.frames = episode.frames[:, :8]
    elif change == "dtype":
        episode.frames = episode.frames.astype(np.float32)
    elif change == "short":
        episode.frames = episode.frames[:1]
    elif change == "actions":
        episode.actions = episode.actions[:-1]
    else:
        episode.actions = episode.actions + 5
    with DatasetWriter(tmp_path / "data", META) as writer, pytest.raises((ShapeError, ActionError)):
        writer.write(episode)
    assert not list((tmp_path / "data").glob("*.h5"))


def test_videos_without_actions_are_kept_too(tmp_path):
    meta = DatasetMeta("video", 16, ActionSpace("none"))
    episode = make_episode(20)
    episode.actions, episode.state = np.zeros((19, 0), np.float32), {}
    with DatasetWriter(tmp_path / "data", meta) as writer:
        writer.write(episode)
    assert open_dataset(tmp_path / "data")[0].actions.shape == (19, 0)


def test_shards_close_at_about_2000_frames(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "SHARD_FRAMES", 50)
    with DatasetWriter(tmp_path / "data", META, worker=4) as writer:
        for i in range(7):
            writer.write(make_episode(20, i))
    names = sorted(p.name for p in (tmp_path / "data").glob("*.h5"))
    assert names == ["shard-4-0000.h5", "shard-4-0001.h5", "shard-4-0002.h5"]
    assert [e.meta["seed"] for e in open_dataset(tmp_path / "data")] == list(range(7))


def test_only_a_few_of_many_shards_are_open_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "SHARD_FRAMES", 10)
    monkeypatch.setattr("worldling.data.dataset._OPEN_FILES", 2)
    episodes = [make_episode(12, i) for i in range(6)]
    with DatasetWriter(tmp_path / "data", META) as writer:
        for episode in episodes:
            writer.write(episode)
    dataset = open_dataset(tmp_path / "data")
    assert len(dataset.shards) == 6 and len(dataset._files) == 2
    for i in (0, 5, 0, 3, 1, 5, 2, 4):
        assert np.array_equal(dataset.frames(i), episodes[i].frames) and len(dataset._files) <= 2


HINDERED = [
    (errno.EAGAIN, "another program has it open"),
    (errno.EACCES, "no right to read"),
    (errno.EIO, "the disk does not answer"),
    (errno.ENOENT, "it is gone"),
    (errno.ENOLCK, "gives no locks"),
]


@pytest.mark.parametrize("number, cause", HINDERED)
@pytest.mark.parametrize("as_text", [False, True])
def test_a_shard_that_cannot_be_reached_is_not_called_damaged(written, monkeypatch, number, cause, as_text):
    path, _ = written
    opened = h5py.File

    def hindered(name, *given, **named):
        if "shard-0-0001" in str(name):
            text = f"Unable to synchronously open file (errno = {number})"
            raise OSError(text) if as_text else OSError(number, text)
        return opened(name, *given, **named)

    monkeypatch.setattr("worldling.data.dataset.h5py.File", hindered)
    with pytest.raises(DatasetError, match=cause) as caught:
        open_dataset(path)
    said = str(caught.value)
    assert "shard-0-0001" in said and "damaged" not in said and "Delete" not in said and "\n" not in said


@pytest.mark.skipif(sys.platform == "win32", reason="locks differ")
def test_a_shard_open_elsewhere_for_writing_is_told_as_such(written):
    path, _ = written
    script = f"import h5py, sys; f = h5py.File({str(path / 'shard-0-0000.h5')!r}, 'r+'); print(1, flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        with pytest.raises(DatasetError, match="another program has it open for writing"):
            open_dataset(path)
        other.communicate(b"\n")
    assert open_dataset(path).num_frames > 0


def test_where_few_files_may_be_open_fewer_are(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "SHARD_FRAMES", 10)
    with DatasetWriter(tmp_path / "data", META) as writer:
        for i in range(6):
            writer.write(make_episode(12, i))
    opened, live = h5py.File, []

    def scarce(*given, **named):
        live[:] = [file for file in live if file.id.valid]
        if len(live) >= 2:
            raise OSError(errno.EMFILE, "Too many open files")
        live.append(opened(*given, **named))
        return live[-1]

    monkeypatch.setattr("worldling.data.dataset.h5py.File", scarce)
    dataset = open_dataset(tmp_path / "data")
    for i in (0, 5, 0, 3):
        assert np.array_equal(dataset.frames(i), make_episode(12, i).frames)


def test_engine_state_that_some_shards_lack_is_left_out(written):
    path, _ = written
    with h5py.File(sorted(path.glob("*.h5"))[-1], "r+") as file:
        del file["state/time"]
    dataset = open_dataset(path)
    assert dataset.state_names == ("pose",)
    assert [set(episode.state) for episode in dataset] == [{"pose"}] * len(dataset)
