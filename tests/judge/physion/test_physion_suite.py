"""Physion's own stimuli are judged under a name of their own, by readouts that never see what they are tested on."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from judge_worlds import SIZE, CopyWorld, PerfectWorld

from worldling.data.formats.physion import PHYSION, Stimulus
from worldling.data.store import DatasetMeta, DatasetWriter, open_dataset
from worldling.errors import DatasetError, JudgeError
from worldling.judge import judge
from worldling.judge.judgement import suites_for
from worldling.judge.measures.contact import predict
from worldling.judge.measures.latent_features import MOMENTS, latent_features, latents_of, predict_with_latents
from worldling.judge.measures.readout import reduce
from worldling.types import ActionSpace, Episode

pytest.importorskip("sklearn")
SKIP, SHOWN = 4, 12  # 45 of the files' frames are shown: numbers 0, 4, ... 44 are kept


def scene(number, contact, length, rng):
    """Red and yellow lie still while they are shown; then red moves to yellow, or away from it."""
    frames = np.full((length, SIZE, SIZE, 3), 90, np.uint8)
    y, x, gap = rng.integers(4, 11), rng.integers(6, 8), rng.integers(1, 3)
    for t in range(length):
        far = max(0, t - SHOWN) // 2
        at = x - 3 - gap + min(far, gap) if contact else max(0, x - 3 - gap - far)
        frames[t, y : y + 3, x : x + 3] = (220, 210, 20)
        frames[t, y : y + 3, at : at + 3] = (220, 20, 20)
        frames[t, 0, 0] = (number, t, 250)  # no two frames are equal, so that they can be looked up
    rest = np.zeros(length - 1)
    return Episode(
        frames, np.zeros((length - 1, 0), np.float32), rest.astype(np.float32), rest.astype(bool), rest.astype(bool)
    )


def write_stimuli(path, scenarios, lengths=(38, 30, 45)):
    """scenarios: name -> (stimuli with contact, stimuli without)."""
    rng = np.random.default_rng(0)
    stimuli = []
    meta = DatasetMeta(
        PHYSION, SIZE, ActionSpace("none"), frame_skip=SKIP, fps=25.0, policy=PHYSION, seed=7, license="MIT"
    )
    with DatasetWriter(path, meta) as writer:
        for name, (hits, misses) in scenarios.items():
            for i, answer in enumerate(rng.permutation(hits + misses)):
                number, length, contact = len(stimuli), lengths[i % len(lengths)], bool(answer < hits)
                writer.write(scene(number, contact, length, rng))
                stimuli.append(
                    Stimulus(
                        number,
                        f"{name}_{i}",
                        name,
                        f"{name}_{i}.hdf5",
                        SKIP * length,
                        4 * SHOWN + 8 if contact else None,
                    )
                )
    (path / "physion.json").write_text(json.dumps({"stimuli": [asdict(s) for s in stimuli]}))
    return open_dataset(path)


@pytest.fixture(scope="module")
def stimuli(tmp_path_factory):
    return write_stimuli(tmp_path_factory.mktemp("stimuli"), {"dominoes": (10, 15), "drop": (9, 12)})


def judged(world, stimuli, out=None):
    """The suite's report, with fewer folds and penalties to choose from: the fits are what takes time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("worldling.judge.measures.readout.PENALTIES", [1.0])
        patch.setattr("worldling.judge.measures.readout.FOLDS", 3)
        return judge(world, suites=("physion",), physion=stimuli.path, out=out, quiet=True)


@pytest.fixture(scope="module")
def physion_reports(stimuli):
    return {world.__name__: judged(world(stimuli), stimuli) for world in (CopyWorld, PerfectWorld)}


def test_a_perfect_world_is_as_good_as_the_truth(physion_reports):
    found = physion_reports["PerfectWorld"]["suites"]["physion"]["mean"]
    assert found["B"] == found["A"] and found["B_latent"] == found["A_latent"], "the same frames, the same answers"
    assert found["direct"] == found["direct_truth"]
    assert found["A"]["value"] >= 0.9
    assert found["C"]["value"] <= 0.75, "what is shown does not tell"
    assert found["B_minus_C"]["low"] > 0


def test_a_copying_world_gains_nothing(physion_reports):
    found = physion_reports["CopyWorld"]["suites"]["physion"]["mean"]
    assert found["B"] == found["copy_last"], "the self-check runs through the same code"
    assert (
        found["B_minus_C"]["low"] <= 0
        and found["A"] == physion_reports["PerfectWorld"]["suites"]["physion"]["mean"]["A"]
    )


