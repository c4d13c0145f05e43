"""The play suite: what it says of worlds of which it is known how they play."""

import numpy as np
import pytest
from judge_worlds import CopyWorld, write_squares

from worldling.cli import build_parser
from worldling.errors import JudgeError
from worldling.foreign import ForeignWorld
from worldling.judge import judge
from worldling.judge.play.checks import Seen, alive, looks_real, moves_as_real, no_drift
from worldling.judge.play.push_t import steps_of
from worldling.judge.play.things import things_of
from worldling.judge.play.watch import Watched, Watching
from worldling.types import ActionSpace, Episode

QUICK = dict(suites=("play",), players=3, seconds=(0.4, 1.0), quiet=True)
BOARD = ActionSpace("box", (), (0.0, 0.0), (512.0, 512.0))  # a model of somebody's own may not name x and y


class StillBoard(ForeignWorld):
    """A Push-T world in which nothing ever moves; with `broken` the board is white after the start."""

    def __init__(self, broken=False):
        self.broken = broken
        super().__init__(32, BOARD, 2, "still", {"env_id": "gym_pusht/PushT-v0", "fps": 10.0})

    def observe(self, frames, actions, seeds):
        return frames[:, -1]

    def predict(self, state, actions):
        nothing = np.full_like(state, 255) if self.broken else state
        return nothing, state


def test_a_dream_that_stands_still_does_not_answer_and_a_white_one_has_no_t():
    pytest.importorskip("gym_pusht")
    still = judge(StillBoard(), None, **QUICK)["suites"]["play"]
    white = judge(StillBoard(broken=True), None, **QUICK)["suites"]["play"]
    assert still["hands"] == {"sweeps": 1, "flicks": 1, "circles": 1} and "same actions" in still["beside"]
    assert list(still["checks"]["whole"]["dream"]) == ["0.4", "1.0"]
    for name, figures in (("whole", still), ("in_shape", still), ("nothing_extra", still)):
        assert all(found["value"] == 1 for found in figures["checks"][name]["dream"].values()), name
    for name in ("whole", "in_shape", "pose_right", "agent_right"):
        assert all(found["value"] == 0 for found in white["checks"][name]["dream"].values()), name
        assert all(found["value"] == 1 for found in white["checks"][name]["real"].values()), name
    assert all(found["value"] == 0 for found in still["checks"]["alive"]["dream"].values())
    assert still["checks"]["alive"]["real"]["0.0"]["value"] > 0
    assert judge(StillBoard(), None, **QUICK)["suites"]["play"] == still, "the same seed, the same figures"


def test_a_world_without_an_environment_is_played_from_the_data_or_its_own_clips(squares, tmp_path):
    world = CopyWorld(squares)
    quick = {**QUICK, "players": 4}
    found = judge(world, squares.path, tmp_path, **quick)["suites"]["play"]
    assert found["starts"] == "the data set" and "Squares-v0" in found["beside"], "and says why alone"
    assert set(found["checks"]) == {"alive"} and found["checks"]["alive"]["real"] is None
    assert set(found["hands"]) == {"hold", "tap", "mash", "opposite"}
    page = (tmp_path / "report.html").read_text()
    assert page.count("data:image/webp") == 4, "a film of each hand"
    world.contexts = [
        Episode(*(getattr(squares[0], n) for n in ("frames", "actions", "reward", "terminated", "truncated")))
    ]
    alone = judge(world, None, **QUICK)["suites"]["play"]
    assert alone["starts"] == "the world's own clips, 1 of them"


def test_what_cannot_be_played_is_one_clear_line(squares, tmp_path):
    still = write_squares(tmp_path, ActionSpace("none"))
    cases = [
        (CopyWorld(still), still.path, {}, "with actions"),
        (CopyWorld(squares), None, {}, "`data` must be given"),
        (CopyWorld(squares), squares.path, dict(hands=("sweeps",)), "`hands` must fit"),
        (CopyWorld(squares), squares.path, dict(seconds=(0.001,)), "`seconds` must be different frames"),
        (CopyWorld(squares), squares.path, dict(seconds=()), "`seconds` must be more than 0"),
        (CopyWorld(squares), squares.path, dict(players=1), "`players` must be at least 2"),
    ]
    for world, data, changes, words in cases:
        with pytest.raises(JudgeError, match=words) as raised:
            judge(world, data, **{**QUICK, **changes})
        assert "\n" not in str(raised.value)


