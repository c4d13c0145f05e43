"""The physics exam and the OCP suite: the same seeds, the same trials; a perfect dreamer reaches the ceiling."""

import json

import numpy as np
import pytest

pytest.importorskip("mujoco")
pytest.importorskip("sklearn")

from judge_worlds import CopyWorld, PerfectWorld  # noqa: E402

from worldling.data.store import open_dataset  # noqa: E402
from worldling.errors import DatasetError, JudgeError  # noqa: E402
from worldling.judge.judge import judge, suites_for  # noqa: E402
from worldling.judge.measures.contact_features import future_features  # noqa: E402
from worldling.judge.readers.scene import read  # noqa: E402
from worldling.judge.truth.exam import Exam, make_exam  # noqa: E402

SMALL = {"test": 10, "readout": 10, "outside": 4}


@pytest.fixture(scope="module")
def exam(tmp_path_factory):
    return make_exam(tmp_path_factory.mktemp("exam"), SMALL, scenarios=["drop"], workers=1, quiet=True)


@pytest.fixture(scope="module", autouse=True)
def small_readout():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("worldling.judge.ocp.suite.PAIRS", SMALL)
        patch.setattr("worldling.judge.ocp.suite.ANCHORED", {split: 2 * SMALL[split] for split in ("readout", "test")})
        yield


@pytest.fixture(scope="module")
def reports(exam, small_readout):
    return {
        kind.__name__: judge(
            kind(exam.dataset, context=4), suites=["ocp"], exam=exam.path, trials=20, scenes=["drop"], quiet=True
        )["suites"]["ocp"]
        for kind in (PerfectWorld, CopyWorld)
    }


def test_pairs_share_their_first_frame_and_not_their_end(exam):
    trials = exam.trials("drop", "test")
    assert len(trials) == 20 and sum(t.contact for t in trials) == 10
    for yes, no in zip(trials[::2], trials[1::2]):
        a, b = exam.frames(yes), exam.frames(no)
        assert yes.contact and not no.contact and np.array_equal(a[0], b[0]) and not np.array_equal(a[-1], b[-1])
        touching = exam.state(yes, "touching")
        assert touching.argmax() == yes.first and not exam.state(no, "touching").any()


def test_what_is_there_is_not_made_again_and_what_was_cut_off_is(exam, tmp_path):
    before = {p.name: p.stat().st_mtime_ns for p in exam.path.glob("shard-*.h5")}
    again = make_exam(exam.path, SMALL, scenarios=["drop"], workers=1, quiet=True)
    assert {p.name: p.stat().st_mtime_ns for p in exam.path.glob("shard-*.h5")} == before
    assert again.checksums() == exam.checksums()


def test_an_exam_is_the_same_in_a_folder_that_holds_more(exam):
    part = make_exam(exam.path, {**SMALL, "outside": 0}, scenarios=["drop"], workers=1, quiet=True)
    assert not part.trials("drop", "outside") and part.trials("drop", "test") == exam.trials("drop", "test")
    assert part.tally()["drop"]["pairs"] == 20 < exam.tally()["drop"]["pairs"]
    assert part.checksums() != exam.checksums() == Exam(exam.path).checksums()


def test_an_unfinished_chunk_is_made_again_with_the_same_pixels(exam, tmp_path):
    import shutil

    copy = tmp_path / "exam"
    shutil.copytree(exam.path, copy)
    about = json.loads((copy / "exam.json").read_text())
    lost = max(about["chunks"], key=int)
    del about["chunks"][lost]  # as if killed between the shard and exam.json
    (copy / "exam.json").write_text(json.dumps(about))
    assert make_exam(copy, SMALL, scenarios=["drop"], workers=1, quiet=True).checksums() == exam.checksums()


@pytest.mark.parametrize(
    "damage, words", [("{", "exam"), ('{"size_px": 128, "seed": 1000000, "chunks": {}}', "128 px")]
)
def test_a_damaged_or_other_exam_is_named(exam, tmp_path, damage, words):
    import shutil

    copy = tmp_path / "exam"
    shutil.copytree(exam.path, copy)
    (copy / "exam.json").write_text(damage)
    with pytest.raises(DatasetError, match=words):
        make_exam(copy, SMALL, scenarios=["drop"], quiet=True)
    assert len(list(copy.glob("shard-*.h5"))) == len(list(exam.path.glob("shard-*.h5")))


def test_an_exam_is_an_ordinary_data_set(exam):
    dataset = open_dataset(exam.path)
    assert len(dataset) == 60 and "touching" in dataset.state_names
    dataset.close()
    assert Exam(exam.path).about["seed"] == dataset.meta.seed


