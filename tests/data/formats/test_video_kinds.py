"""Videos as phones, screens and browsers make them: upright, at their own rate, in any container, folder or name."""

import json
import os
import struct
from fractions import Fraction

import numpy as np
import pytest

from worldling.data.formats.registry import import_data
from worldling.data.store import open_dataset
from worldling.errors import DataError
from worldling.types import ActionSpace

av = pytest.importorskip("av")


def write(path, times_ms=None, frames=12, rate=10, codec="libx264", pixels=None, aspect=None):
    """Write a video of frames that are ever lighter, or all `pixels`, at 10 fps or at `times_ms`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    times = times_ms or [1000 * k // rate for k in range(frames)]
    with av.open(str(path.absolute()), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.width = stream.height = 64
        stream.pix_fmt = "rgb8" if codec == "gif" else "yuv420p"
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        if times_ms:
            stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for k, t in enumerate(times):
            picture = np.full((64, 64, 3), k * 6 % 256, np.uint8) if pixels is None else pixels
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            if times_ms:
                frame.pts, frame.time_base = t, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def imported(folder, tmp_path, size_px=64):
    summary = import_data(folder, tmp_path / "data", size_px, quiet=True)
    return summary, open_dataset(tmp_path / "data")


def halves():
    """Red above, blue below."""
    picture = np.zeros((64, 64, 3), np.uint8)
    picture[:32], picture[32:] = (230, 0, 0), (0, 0, 200)
    return picture


@pytest.mark.parametrize(
    "matrix, red",
    [
        ((0, 1, -1, 0), "right"),  # as a phone held upright writes it: rotation -90
        ((0, -1, 1, 0), "left"),
        ((-1, 0, 0, -1), "bottom"),
        ((1, 0, 0, 1), "top"),
    ],
)
def test_frames_are_upright(tmp_path, matrix, red):
    path = write(tmp_path / "clips" / "a.mp4", pixels=halves())
    data = bytearray(path.read_bytes())
    at = data.find(b"tkhd") + 8 + 20 + 16
    a, b, c, d = (value << 16 for value in matrix)
    data[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    _, dataset = imported(tmp_path / "clips", tmp_path)
    frame = dataset[0].frames[0].astype(int)
    edges = {"top": frame[8, 32], "bottom": frame[56, 32], "left": frame[32, 8], "right": frame[32, 56]}
    assert max(edges, key=lambda edge: edges[edge][0] - edges[edge][2]) == red


def test_pixels_that_are_not_square_are_made_so(tmp_path):
    picture = np.zeros((64, 64, 3), np.uint8)
    picture[16:48, 16:48] = 255
    write(tmp_path / "clips" / "a.mp4", pixels=picture, aspect=Fraction(2, 1))
    frame = imported(tmp_path / "clips", tmp_path)[1][0].frames[0][..., 0] > 128
    assert frame[32].sum() == 32 and frame[:, 32].sum() == 16, "shown twice as wide, and padded to the square"


def test_the_rate_comes_from_the_times_of_the_frames(tmp_path, capsys):
    rng = np.random.default_rng(0)
    times = sorted(rng.choice(4000, 40, replace=False).tolist())
    write(tmp_path / "clips" / "a.mkv", times, rate=30)
    summary, dataset = imported(tmp_path / "clips", tmp_path)
    true = 39_000 / (times[-1] - times[0])
    assert abs(summary.fps - true) < 0.01 and abs(dataset.num_frames - 40) <= 1
    shown = np.searchsorted(times, times[0] + np.arange(dataset.num_frames) * 1000 / true + 250 / true, "right") - 1
    light = dataset[0].frames[:, 32, 32, 0].astype(int)
    assert np.abs(light - shown * 6).max() <= 4, "each frame is the one shown at that time"
    assert "resampled to" in capsys.readouterr().err and "resampled to" in summary.notes[0]


@pytest.mark.parametrize("period, rate", [(40, 30), (100, 10), (33, 30)])
def test_a_wrong_rate_in_the_header_and_small_jitter_do_no_harm(tmp_path, period, rate):
    times = [k * period + (k % 3) * 4 for k in range(30)]
    write(tmp_path / "clips" / "a.mkv", times, rate=rate)
    summary, dataset = imported(tmp_path / "clips", tmp_path)
    assert abs(summary.fps / (1000 / period) - 1) < 0.02 and dataset.lengths == [30] and summary.notes == ()


def test_a_pause_parts_a_video(tmp_path):
    write(tmp_path / "clips" / "a.mp4", [k * 100 + (3000 if k >= 10 else 0) for k in range(20)])
    summary, dataset = imported(tmp_path / "clips", tmp_path)
    assert summary.fps == 10 and dataset.lengths == [10, 10]
    assert "3.1 s between two frames at 0.9 s" in summary.notes[0] and "cut at 1 pause" in summary.notes[0]
    light = np.concatenate([episode.frames[:, 32, 32, 0] for episode in dataset]).astype(int)
    assert np.abs(light - np.arange(20) * 6).max() <= 4
    assert dataset[0].truncated[-1] and not dataset.episode_meta(0)["cut"]


def test_a_lost_frame_is_filled(tmp_path):
    write(tmp_path / "clips" / "a.mp4", [k * 100 for k in range(20) if k != 7])
    summary, dataset = imported(tmp_path / "clips", tmp_path)
    assert summary.fps == pytest.approx(10, rel=0.06) and abs(dataset.num_frames - 19) <= 1


@pytest.mark.parametrize("times", [[k * 100 + (3000 if k >= 10 else 0) for k in range(20)],
                                   [k * 100 for k in range(21) if k != 7],
                                   [int(100 * k + 60 * (k % 2)) for k in range(20)]])  # fmt: skip
def test_with_actions_uneven_frames_are_refused(tmp_path, times):
    write(tmp_path / "clips" / "a.mp4", times)
    (tmp_path / "clips" / "a.csv").write_text("0\n1\n" * 10)
    with pytest.raises(DataError, match=r"a\.mp4.*evenly spaced.* s between two frames at .* s, where") as caught:
        imported(tmp_path / "clips", tmp_path)
    assert "\n" not in str(caught.value) and not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    "name, codec",
    [("a.avi", "mpeg4"), ("a.mpg", "mpeg2video"), ("a.ts", "libx264"), ("a.MOV", "libx264"), ("a.webm", "libvpx-vp9"),
     ("a.flv", "libx264"), ("a.gif", "gif")],
)  # fmt: skip
def test_other_containers(tmp_path, name, codec):
    write(tmp_path / "clips" / name, codec=codec, rate=25 if name.endswith("mpg") else 10)
    summary, dataset = imported(tmp_path / "clips", tmp_path)
    assert dataset.lengths == [12] and abs(summary.fps - (25 if name.endswith("mpg") else 10)) < 0.1


@pytest.mark.parametrize(
    "name", ["12:30:05.mp4", "a b.mp4", "ünïcode.mp4", "-x.mp4", "100%d.mp4", "file:a.mp4", "concat:a|b.mp4"]
)
def test_odd_names_are_opened_from_inside_the_folder(tmp_path, monkeypatch, name):
    write(tmp_path / "clips" / name)
    monkeypatch.chdir(tmp_path / "clips")
    import_data(".", "../data", 16, quiet=True)
    assert open_dataset(tmp_path / "data").lengths == [12]


def test_folders_in_the_folder_and_a_single_file(tmp_path):
    for place in ("monday/a.mp4", "tuesday/a.mp4", "tuesday/late/b.mp4", ".trash/c.mp4"):
        write(tmp_path / "clips" / place)
        (tmp_path / "clips" / place).with_suffix(".csv").write_text("0\n1\n" * 6)
    summary, dataset = imported(tmp_path / "clips", tmp_path)
    assert summary.episodes == 3 and dataset.meta.action_space == ActionSpace("discrete", (2,))
    summary = import_data(tmp_path / "clips" / "monday" / "a.mp4", tmp_path / "one", 16, quiet=True)
    assert summary.episodes == 1 and summary.action_kind == "discrete"


@pytest.mark.parametrize("table", ["a.CSV", "a.Csv", "A.csv", "a.tsv", "a.JSON"])
def test_action_files_are_found_in_any_case(tmp_path, table):
    write(tmp_path / "clips" / "a.mp4")
    values = [k % 3 for k in range(12)]
    text = json.dumps(values) if table.lower().endswith("json") else "\n".join(map(str, values))
    (tmp_path / "clips" / table).write_text(text)
    summary, dataset = imported(tmp_path / "clips", tmp_path)
    assert summary.action_kind == "discrete" and dataset.actions(0).tolist() == values[:11] and summary.notes == ()


@pytest.mark.parametrize("table", ["a_actions.csv", "actions.npy", "labels.parquet", "b.json"])
def test_tables_that_belong_to_no_video_are_told(tmp_path, capsys, table):
    write(tmp_path / "clips" / "a.mp4")
    (tmp_path / "clips" / table).write_text("0\n")
    summary, _ = imported(tmp_path / "clips", tmp_path)
    assert summary.notes == (f"actions for a.mp4 are looked for in a.csv or the like; {table} was not used",)
    assert summary.notes[0] in capsys.readouterr().err


def test_words_become_choices_with_names(tmp_path):
    for name, words in (("a", ["right", "stay"]), ("b", ["left", "stay"])):
        write(tmp_path / "clips" / f"{name}.mp4")
        (tmp_path / "clips" / f"{name}.csv").write_text("\n".join(words * 6))
    _, dataset = imported(tmp_path / "clips", tmp_path)
    assert dataset.meta.action_space == ActionSpace("discrete", (3,), names=("left", "right", "stay"))
    assert dataset.actions(0).tolist() == [1, 2] * 5 + [1] and dataset.actions(1).tolist() == [0, 2] * 5 + [0]


def test_a_space_of_ones_own_says_which_choice_a_word_is(tmp_path):
    write(tmp_path / "clips" / "a.mp4")
    (tmp_path / "clips" / "a.csv").write_text("right\nstay\n" * 6)
    space = {"kind": "discrete", "nvec": [3], "names": ["stay", "left", "right"]}
    (tmp_path / "clips" / "action_space.json").write_text(json.dumps(space))
    assert imported(tmp_path / "clips", tmp_path)[1].actions(0)[:2].tolist() == [2, 0]
    for wrong, cause in (({**space, "names": ["stay", "left", "up"]}, "none called 'right'"),
                         ({**space, "names": ["stay"]}, "1 names for 3"), ([1], "action space")):  # fmt: skip
        (tmp_path / "clips" / "action_space.json").write_text(json.dumps(wrong))
        with pytest.raises(DataError, match=cause):
            import_data(tmp_path / "clips", tmp_path / "other", 16, quiet=True)


def test_columns_are_put_in_one_order(tmp_path):
    for name, header, row in (("a", "x,y", "0.5,2.5"), ("b", "y,x", "2.5,0.5")):
        write(tmp_path / "clips" / f"{name}.mp4")
        (tmp_path / "clips" / f"{name}.csv").write_text("\n".join([header] + [row] * 12))
    _, dataset = imported(tmp_path / "clips", tmp_path)
    assert (dataset.actions(1) == [0.5, 2.5]).all() and dataset.meta.action_space.names == ("x", "y")
    (tmp_path / "clips" / "b.csv").write_text("\n".join(["z,x"] + ["2.5,0.5"] * 12))
    with pytest.raises(DataError, match="columns of the others"):
        import_data(tmp_path / "clips", tmp_path / "other", 16, quiet=True)


def test_a_video_one_may_not_read_is_not_called_damaged(tmp_path, monkeypatch):
    path = write(tmp_path / "clips" / "a.mp4")
    opened = av.open
    path.chmod(0)

    def refused(name, *given):
        if os.access(path, os.R_OK):  # of a user who may read all
            raise av.error.PermissionError(13, "Permission denied", name)
        return opened(name, *given)

    monkeypatch.setattr("av.open", refused)
    with pytest.raises(DataError, match="must be readable, got Permission denied"):
        imported(tmp_path / "clips", tmp_path)
