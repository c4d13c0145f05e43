"""The OCP suite: a perfect world reaches the ceiling, and one that holds still gains nothing."""

import pytest
from judge_worlds import SMALL_EXAM, CopyWorld, PerfectWorld

from worldling.errors import JudgeError
from worldling.judge.judgement import judge, suites_for

pytest.importorskip("sklearn")


@pytest.fixture(scope="module", autouse=True)
def small_readout():
    """A smaller exam, and fewer penalties to choose from: the fits are what takes time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("worldling.judge.measures.readout.PENALTIES", [1e-2, 1.0])
        patch.setattr("worldling.judge.ocp.suite.PAIRS", SMALL_EXAM)
        patch.setattr(
            "worldling.judge.ocp.suite.ANCHORED", {split: 2 * SMALL_EXAM[split] for split in ("readout", "test")}
        )
        yield


@pytest.fixture(scope="module")
def reports(exam, small_readout):
    return {
        kind.__name__: judge(
            kind(exam.dataset, context=4), suites=["ocp"], exam=exam.path, trials=20, scenes=["drop"], quiet=True
        )["suites"]["ocp"]
        for kind in (PerfectWorld, CopyWorld)
    }


def test_a_perfect_world_reaches_the_ceiling_and_one_that_holds_still_detects_nothing(reports):
    perfect, copy = reports["PerfectWorld"]["mean"], reports["CopyWorld"]["mean"]
    assert perfect["B"] == perfect["A"] and perfect["direct"] == perfect["direct_truth"]
    assert copy["A"] == perfect["A"] and copy["direct"]["value"] < perfect["direct"]["value"]


def test_the_first_frame_cannot_tell_a_pair_apart(reports):
    """Both trials of a pair get the same answer from it, so exactly one of them is right."""
    assert reports["CopyWorld"]["mean"]["frame_0"]["value"] == 0.5


def test_trials_outside_the_range_of_training_are_judged_by_the_same_readouts(reports):
    perfect, copy = (reports[name]["outside"] for name in ("PerfectWorld", "CopyWorld"))
    assert perfect["trials_per_scene"] == perfect["mean"]["B"]["n"] == 2 * SMALL_EXAM["outside"]
    assert perfect["mean"]["B"] == perfect["mean"]["A"] == copy["mean"]["A"]


def test_a_world_that_holds_still_is_its_own_anchor(reports):
    """The anchor is fitted on fewer trials than B, here on all: then nothing tells it from a world that holds still."""
    copy = reports["CopyWorld"]
    assert (
        copy["anchors"]["copy_last"]["value"] == copy["mean"]["B"]["value"] and "random_weights" not in copy["anchors"]
    )


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