def test_an_exam_cut_off_between_a_shard_and_its_labels_is_told(exam, tmp_path):
    import shutil

    copy = tmp_path / "exam"
    shutil.copytree(exam.path, copy)
    about = json.loads((copy / "exam.json").read_text())
    about["chunks"].popitem()
    (copy / "exam.json").write_text(json.dumps(about))
    with pytest.raises(DatasetError, match="unfinished"):
        Exam(copy)


def test_what_is_hidden_stays_where_it_was_seen():
    """Yellow is covered from the first dreamed frame on, or from the last one shown: it does not jump to the middle of the picture."""
    frames = np.full((1, 8, 64, 64, 3), 90, np.uint8)
    frames[:, :, 40:48, 4:12] = (220, 30, 30)
    shown, future = frames[:, :4].copy(), frames[:, 4:]
    shown[:, :, 8:16, 50:58] = (220, 220, 30)
    early = shown.copy()
    early[:, 3] = frames[:, 3]
    moved_at_the_end, moved_at_most, jerked = 10, 13, 14
    for given in (shown, early):
        features = future_features(read(given), read(future))
        assert (features[0, [moved_at_the_end, moved_at_most, jerked]] == 0).all()


def test_a_data_set_is_not_turned_into_an_exam(squares):
    with pytest.raises(DatasetError, match="another data set"):
        make_exam(squares.path, SMALL, quiet=True)


def test_a_perfect_dreamer_reaches_the_ceiling_and_one_that_holds_still_detects_nothing(reports):
    perfect, copy = reports["PerfectWorld"]["mean"], reports["CopyWorld"]["mean"]
    assert perfect["B"] == perfect["A"] and perfect["direct"] == perfect["direct_truth"]
    assert copy["A"] == perfect["A"] and copy["direct"]["value"] < perfect["direct"]["value"]


def test_the_first_frame_cannot_tell_a_pair_apart(reports):
    """Both trials of a pair get the same answer from it, so exactly one of them is right."""
    assert reports["CopyWorld"]["mean"]["frame_0"]["value"] == 0.5


def test_trials_outside_the_range_of_training_are_judged_by_the_same_readouts(reports):
    perfect, copy = (reports[name]["outside"] for name in ("PerfectWorld", "CopyWorld"))
    assert perfect["trials_per_scene"] == perfect["mean"]["B"]["n"] == 2 * SMALL["outside"]
    assert perfect["mean"]["B"] == perfect["mean"]["A"] == copy["mean"]["A"]


def test_a_world_that_holds_still_is_its_own_anchor(reports):
    """The suite's anchor is fitted on fewer trials than B, here on all: then nothing tells it from a world that holds still."""
    copy = reports["CopyWorld"]
    assert copy["anchors"]["copy_last"]["value"] == copy["mean"]["B"]["value"] and "broken" not in copy["anchors"]


def test_labels_hold_when_simulated_again(reports):
    labels = reports["CopyWorld"]["labels"]
    assert labels["agree"] == labels["simulated_again"] == 20


def test_a_gain_is_the_difference_of_its_parts(reports):
    for report in reports.values():
        mean = report["mean"]
        assert mean["B_minus_C"]["value"] == pytest.approx(mean["B"]["value"] - mean["C"]["value"], abs=1e-6)
        assert mean["B_minus_C"]["low"] <= mean["B_minus_C"]["value"] <= mean["B_minus_C"]["high"]


def test_another_world_is_refused(squares):
    world = CopyWorld(squares)
    with pytest.raises(JudgeError, match="physics scenes"):
        judge(world, suites=["ocp"], quiet=True)
    assert "ocp" not in suites_for(world, squares.path)


def test_an_unknown_scene_is_named(exam):
    with pytest.raises(JudgeError, match="drop"):
        judge(CopyWorld(exam.dataset), suites=["ocp"], exam=exam.path, scenes=["drops"], quiet=True)


def test_the_reader_sees_what_the_engine_sees(exam):
    for trial in exam.trials("drop", "test")[:4]:
        things = read(exam.frames(trial))
        for ours, theirs, area in (
            (things.agent, exam.state(trial, "agent_seen"), things.agent_area),
            (things.patient, exam.state(trial, "patient_seen"), things.patient_area),
        ):
            assert np.array_equal(area > 0.002, theirs[:, 2] > 0.002)
            assert np.nanmax(np.abs(ours - theirs[:, :2])) < 1.5 / 64
