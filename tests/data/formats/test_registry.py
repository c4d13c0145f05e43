"""The registry knows every format, finds the one that fits, and says what it knows where none does."""

import ast
import dataclasses
from pathlib import Path

import h5py
import numpy as np
import pytest

from worldling.cli import build_parser
from worldling.data.dataset import DatasetMeta
from worldling.data.environment import shrink
from worldling.data.formats import registry
from worldling.data.formats.format import Format, ReadOptions
from worldling.data.formats.registry import FORMATS, detect_format, find_format, import_data, is_imported
from worldling.data.store import DatasetWriter, open_dataset
from worldling.errors import ConfigError, DataError, DatasetError
from worldling.types import ActionSpace, Episode

FOLDER = Path(registry.__file__).parent


def episode(rng, frames, number, cut=False, size_px=16):
    steps = frames - 1
    return Episode(
        rng.integers(0, 256, (frames, size_px, size_px, 3), dtype=np.uint8),
        rng.integers(0, 3, steps),
        rng.random(steps, np.float32),
        np.zeros(steps, bool),
        np.arange(steps) == steps - 1,
        {"place": rng.random((frames, 2))},
        {"seed": 40 + number, "number": number, "cut": cut},
    )


@pytest.fixture
def recorded(tmp_path):
    """A data set of two recordings, the first of them in two pieces."""
    rng = np.random.default_rng(0)
    meta = DatasetMeta("Some-v0", 16, ActionSpace("discrete", (3,)), {"hard": True}, 2, 10.0, "sticky", 5, "MIT")
    with DatasetWriter(tmp_path / "recorded", meta) as writer:
        for given in (episode(rng, 9, 0, cut=True), episode(rng, 4, 0), episode(rng, 5, 1)):
            writer.write(given)
    return tmp_path / "recorded"


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_can_be_found_by_its_name(name):
    known = find_format(name)
    assert isinstance(known, Format) and known.name == name
    assert not known.detect(Path("no/such/folder"))


def test_every_file_of_the_folder_is_a_format_on_the_list():
    files = {path.stem for path in FOLDER.glob("*.py")} - {"__init__", "format", "registry"}
    assert files == {place.partition(":")[0].rpartition(".")[2] for place, _ in FORMATS.values()}


def test_nothing_outside_its_own_file_knows_a_format_by_name():
    allowed = {FOLDER, FOLDER.parents[1] / "judge"}  # the suite physion asks about the stimuli of Physion
    for path in FOLDER.parents[1].rglob("*.py"):
        if not allowed & set(path.parents):
            text = path.read_text()
            strings = {n.value for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Constant)}
            assert not any(f"formats.{name}" in text for name in ("shards", "video", "physion")), path
            assert "video" not in strings, path


def test_an_unknown_name_is_told_the_known_ones():
    with pytest.raises(ConfigError) as caught:
        find_format("phision")
    assert all(name in str(caught.value) for name in FORMATS) and "mean 'physion'" in str(caught.value)


def test_the_command_line_lists_the_formats():
    choices = build_parser()._subparsers._group_actions[0].choices
    text = " ".join(choices["import"].format_help().split())
    assert all(f"{name}: {what}" in text for name, (_, what) in FORMATS.items())


def test_data_of_no_format_and_of_two_are_told(tmp_path):
    with pytest.raises(DataError, match="no such path") as caught:
        detect_format(tmp_path / "nothing")
    assert all(name in str(caught.value) for name in FORMATS)
    with pytest.raises(DataError, match="got none"):
        detect_format(tmp_path)
    with h5py.File(tmp_path / "foreign.hdf5", "w") as file:
        file["pixels"] = np.zeros(3)
    with pytest.raises(DataError, match="got none"):
        detect_format(tmp_path)
    (tmp_path / "a.mp4").touch()
    assert detect_format(tmp_path).name == "video"
    (tmp_path / "dataset.json").touch()
    with pytest.raises(DataError, match="got worldling and video"):
        detect_format(tmp_path)


def test_a_damaged_file_is_named_by_the_format_it_seems_to_be_of(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "cut.hdf5").write_bytes(b"\x89HDF")
    with pytest.raises(DataError, match=r"cut\.hdf5` must be a whole HDF5 file"):
        import_data(tmp_path / "in", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", sorted(set(FORMATS) - {"worldling"}))
def test_formats_that_cannot_be_written_say_so(name, recorded, tmp_path):
    source = find_format("worldling").read(recorded, ReadOptions(16))
    with pytest.raises(DataError, match=f"got '{name}', which can only be read"):
        find_format(name).write(source, tmp_path / "out")


def test_a_data_set_read_and_written_is_the_same(recorded, tmp_path):
    (recorded / "physion.json").write_text('{"stimuli": []}')
    made = import_data(recorded, tmp_path / "copy", 16, quiet=True)
    assert (made.format, made.frames, made.episodes, made.fps) == ("worldling", 18, 2, 10.0)
    before, after = open_dataset(recorded), open_dataset(tmp_path / "copy")
    assert before.meta == after.meta and before.lengths == after.lengths == [9, 4, 5]
    for i, (old, new) in enumerate(zip(before, after, strict=True)):
        for field in dataclasses.fields(Episode):
            if field.name not in ("state", "meta"):
                assert np.array_equal(getattr(old, field.name), getattr(new, field.name)), field.name
        assert np.array_equal(old.state["place"], new.state["place"])
        assert before.episode_meta(i) == after.episode_meta(i)
    assert (tmp_path / "copy" / "physion.json").read_text() == '{"stimuli": []}'


def test_a_data_set_can_be_made_smaller_and_nothing_else(recorded, tmp_path):
    import_data(recorded, tmp_path / "small", 8, quiet=True)
    before, after = open_dataset(recorded), open_dataset(tmp_path / "small")
    assert after.meta == dataclasses.replace(before.meta, size_px=8)
    assert np.array_equal(after.frames(2)[3], shrink(before.frames(2)[3], 8))
    assert np.array_equal(after.actions(2), before.actions(2))
    with pytest.raises(ConfigError, match="frame_skip"):
        import_data(recorded, tmp_path / "slow", 8, frame_skip=2)


def test_a_place_in_use_is_refused_before_anything_is_read(recorded, tmp_path):
    (recorded / "shard-0-0000.h5").write_bytes(b"")
    with pytest.raises(DatasetError, match="new folder"):
        import_data(recorded, tmp_path)


def test_imported_data_have_no_environment():
    assert is_imported("video") and is_imported("physion") and not is_imported("Pong-v5") and not is_imported("")


@pytest.mark.parametrize("made", ["folder", "file"])
def test_what_came_to_the_place_meanwhile_is_not_overwritten(tmp_path, made):
    """As from the same import started twice: the second finds the first one's data set when it is done."""
    from worldling.data.store import all_or_nothing

    path = tmp_path / "d"
    with pytest.raises(DatasetError, match="came meanwhile"), all_or_nothing(path) as temporary:
        (temporary / "x").write_text("ours")
        if made == "folder":
            path.mkdir()
        (path / "y" if made == "folder" else path).write_text("theirs")
    left = path / "y" if made == "folder" else path
    assert left.read_text() == "theirs" and [p.name for p in tmp_path.iterdir()] == ["d"]
