"""The chaos suite: what it says of worlds that are known to be right, still, untrained or a little off."""

import numpy as np
import pytest
from judge_worlds import CopyWorld

from worldling.dynamics.model import Dynamics
from worldling.errors import DatasetError, JudgeError
from worldling.judge.case import Case
from worldling.judge.chaos.suite import CONDITIONS, run
from worldling.judge.judgement import judge, suites_for
from worldling.judge.measures.bootstrap import Bootstrap
from worldling.judge.measures.chaos_error import (
    blurred,
    grey,
    growth,
    share_for,
    spectrum_error,
    squared,
    valid_at,
    valid_frames,
    variance,
    vrmse,
)
from worldling.judge.readers.chaos import outline, overlap, read_lorenz
from worldling.judge.settings import Settings
from worldling.judge.truth import chaos_clips
from worldling.judge.truth.chaos_clips import KINDS, SHOWN, System, make_clips
from worldling.report.values import to_json
from worldling.scenes import lorenz
from worldling.scenes.chaos import steering
from worldling.types import ActionSpace
from worldling.world import World

AHEAD, STARTS = 50, 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Clips of Lorenz, fewer and shorter than usual."""
    patch = pytest.MonkeyPatch()
    patch.setattr("worldling.judge.chaos.suite._FREE_FRAMES", 80)
    patch.setitem(chaos_clips.SYSTEMS, "worldling/Lorenz-v0", System(AHEAD, STARTS, "point"))
    folder = tmp_path_factory.mktemp("chaos")
    clips = make_clips(folder, "worldling/Lorenz-v0", STARTS, workers=1, quiet=True)
    yield folder, clips
    clips.close()
    patch.undo()


class Oracle(CopyWorld):
    """Knows the clips: shows the frames of one kind, whatever start it is shown."""

    def __init__(self, clips, kind):
        super().__init__(clips.dataset)
        self.clips, self.kind = clips, kind

    def start(self, frames, actions, seed=0):
        lasts = {self.clips.frames(k, "truth")[SHOWN - 1].tobytes(): k for k in range(STARTS)}
        return [lasts[frame[-1].tobytes()] for frame in frames]

    def rollout(self, state, actions, decode=True):
        assert np.array_equal(actions, [self.clips.actions(k)[SHOWN - 1 :] for k in state]), "the true actions"
        return np.stack([self.clips.frames(k, self.kind)[-AHEAD:] for k in state])


def judged(world, folder):
    return to_json(run(Case(world, None, Settings(starts=STARTS, chaos=str(folder[0])), quiet=True)))


def test_clips_share_their_actions_and_part(folder):
    _, clips = folder
    grown = []
    for start in range(STARTS):
        truth = clips.state(start, "truth")
        apart = {kind: np.linalg.norm(clips.state(start, kind) - truth, axis=-1) for kind in KINDS}
        assert (apart["truth"] == 0).all() and apart["other"][0] > 1
        assert 0 < apart["0.001"][0] < apart["0.01"][0] < apart["0.1"][0] < 10
        grown.append(apart["0.001"][-1] / apart["0.001"][0])
        for kind in KINDS[1:]:
            episode = clips._at[start, kind]
            assert np.array_equal(clips.dataset.actions(episode), clips.actions(start)[SHOWN - 1 :])
    assert np.mean(grown) > 3, "perturbed copies part"


def test_clips_are_made_once_and_alike(folder, tmp_path):
    path, clips = folder
    shards = sorted((path / "lorenz-64-0").glob("shard-*"))
    times = [shard.stat().st_mtime_ns for shard in shards]
    shards[1].unlink()
    make_clips(path, "worldling/Lorenz-v0", STARTS, workers=1, quiet=True).close()
    again = [shard.stat().st_mtime_ns for shard in shards]
    assert len(shards) == STARTS and [a == b for a, b in zip(times, again, strict=True)] == [
        True,
        False,
        *[True] * (STARTS - 2),
    ]
    other = make_clips(tmp_path, "worldling/Lorenz-v0", 2, workers=1, quiet=True)
    assert np.array_equal(other.frames(1, "0.01"), clips.frames(1, "0.01")), (
        "the n-th start is the same however many there are"
    )
    other.close()
    (tmp_path / "lorenz-64-0" / "dataset.json").write_text(
        (path / "lorenz-64-0" / "dataset.json").read_text().replace("Lorenz", "Cloth")
    )
    with pytest.raises(DatasetError, match="another data set"):
        make_clips(tmp_path, "worldling/Lorenz-v0", 2, workers=1, quiet=True)


def test_a_true_world_is_valid_to_the_end_and_simulators_in_order(folder):
    found = judged(Oracle(folder[1], "truth"), folder)
    valid = {name: figure["value"] for name, figure in found["valid_frames"].items()}
    assert valid["world"] == AHEAD and found["never_lost"]["world"]["value"] == 1.0
    assert valid["world"] >= valid["0.001"] > valid["0.01"] > valid["0.1"] > valid["copy_last"] and valid["other"] < 5
    assert found["of_ceiling"]["value"] >= 1.0 and found["state"]["of_ceiling"]["value"] > 0.9
    assert found["spectrum"]["world"]["value"] == 0.0 and found["tokenizer"]["error"] == 0.0
    assert set(valid) == set(CONDITIONS) - {"random_weights"}, "a stand-in has no weights to shuffle"


def test_a_world_that_is_the_ceiling_reaches_it(folder):
    found = judged(Oracle(folder[1], "0.001"), folder)
    assert found["of_ceiling"]["value"] == found["of_ceiling"]["low"] == 1.0
    assert found["curve"]["world"] == found["curve"]["0.001"]
    off = judged(Oracle(folder[1], "0.01"), folder)
    assert off["of_ceiling"]["value"] < 1 and off["as_good_as_off_by"] == pytest.approx(0.01)


def test_random_weights_are_at_the_bottom_and_the_report_repeats(folder, tiny_world):
    from dataclasses import replace

    config = replace(
        tiny_world.config,
        action_space=ActionSpace("box", low=(-1, -1), high=(1, 1)),
        dynamics=replace(tiny_world.config.dynamics, action_size=2),
    )
    world = World(
        config, tiny_world.tokenizer, Dynamics(config.dynamics), {"source": {"env_id": "worldling/Lorenz-v0"}}
    )
    found = judge(world, None, folder[0] / "report", ("chaos",), starts=STARTS, quiet=True, chaos=folder[0])["suites"][
        "chaos"
    ]
    assert found["valid_frames"]["random_weights"]["value"] <= 2 and found["valid_frames"]["world"]["value"] <= 2
    assert found["valid_frames"]["world"]["n"] == found["valid_frames"]["random_weights"]["n"] == STARTS
    assert found["lyapunov"]["frames"] == pytest.approx(1 / (0.9056 * lorenz.FRAME_TIME))
    assert found["lyapunov"]["sum_of_exponents"] == pytest.approx(found["lyapunov"]["sum_known"], abs=1e-3)
    assert found == judged(world, folder)
    assert "Lyapunov" in (folder[0] / "report" / "report.html").read_text()


def test_each_suite_takes_the_worlds_it_is_for(squares, folder):
    worlds = {
        env_id: CopyWorld(squares, env_id=env_id)
        for env_id in ("Squares-v0", "worldling/Drop-v0", "worldling/Lorenz-v0")
    }
    fits = {env_id: {"ocp", "chaos"} & set(suites_for(world, None)) for env_id, world in worlds.items()}
    assert fits == {"Squares-v0": set(), "worldling/Drop-v0": {"ocp"}, "worldling/Lorenz-v0": {"chaos"}}
    assert not {"speed", "cost"} & set(suites_for(worlds["Squares-v0"], None)), "nothing to start from"
    assert {"speed", "cost"} < set(suites_for(worlds["Squares-v0"], squares.path))
    with pytest.raises(JudgeError, match="clips of its own"):
        judge(worlds["Squares-v0"], None, suites=("speed",))
    for suite, wrong in (("chaos", "worldling/Drop-v0"), ("ocp", "worldling/Lorenz-v0"), ("chaos", "Squares-v0")):
        with pytest.raises(JudgeError, match=f"{suite} must be given a world of .* got one of {wrong}"):
            judge(worlds[wrong], None, suites=(suite,))
    skipping = CopyWorld(folder[1].dataset, frame_skip=2)
    with pytest.raises(JudgeError, match="--frame-skip 2"):
        judge(skipping, None, suites=("chaos",))


def test_valid_time_ends_where_the_error_first_passes_the_limit():
    error = np.array([[0.1, 0.2, 0.5, 0.1], [0.1, 0.1, 0.1, 0.4], [0.9, 0.1, 0.1, 0.1], [0.1, np.nan, 0.1, 0.1]])
    assert valid_frames(error).tolist() == [2, 4, 0, 1]


def test_two_draws_of_a_quantity_are_apart_by_twice_its_variance():
    one, other = np.random.default_rng(0).normal(0, 3, (2, 50, 40, 20))
    assert variance(squared(one, other)) == pytest.approx(9, rel=0.03)


def test_the_ladder_is_read_both_ways():
    shares, ladder = np.array([0.001, 0.01, 0.1]), np.array([80.0, 50.0, 10.0])
    for share in (0.001, 0.004, 0.05, 0.1):
        assert share_for(valid_at(share, shares, ladder), shares, ladder) == pytest.approx(share)
    assert share_for(0.0, shares, ladder) == pytest.approx(0.1), "never said beyond the ladder"


def test_growth_finds_the_rate_of_what_grows_and_saturates():
    rng, t = np.random.default_rng(0), np.arange(200)
    distances = np.minimum(1.4, 1e-3 * np.exp(0.06 * t + rng.normal(0, 0.2, (40, 200))))
    found = growth(distances, Bootstrap(np.arange(40), np.zeros(40)))
    assert found.value == pytest.approx(0.06, rel=0.02) and found.high - found.low < 0.003 and found.last_frame < 110


def test_blurred_frames_count_by_how_far_a_thing_is_off():
    rng = np.random.default_rng(0)
    ball = np.zeros((64, 64, 3), np.uint8)
    ball[28:36, 28:36] = 255
    moved = np.stack([np.roll(ball, shift, 1) for shift in (0, 1, 4, 24)])[None]
    error = np.sqrt(squared(blurred(ball[None, None]), blurred(moved)))[0]
    lost = error[-1] / np.sqrt(2)
    assert error[0] == 0 and error[1] < 0.2 * lost < 0.5 * lost < error[2] < lost
    noise = rng.integers(0, 256, (1, 1, 32, 32, 3), dtype=np.uint8)
    assert blurred(np.full((2, 48, 48, 3), 51, np.uint8)) == pytest.approx(0.2)
    assert blurred(noise).std() < 0.2 * (noise / 255).std()


def test_vrmse_and_spectrum_know_place_from_look():
    frames = np.random.default_rng(0).integers(0, 256, (2, 3, 32, 32, 3), dtype=np.uint8)
    film = grey(frames)
    assert film == pytest.approx(frames.mean(-1) / 255, abs=1e-6)
    mean = np.broadcast_to(film.mean((2, 3), keepdims=True), film.shape)
    assert vrmse(film, mean) == pytest.approx(1.0, abs=1e-3)
    shifted = np.roll(film, 7, axis=2)
    assert spectrum_error(film, shifted) == pytest.approx(0, abs=1e-3) and (vrmse(film, shifted) > 1).all()
    assert (spectrum_error(film, film / 4) > 1).all()


def test_the_ball_is_read_where_the_engine_has_it():
    env = lorenz.LorenzEnv()
    env.reset(seed=0)
    frames, points = [], []
    for _, action in zip(range(150), steering(np.random.default_rng(0)), strict=False):
        frames.append(env.step(action)[0])
        points.append(env.record()["point"])
    error = np.abs(read_lorenz(np.stack(frames)) - points)
    assert (error.mean(0) < 0.02).all(), error.mean(0)
    assert np.isnan(read_lorenz(np.zeros((2, 64, 64, 3), np.uint8))).all(), "nothing there, nothing read"


def test_outlines_overlap_by_their_share():
    frames = np.full((2, 8, 8, 3), (100, 115, 135), np.uint8)
    frames[0, :4, :4], frames[1, 2:6, :4] = (200, 20, 20), (240, 235, 220)
    masks = outline(frames)
    assert masks.sum((1, 2)).tolist() == [16, 16] and overlap(masks[0], masks[1]) == pytest.approx(8 / 24)
    assert overlap(np.zeros((4, 4), bool), np.zeros((4, 4), bool)) == 1.0
