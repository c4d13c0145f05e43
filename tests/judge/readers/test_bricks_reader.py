"""The reader of Bricks, against the game's own state on real frames, and on frames that no game shows."""

import numpy as np
import pytest

from worldling.data.environment import open_environment
from worldling.judge.readers.bricks import BricksReader
from worldling.judge.readers.motion import MotionReader
from worldling.judge.readers.registry import reader_for
from worldling.recipes.policies import bricks_player
from worldling.scenes import bricks_picture as picture
from worldling.scenes.bricks_picture import Scene

ID = "worldling/Bricks-v0"


def play(size_px, frames, stride=4, seed=0):
    """Play some episodes; every `stride`-th frame and its state, each `[n, ...]`."""
    env, seen, states = open_environment(ID, size_px), [], []
    while len(seen) < frames:
        seed, frame = seed + 1, env.reset(seed)
        act, over = bricks_player(env, seed), False
        for number in range(600):
            if number % stride == 0 or over:
                seen.append(env.draw())
                states.append(env.state())
            if over:
                break
            _, over, _ = env.advance(act(frame, env.info))
    return np.stack(seen), {name: np.stack([state[name] for state in states]) for name in states[0]}


@pytest.fixture(scope="module")
def real():
    frames, state = play(64, 300)
    return frames, state, reader_for(ID, frames, state)


def test_it_reads_real_frames_to_a_twentieth_of_a_pixel(real):
    frames, state, reader = real
    assert isinstance(reader, BricksReader)
    ball, paddle, bricks = reader.own_error(frames, state)
    assert (ball.quantity, paddle.quantity) == ("ball", "paddle") and ball.n > 270 and paddle.n == len(frames)
    assert ball.p90 < 0.06 and ball.missed == 0 and paddle.p90 < 0.06 and paddle.missed == 0
    assert bricks.p90 == 0 and bricks.missed == 0
    found = reader.inspect(frames)
    seen, whole = found.reading, state["ball"][:, 1] <= 62
    assert np.abs(seen["ball"] - state["ball"])[whole].max() < 0.1 and (seen["balls"][whole] == 1).all()
    assert np.isnan(seen["ball"][state["lives"] == 0]).all(), "no ball at the end"
    assert np.array_equal(seen["bricks"] > 0.5, state["bricks"].reshape(len(frames), -1))
    assert np.array_equal(seen["lives"], state["lives"]) and found.extra.max() == 0
    assert np.array_equal(reader.in_play(state), np.isfinite(state["ball"][:, 0]) & ~state["floating"])


@pytest.mark.parametrize("size_px", [48, 128])
def test_it_reads_other_sizes(size_px):
    frames, state = play(size_px, 24, stride=30)
    reader = reader_for(ID, frames, state)
    assert all(error.p90 < 0.15 and error.missed == 0 for error in reader.own_error(frames, state))
    assert reader.inspect(frames).extra.max() == 0


def test_it_reads_soft_and_noisy_frames(real):
    frames, state, reader = real
    frames, state = frames[::6], {name: values[::6] for name, values in state.items()}
    soft = frames.astype(float)
    for axis in (1, 2):
        soft = 0.6 * soft + 0.2 * (np.roll(soft, 1, axis) + np.roll(soft, -1, axis))
    noisy = frames + np.random.default_rng(0).normal(0, 12, frames.shape)
    for changed in (soft, noisy):
        changed = np.clip(changed, 0, 255).astype(np.uint8)
        errors = reader.own_error(changed, state)
        assert errors[0].p90 < 0.5 and errors[1].p90 < 0.5 and errors[2].p90 == 0
        assert not any(error.missed for error in errors) and reader.inspect(changed).extra.max() <= 12


def test_it_counts_balls_and_sees_what_is_extra(real):
    reader, rng = real[2], np.random.default_rng(0)
    board = rng.random((5, 8)) < 0.5

    def frame(ball=(20.0, 46.0)):
        return picture.draw(Scene(board, 2, 40.0, None if ball is None else np.array(ball)), 64)

    def read(*frames):
        found = reader.inspect(np.stack(frames))
        return found.reading, found.extra

    two = np.maximum(frame(), frame((44.0, 12.0)))
    seen, extra = read(frame(), two, frame(None))
    assert seen["balls"].tolist() == [1, 2, 0] and np.isnan(seen["ball"][2]).all() and seen["lives"].tolist() == [2] * 3
    assert extra[0] == extra[2] == 0 and extra[1] > 12 and np.allclose(seen["paddle"], 40, atol=0.03)
    half, red, faint = frame(), frame(), frame()
    missing = np.argwhere(board)[0]
    left, top, right, bottom = (int(edge) for edge in picture.brick_box(*missing))
    half[top:bottom, left + 3 : right] = picture.FIELD
    red[40:48, 50:58] = (200, 30, 30)
    faint[40:44, 50:54] = 120  # a ghost of a ball
    seen, extra = read(half, red, faint)
    assert (extra > 8).all() and (seen["balls"] == 1).all()
    gone = frame()
    gone[57:60] = picture.FIELD
    black = np.zeros_like(gone)
    seen, _ = read(gone, black)
    assert np.isnan(seen["paddle"]).all() and seen["bricks"][1].max() < 0.3 and seen["lives"].tolist() == [2, 0]
    assert seen["balls"].tolist() == [1, 0]


def test_its_scores_are_full_for_the_truth_and_nothing_for_what_is_not_there(real):
    frames, state, reader = real
    truth = reader.read(frames[:200])
    unbroken = reader.in_play({name: values[:200] for name, values in state.items()})
    own = {score.key: score for score in reader.score(truth, truth, truth, unbroken)}
    assert set(reader.headlines) <= set(own)
    for key in ("ball_within_3px", "ball_within_3px_same", "paddle_within_2pct", "bricks_right", "lives_right"):
        assert np.nanmean(own[key].values) == 1, key
    assert own["ball_within_3px_same"].eligible <= own["ball_within_3px"].eligible
    blank = reader.read(np.zeros_like(frames[:200]))
    lost = {score.key: score for score in reader.score(truth, truth, blank, unbroken)}
    for key in ("ball_within_3px", "one_ball", "paddle_within_2pct", "bricks_right", "lives_right"):
        assert np.nanmean(lost[key].values) < 0.05, key
    assert np.nanmin(lost["ball_missing"].values) == 1 and np.nanmin(lost["paddle_error_px"].values) == 64


def test_two_pictures_tell_the_next_where_nothing_is_met():
    env, seen = open_environment(ID, 64), []
    env.reset(3)
    game = env.raw.unwrapped
    game.reset(seed=3, options={"bricks": np.eye(5, 8, dtype=bool)})
    for _ in range(36):
        env.advance(0)
        seen.append((env.draw(), env.state()["floating"], game.ball[1]))
    reading = BricksReader.fit(seen[0][0][None]).read(np.stack([frame for frame, _, _ in seen]))
    ball = reading["ball"]
    flying = np.array([not floating and 40 < y < 54 for _, floating, y in seen])
    assert flying.sum() > 6
    guessed = 2 * ball[1:-1] - ball[:-2]
    use = flying[:-2] & flying[2:]
    assert np.hypot(*(guessed - ball[2:])[use].T).max() < 0.2


def test_data_without_state_get_the_generic_reader(real):
    assert isinstance(reader_for(ID, real[0][:8], {}), MotionReader)
    assert isinstance(reader_for("other/Bricks-v0", real[0][:8], real[1]), MotionReader)
