"""Videos become data sets, with their actions or without."""

import json

import numpy as np
import pytest

from worldling.data.formats.registry import import_data
from worldling.data.store import PIECE_FRAMES, open_dataset
from worldling.errors import ConfigError, DataError, DatasetError
from worldling.types import ActionSpace

av = pytest.importorskip("av")


def write_video(path, frames=12, size=(48, 32), rate=20):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for t in range(frames):
            picture = np.full((size[1], size[0], 3), (t * 10 % 250, 90, 160), np.uint8)
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


@pytest.fixture
def clips(tmp_path):
    folder = tmp_path / "clips"
    folder.mkdir()
    write_video(folder / "a.mp4")
    write_video(folder / "b.mp4", frames=20)
    return folder


def test_videos_without_actions(clips, tmp_path):
    summary = import_data(clips, tmp_path / "data", 16, quiet=True)
    dataset = open_dataset(tmp_path / "data")
    assert summary.action_kind == "none" and dataset.meta.action_space.kind == "none"
    assert dataset.lengths == [12, 20] and dataset.meta.fps == 20
    red = dataset.frames(0)[:, 8, 8, 0].astype(int)
    assert np.abs(red - np.arange(12) * 10).max() <= 6, "frames in order, in RGB"
    assert dataset[0].truncated[-1] and not dataset[0].terminated.any()
    assert dataset.meta.seed > 0, "which tells these videos from others"
    import_data(clips, tmp_path / "slow", 16, frame_skip=4, quiet=True)
    assert open_dataset(tmp_path / "slow").lengths == [3, 5] and open_dataset(tmp_path / "slow").meta.fps == 5


def test_discrete_actions_from_csv_and_json(clips, tmp_path):
    (clips / "a.csv").write_text("key\n" + "\n".join(str(t % 4) for t in range(11)))
    (clips / "b.json").write_text(json.dumps({"actions": [t % 3 for t in range(20)]}))
    import_data(clips, tmp_path / "data", 16, quiet=True)
    dataset = open_dataset(tmp_path / "data")
    assert dataset.meta.action_space == ActionSpace("discrete", (4,))
    assert dataset.actions(0).tolist() == [t % 4 for t in range(11)]
    assert dataset.actions(1).tolist() == [t % 3 for t in range(19)], "the last action leads nowhere"


def test_box_actions_and_their_names(clips, tmp_path):
    (clips / "a.csv").write_text("steer,gas\n" + "\n".join(f"{t / 10 - 0.5},{t / 11}" for t in range(11)))
    np.save(clips / "b.npy", np.zeros((19, 2)))
    import_data(clips, tmp_path / "data", 16, quiet=True)
    space = open_dataset(tmp_path / "data").meta.action_space
    assert space.kind == "box" and space.names == ("steer", "gas")
    assert np.allclose(space.low, (-0.5, 0)) and np.allclose(space.high, (0.5, 10 / 11))


def test_switches_and_a_space_of_ones_own(clips, tmp_path):
    for name, count in (("a", 11), ("b", 19)):
        np.save(clips / f"{name}.npy", np.random.default_rng(0).integers(0, 2, (count, 3)))
    import_data(clips, tmp_path / "data", 16, quiet=True)
    assert open_dataset(tmp_path / "data").meta.action_space == ActionSpace("multi_binary", (2, 2, 2))
    (clips / "action_space.json").write_text(json.dumps({"kind": "multi_discrete", "nvec": [2, 2, 5]}))
    import_data(clips, tmp_path / "own", 16, quiet=True)
    assert open_dataset(tmp_path / "own").meta.action_space == ActionSpace("multi_discrete", (2, 2, 5))


def test_a_long_video_is_cut(tmp_path):
    (tmp_path / "clips").mkdir()
    write_video(tmp_path / "clips" / "long.mp4", PIECE_FRAMES + 30, (16, 16))
    np.save(tmp_path / "clips" / "long.npy", np.arange(PIECE_FRAMES + 29) % 7)
    import_data(tmp_path / "clips", tmp_path / "data", 8, quiet=True)
    dataset = open_dataset(tmp_path / "data")
    assert dataset.lengths == [PIECE_FRAMES, 31]
    assert dataset.episode_meta(0)["cut"] and not dataset.episode_meta(1)["cut"]
    actions = np.concatenate([dataset.actions(0), dataset.actions(1)])
    assert np.array_equal(actions, np.arange(PIECE_FRAMES + 29) % 7)


def test_wrong_folders_are_told_and_leave_nothing(clips, tmp_path):
    def fails(match, error=DataError, **options):
        with pytest.raises(error, match=match):
            import_data(clips, tmp_path / "data", 16, quiet=True, **options)
        assert sorted(p.name for p in tmp_path.iterdir()) == ["clips"]

    (clips / "a.csv").write_text("\n".join("0" * 11))
    fails("for b.mp4")
    np.save(clips / "b.npy", np.zeros(30, int))
    fails("30 actions, 20 frames")
    np.save(clips / "b.npy", np.zeros(5, int))
    fails("5 actions, 20 frames")
    np.save(clips / "b.npy", np.zeros((19, 2)))
    fails("one width")
    (clips / "b.npy").write_bytes(b"not numpy")
    fails("b.npy")
    np.save(clips / "b.npy", np.zeros(19, int))
    fails("frame_skip", ConfigError, frame_skip=2)
    (clips / "b.csv").write_text("0")
    fails("one action file")
    (clips / "b.csv").unlink()
    (clips / "b.mp4").write_bytes((clips / "b.mp4").read_bytes()[:300])
    fails("b.mp4")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="none in"):
        import_data(tmp_path / "empty", tmp_path / "data", format="video")
    with pytest.raises(DatasetError, match="new folder"):
        import_data(clips, clips)
