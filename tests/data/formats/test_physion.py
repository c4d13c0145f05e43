"""Stimuli in Physion's own layout become a data set with its labels; damaged and foreign files are named."""

import io
import json

import h5py
import numpy as np
import pytest
from PIL import Image

from worldling import cli
from worldling.data.formats.physion import read_stimuli, scenario_of
from worldling.data.formats.registry import import_data
from worldling.data.store import open_dataset
from worldling.errors import ConfigError, DataError, DatasetError

FRAMES, FIRST, LAST = 23, 9, 10  # touching in frames 9 and 10 only


def grey(t):
    return np.full((32, 32, 3), 10 * (t % 25), np.uint8)


def write_stimulus(
    file, frames=FRAMES, contact=(FIRST, LAST), name="example_0000", kind="PNG", pictures="_img", leave_out=""
):
    """One HDF5 file as tdw_physics writes them: a gzip'd array of encoded bytes per picture, scalar labels."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(file, "w") as stimulus:
        stimulus["static/stimulus_name"] = name
        stimulus.create_group("frames")
        for t in range(frames):
            frame = stimulus.create_group(f"frames/{t:04d}")
            encoded = io.BytesIO()
            Image.fromarray(grey(t)).save(encoded, kind)
            if leave_out != "pictures":
                data = np.frombuffer(encoded.getvalue(), np.uint8)
                frame.create_dataset(f"images/{pictures}", data=data, compression="gzip")
            frame["images/_id"] = np.zeros(3, np.uint8)
            frame["labels/trial_end"] = t == frames - 1
            if leave_out != "labels":
                frame["labels/target_contacting_zone"] = bool(contact and contact[0] <= t <= contact[1])
    return file


@pytest.fixture
def folder(tmp_path):
    write_stimulus(
        tmp_path / "Physion/Dominoes/pilot_dominoes_4mid_boxroom_0000.hdf5", name="pilot_dominoes_4mid_boxroom_0000"
    )
    write_stimulus(
        tmp_path / "Physion/Dominoes/pilot_dominoes_4mid_boxroom_0001.hdf5",
        40,
        None,
        "pilot_dominoes_4mid_boxroom_0001",
    )
    write_stimulus(tmp_path / "Physion/Drape/test10_0000.hdf5", 16, (7, 7), "test10_0000", "JPEG", "_img_cam0")
    (tmp_path / "Physion/Drape/._test10_0000.hdf5").write_bytes(b"what a Mac leaves in archives")
    return tmp_path / "Physion"


def test_stimuli_become_episodes(folder, tmp_path):
    summary = import_data(folder, tmp_path / "data", 16, frame_skip=1, quiet=True)
    dataset = open_dataset(tmp_path / "data")
    assert dataset.lengths == [FRAMES, 40, 16] and dataset.meta.fps == pytest.approx(100)
    assert dataset.meta.action_space.kind == "none" and "MIT" in dataset.meta.license
    for episode, length in zip(dataset, dataset.lengths, strict=True):
        assert np.abs(episode.frames[:, 8, 8, 0].astype(int) - [grey(t)[0, 0, 0] for t in range(length)]).max() <= 2
    assert np.flatnonzero(dataset[0].state["touching"]).tolist() == [FIRST, LAST]
    assert summary.tallies == {"dominoes": {"stimuli": 2, "contact": 1}, "drape": {"stimuli": 1, "contact": 1}}
    told = [(s.episode, s.name, s.scenario, s.frames, s.first, s.contact) for s in read_stimuli(tmp_path / "data")]
    assert told == [
        (0, "pilot_dominoes_4mid_boxroom_0000", "dominoes", FRAMES, FIRST, True),
        (1, "pilot_dominoes_4mid_boxroom_0001", "dominoes", 40, None, False),
        (2, "test10_0000", "drape", 16, 7, True),
    ]


@pytest.mark.parametrize("skip", [2, 4, 5])
def test_skipping_frames_loses_no_contact(folder, tmp_path, skip):
    import_data(folder, tmp_path / "data", 16, skip, quiet=True)
    dataset = open_dataset(tmp_path / "data")
    assert dataset.meta.fps == pytest.approx(100 / skip) and dataset.meta.frame_skip == skip
    assert np.array_equal(dataset.frames(0)[:, 0, 0, 0], [grey(t)[0, 0, 0] for t in range(0, FRAMES, skip)])
    touching = [dataset.column("state/touching", i) for i in range(3)]
    assert np.flatnonzero(touching[0]).tolist() == sorted({FIRST // skip, LAST // skip})
    assert not touching[1].any() and np.flatnonzero(touching[2]).tolist() == [7 // skip], "the last frames count too"


def test_another_set_has_another_seed(folder, tmp_path):
    for name in ("one", "two"):
        import_data(folder, tmp_path / name, 16, frame_skip=4, quiet=True)
    import_data(folder / "Drape", tmp_path / "three", 16, quiet=True)
    write_stimulus(folder / "Drape/test10_0000.hdf5", 9, None, "test10_0000")
    import_data(folder / "Drape", tmp_path / "four", 16, quiet=True)
    one, two, three, four = (open_dataset(tmp_path / name).meta.seed for name in ("one", "two", "three", "four"))
    assert one == two and len({two, three, four}) == 3, "so that a world trained on the judged stimuli is found out"


@pytest.mark.parametrize(
    "name,file,scenario",
    [
        ("pilot_it2_rollingSliding_simple_collision_box_0008", "0008.hdf5", "roll"),
        ("pilot_it2_collision_yeet_tdw_1_dis_1_occ_0006", "x.hdf5", "collide"),
        ("pilot-containment-cone-plate_0017", "x.hdf5", "contain"),
        ("pilot_linking_nl1-8_mg000_aNone_bCyl_tdwroom_0033", "x.hdf5", "link"),
        ("pilot_towers_nb4_fr015_SJ000_gr000sph_mono1_dis0_occ0_tdwroom_stable_0000", "x.hdf5", "support"),
        ("pilot_it2_drop_all_bowls_box_0001", "x.hdf5", "drop"),
        ("test13_0010", "Drape_testing_HDF5s/test13_0010.hdf5", "drape"),
        ("test13_0010", "Rollreadout_HDF5s/0010.hdf5", "roll"),
        ("0010", "controllers/0010.hdf5", "unknown"),
    ],
)
def test_scenarios_are_told_by_name(tmp_path, name, file, scenario):
    assert scenario_of(name, type(tmp_path)(file)) == scenario


def test_what_is_wrong_is_named_and_leaves_nothing(tmp_path, capsys):
    folder = write_stimulus(tmp_path / "Physion" / "test10_0000.hdf5", 16).parent
    bad = folder / "test10_0001.hdf5"

    def fails(*words, **options):
        with pytest.raises(DataError) as caught:
            import_data(folder, tmp_path / "data", 16, quiet=True, **options)
        text = str(caught.value)
        assert all(word in text for word in (str(bad), "must", "got", *words)), text
        assert sorted(p.name for p in tmp_path.iterdir()) == ["Physion"], "nothing half-written"

    whole = write_stimulus(bad).read_bytes()
    bad.write_bytes(whole[: len(whole) // 2])
    fails("damaged or cut-off", "truncated", "Download")
    bad.write_bytes(b"")
    fails("damaged or cut-off", "Download")
    bad.write_bytes(whole.replace(b"SNOD", b"XXXX"))  # its directories of names
    fails("Download")
    with h5py.File(write_stimulus(bad), "r") as file:
        at = file["frames/0008/images/_img"].id.get_chunk_info(0).byte_offset
    bad.write_bytes(whole[:at] + bytes(16) + whole[at + 16 :])
    fails("damaged or cut-off", "Download")
    with h5py.File(bad, "w") as foreign:
        foreign["pixels"] = np.zeros((3, 8, 8, 3), np.uint8)
    fails("frames/0000", "move it out")
    write_stimulus(bad, leave_out="labels")
    fails("labels/target_contacting_zone", "frame 0000", "Download")
    write_stimulus(bad, leave_out="pictures")
    fails("images/_img", "frame 0000", "Download")
    with h5py.File(write_stimulus(bad), "r+") as file:
        data = file["frames/0008/images/_img"][:20]
        del file["frames/0008/images/_img"]
        file["frames/0008/images/_img"] = data
    fails("decoded in frame 0008", "Download")
    with h5py.File(write_stimulus(bad), "r+") as file:
        del file["frames/0022/labels/target_contacting_zone"]
    fails("frame 0022")
    write_stimulus(bad, 0)
    fails("got 0 of its 0", "move the file out")
    write_stimulus(bad, 2)
    fails("got 1 of its 2", "Lower frame_skip", frame_skip=2)
    write_stimulus(bad, 3)
    assert (
        cli.main(["import", str(folder), "--out", str(tmp_path / "data"), "--format", "physion", "--frame-skip", "9"])
        == 2
    )
    out, err = capsys.readouterr()
    assert out == "" and err.count("worldling:") == 1 and "Traceback" not in err


def test_a_stimulus_stays_in_one_piece(tmp_path, monkeypatch):
    monkeypatch.setattr("worldling.data.formats.physion.PIECE_FRAMES", 10)
    write_stimulus(tmp_path / "Drop" / "long.hdf5", 12)
    with pytest.raises(DataError, match=r"2 to 10 frames, got 12 .* Raise frame_skip"):
        import_data(tmp_path / "Drop", tmp_path / "data", 8, frame_skip=1, quiet=True)
    import_data(tmp_path / "Drop", tmp_path / "data", 8, frame_skip=2, quiet=True)
    assert open_dataset(tmp_path / "data").lengths == [6]


def test_wrong_settings_are_told(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="none in"):
        import_data(tmp_path / "empty", tmp_path / "data", format="physion")
    with pytest.raises(ConfigError, match="frame_skip"):
        import_data(folder, tmp_path / "data", frame_skip=0)
    with pytest.raises(DatasetError, match="new folder"):
        import_data(folder, folder)


def test_sets_without_their_stimuli_are_told(folder, tmp_path):
    import_data(folder, tmp_path / "data", 16, quiet=True)
    file = tmp_path / "data" / "physion.json"
    stimuli = json.loads(file.read_text())
    for text in ("{", "[]", json.dumps({"stimuli": [{**stimuli["stimuli"][0], "x": 1}]}), None):
        file.unlink() if text is None else file.write_text(text)
        with pytest.raises(DatasetError, match="--format physion"):
            read_stimuli(tmp_path / "data")


def test_the_command_line_imports_them(folder, tmp_path, capsys):
    assert (
        cli.main(
            ["import", str(folder), "--out", str(tmp_path / "data"), "--format", "physion", "--size-px", "16", "--json"]
        )
        == 0
    )
    told = json.loads(capsys.readouterr().out)
    assert told["episodes"] == 3 and told["fps"] == 12.5 and open_dataset(told["path"]).lengths == [3, 5, 2]