def test_what_the_stimuli_are_like_is_told(physion_reports):
    found = physion_reports["CopyWorld"]["suites"]["physion"]
    assert found["n"] == 25 and list(found["scenarios"]) == ["dominoes"] and found["left_out"] == ["drop"]
    assert found["mean"]["majority"] == 0.6 and found["mean"]["contact"] == 0.4
    assert found["mean"]["contact_while_shown"] == found["mean"]["contact_after_the_end"] == 0
    assert (found["shown_frames"], found["frames"], found["frame_ms"]) == (SHOWN, 38, 40)
    assert found["visible"] == 1 and found["held_out"] is True and "random_weights" not in found["mean"]
    assert {row["n"] for row in found["mean"].values() if isinstance(row, dict)} == {25}


def test_its_numbers_stand_apart(physion_reports, stimuli, tmp_path):
    report = judged(CopyWorld(stimuli, seed=stimuli.meta.seed, fps=30.0), stimuli, tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert list(report["suites"]) == ["physion"]
    assert (
        "Physion-style" in page and "must not be compared" in page and "never tried on the real Physion files" in page
    )
    assert "trained on these very stimuli" in page and "another speed" in page
    ours, theirs = report["suites"]["physion"], physion_reports["CopyWorld"]["suites"]["physion"]
    assert ours["mean"] == theirs["mean"] and ours["held_out"] is False, "the same seed gives the same figures"


def test_it_runs_only_where_there_are_stimuli(stimuli, squares, tmp_path):
    world = CopyWorld(stimuli)
    assert "physion" in suites_for(world, None, stimuli.path) and "physion" not in suites_for(world, None)

    def fails(path, match, error=JudgeError, world=world):
        with pytest.raises(error, match=match):
            judge(world, suites=("physion",), physion=path, quiet=True)

    fails(None, "`physion` must be given")
    fails(tmp_path / "none", "dataset.json", DatasetError)
    fails(squares.path, "--format physion", DatasetError)
    other = CopyWorld(stimuli)
    other.size_px = 64
    fails(stimuli.path, "--size-px 64", world=other)
    fails(
        write_stimuli(tmp_path / "few", {"roll": (9, 12), "link": (12, 0)}, (14,)).path, "link 12 of 12, roll 9 of 21"
    )


def test_dreams_with_latents_are_the_same_dreams(tiny_world, tiny_clip):
    shown = tiny_clip[0]
    frames, latents = predict_with_latents(tiny_world, shown, 20, 3)
    assert np.array_equal(frames, predict(tiny_world, shown, 20, 3))
    assert latents.shape == latents_of(tiny_world, frames).shape
    assert latents.shape[1] == MOMENTS * tiny_world.dynamics.config.tokens * tiny_world.dynamics.config.channels
    rest = np.zeros((3, 20), np.int64)
    state = tiny_world.start(shown, rest[:, : shown.shape[1] - 1])
    last = tiny_world.rollout(state, rest, decode=False)[:, -1].flatten(1)
    assert np.array_equal(latents[:, -last.shape[1] :], last.numpy().astype(np.float16)), (
        "the last moment is the last frame"
    )


def test_latents_are_reduced_by_what_is_fitted_on():
    rng = np.random.default_rng(0)
    names = ("shown_latents", "true_latents", "predicted_latents")
    fit = {name: rng.normal(size=(30, 500)).astype(np.float16) for name in names}
    some, other = ({name: rng.normal(size=(5, 500)).astype(np.float16) * scale for name in names} for scale in (1, 9))
    first, second = latent_features(fit, some), latent_features(fit, other)
    for name in ("A_latent", "B_latent", "C_latent"):
        assert np.array_equal(first[name][0], second[name][0]), "what is tested on leaves no trace in what is fitted"
    assert first["C_latent"][0].shape == (30, 30) and first["B_latent"][1].shape == (5, 60)
    assert np.array_equal(first["B_latent"][1][:, :30], first["C_latent"][1]), "C is part of B"


def test_what_is_not_a_number_is_nothing():
    rng = np.random.default_rng(0)
    fit, test = rng.normal(size=(30, 90)).astype(np.float16), rng.normal(size=(5, 90)).astype(np.float16)
    zeroed, fit[3, 5], test[2, 7] = (fit.copy(), test.copy()), np.nan, np.inf
    zeroed[0][3, 5] = zeroed[1][2, 7] = 0
    for ours, theirs in zip(reduce(fit, test), reduce(*zeroed), strict=True):
        assert np.array_equal(ours, theirs) and np.isfinite(ours).all()
    assert np.isnan(fit[3, 5]) and np.isinf(test[2, 7]), "what was given is left alone"