def test_the_command_line_has_its_options():
    given = build_parser().parse_args(["judge", "pusht", "--suite", "play", "--hand", "flicks", "--seconds", "0.5,3"])
    assert given.hand == ["flicks"] and given.seconds == "0.5,3" and given.players == 64


def test_a_dream_is_alive_by_the_measure_of_reality():
    responses = np.array([[4.0, 4.0], [2.0, 0.1]])
    assert alive(responses, np.array([4.0, 4.0]))["alive"].dream.tolist() == [[1, 1], [1, 0]]
    assert alive(np.zeros((2, 2)), None)["alive"].dream.max() == 0, "deaf from the start is not alive"


def test_other_colours_do_not_look_real(squares):
    rng = np.random.default_rng(0)
    real = np.stack([squares.frames(i % 6, 10, 14) for i in range(12)])
    seen = Seen([4], real.copy(), real, {}, np.ones(real.shape[:2], bool))
    seen.dream[0] = rng.integers(0, 255, real[0].shape)
    found = looks_real(CopyWorld(squares), seen)["looks_real"]
    assert found.dream[0].max() == 0 and np.nanmean(found.dream[1:]) > 0.9 and np.nanmean(found.real) > 0.9


def test_only_known_things_are_looked_for():
    assert things_of("Squares-v0", np.zeros((2, 16, 16, 3), np.uint8)) is None


def test_a_step_is_how_far_the_t_goes_and_how_near_the_agent_passes():
    agent, centre = np.array([[0, 0], [100, 0], [100, 0]]), np.array([[50, 30], [50, 50], [50, np.nan]])
    moved, gap = steps_of(np.concatenate([agent, centre], axis=1)[None])
    assert moved[0, 0] == 20 and gap[0, 0] == 30, "it passes by in the middle of the step"
    assert np.isnan(moved[0, 1]) and np.isnan(gap[0, 1])


def watched(features, changes):
    return Watched(np.arange(features.shape[1]), np.array([2, 4]), 2, features, changes)


def test_a_still_picture_does_not_move_and_one_that_flickers_moves_too_much():
    rng = np.random.default_rng(0)
    changes = np.log(rng.uniform(0.01, 0.02, (10, 4)))
    real, dream = (watched(np.zeros((10, 5, 3)), c.copy()) for c in (changes, changes))
    dream.changes[0], dream.changes[1, 2:] = np.log(1e-4), np.log(0.2)
    reached = np.ones((10, 2), bool)
    reached[5, 1] = False
    found = moves_as_real(dream, real, reached, np.array(["hold", "tap"] * 5))["moves_as_real"]
    assert found.dream[0].tolist() == [0, 0] and found.dream[1].tolist() == [1, 0]
    assert np.isnan(found.dream[5, 1]) and np.nanmin(found.dream[2:]) == 1 and np.nanmin(found.real) == 1


def test_the_drift_alarm_stays_raised_and_real_players_do_not_raise_it():
    rng = np.random.default_rng(0)
    features, changes = rng.normal(0, 0.1, (12, 5, 3)), np.log(rng.uniform(0.01, 0.02, (12, 4)))
    real, dream = (watched(f.copy(), changes) for f in (features, features))
    dream.features[0, 2], dream.features[1, 4] = 5.0, 5.0
    found = no_drift(dream, real, np.ones((12, 2), bool))["no_drift"]
    assert found.dream[:2].tolist() == [[0, 0], [1, 0]] and found.dream[2:].min() == 1 and found.real.min() == 1
    few = watched(features[:4], changes[:4])
    assert no_drift(few, few, np.ones((4, 2), bool)) == {}, "too few players to fit it on"


def test_what_is_watched_changes_only_from_one_frame_to_the_next():
    frames = np.zeros((4, 2, 16, 16, 3), np.uint8)
    frames[1:] = 51
    watching = Watching([0, 1, 3, 4], [1, 4], 1)
    for step, picture in zip(watching.steps, frames, strict=True):
        watching.see(step, picture)
    seen = watching.done()
    assert seen.at.tolist() == [0, 2] and np.isnan(seen.changes[:, 1]).all()
    assert np.allclose(seen.moved, [[0.2, 0.0]] * 2, atol=2e-4)
