"""Bricks: the same seed plays the same game, a hit takes one brick and gives 1, and pictures show what there is."""

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import worldling.scenes  # noqa: F401  (registers it)
from worldling.data.environment import open_environment, shrink
from worldling.errors import EnvError
from worldling.scenes import bricks_picture as picture
from worldling.scenes.bricks import SERVE, BricksEnv, ball_speed, late_board, touched_brick
from worldling.scenes.bricks_picture import BRICKS, FIELD, Scene, brick_box

ID = "worldling/Bricks-v0"
STAY, LEFT, RIGHT = 0, 1, 2


def game(**keywords):
    return BricksEnv(obs_type="state", late_share=0.0, **keywords)


def follow(env):
    """Keep under the ball."""
    off = 0.0 if env.ball is None else env.ball[0] - env.paddle
    return STAY if abs(off) < 2 else LEFT if off < 0 else RIGHT


def flying(env, x, y, right, down, **options):
    """Begin with a ball that flies."""
    env.reset(seed=0, options=options)
    env.floating, env.ball, env.velocity = False, [x, y], [right, down]


def test_the_same_seed_and_actions_play_the_same_game():
    actions = np.random.default_rng(0).integers(3, size=150)

    def play(seed):
        env = open_environment(ID, 32)
        return np.stack([env.reset(seed), *(env.step(action).frame for action in actions)])

    assert np.array_equal(play(3), play(3)) and not np.array_equal(play(3), play(4))


def test_one_goes_back_to_a_state():
    env = game()
    env.reset(seed=5)
    for _ in range(20):
        env.step(RIGHT)
    state = env.get_state()
    played = [[env.step(LEFT)[0] for _ in range(90)], env.set_state(state), [env.step(LEFT)[0] for _ in range(90)]]
    assert np.array_equal(played[0], played[2]), "a serve is among them"
    with pytest.raises(EnvError, match="`action` must be 0"):
        env.step(3)


def test_it_is_what_gymnasium_and_the_player_expect():
    env = gymnasium.make(ID, size_px=32)
    check_env(env.unwrapped, skip_render_check=True)
    opened = open_environment(ID, 64)
    assert opened.action_space.names == ("STAY", "LEFT", "RIGHT") and opened.fps == 30
    assert opened.action_space.noop == STAY and opened.license == "Apache-2.0"
    opened.reset(0)
    shapes = {name: value.shape for name, value in opened.state().items()}
    assert shapes == {
        "ball": (2,), "ball_velocity": (2,), "paddle": (), "paddle_velocity": (), "bricks": (5, 8), "lives": (),
        "floating": (),
    }  # fmt: skip
    assert opened.info == {
        "score": 0,
        "lives": opened.raw.unwrapped.lives,
        "bricks_left": opened.state()["bricks"].sum(),
    }


def test_a_hit_takes_exactly_one_brick_and_gives_one():
    env = game()
    flying(env, 20.0, 40.0, 0.0, -1.2)
    for _ in range(6):
        reward = env.step(STAY)[1]
        if reward:
            break
    gone = np.argwhere(~env.bricks)
    assert reward == 1 and gone.tolist() == [[4, 2]] and env.velocity[1] > 0, "from below, and it turns round"
    board = np.zeros((5, 8), bool)
    board[2, 4:6] = True
    flying(env, 28.0, 26.0, 1.2, 0.0, bricks=board)
    assert sum(env.step(STAY)[1] for _ in range(3)) == 1 and env.velocity[0] < 0, "from the side"
    assert env.bricks.sum() == 1 and env.bricks[2, 5]


def test_rewards_bricks_and_score_agree_all_through_a_game():
    env, total, ended = game(), 0, False
    env.reset(seed=1)
    for _ in range(6000):
        before, ball = env.bricks.copy(), env.ball
        _, reward, ended, cut, info = env.step(follow(env))
        gone = np.argwhere(before & ~env.bricks)
        assert len(gone) == reward and not (~before & env.bricks).any() and not cut
        for row, column in gone:
            left, top, right, bottom = brick_box(row, column)
            near = np.hypot(ball[0] - np.clip(ball[0], left, right), ball[1] - np.clip(ball[1], top, bottom))
            assert near < picture.BALL_RADIUS + 1.7, "and it was there"
        assert env.floating or touched_brick(env.bricks, *env.ball) is None, "a ball never lies in a brick"
        total += reward
        if ended:
            break
    assert ended and total == info["score"] == 40 and info["lives"] > 0 and info["bricks_left"] == 0


def test_a_player_in_a_corner_loses_three_balls_and_the_game():
    env = game()
    env.reset(seed=2)
    lives, floats = [3], 0
    for _ in range(2000):
        env.step(RIGHT)
        if env.lives != lives[-1]:
            lives.append(env.lives)
            floats += env.floating
        if env.over:
            break
    assert lives == [3, 2, 1, 0] and floats == 2 and env.ball is None and np.isnan(env.record()["ball"]).all()
    last = env.step(LEFT)
    assert last[2] and last[1] == 0 and env.paddle == 57, "nothing moves after the end"


def test_the_paddle_speeds_up_brakes_and_stays_in():
    env = game()
    env.reset(seed=0)
    speeds = [env.step(RIGHT) and env.paddle_velocity for _ in range(6)]
    assert speeds == pytest.approx([0.6, 1.2, 1.8, 2.4, 2.4, 2.4])
    assert [env.step(STAY) and env.paddle_velocity for _ in range(4)] == pytest.approx([1.8, 1.2, 0.6, 0.0])
    for action in (LEFT, RIGHT):
        for _ in range(40):
            env.step(action)
            assert 7 <= env.paddle <= 57
        assert env.paddle_velocity == 0


@pytest.mark.parametrize("off, right", [(-8.0, -1), (-3.0, -1), (0.0, 0), (3.0, 1), (8.0, 1)])
def test_the_bounce_depends_on_where_the_ball_meets_the_paddle(off, right):
    env = game()
    flying(env, 32.0 + off, 53.0, 0.0, 1.2)
    for _ in range(5):
        env.step(STAY)
    degrees = np.degrees(np.arctan2(env.velocity[0], -env.velocity[1]))
    assert degrees == pytest.approx(60 * off / 9) and np.sign(degrees) == right
    assert np.hypot(*env.velocity) == pytest.approx(1.2)


def test_a_new_ball_sinks_with_the_paddle_and_flies_off_by_chance():
    angles = []
    for seed in range(30):
        env = game()
        env.reset(seed=seed)
        heights = [env.ball[1]]
        while env.floating:
            env.step(RIGHT)
            assert env.ball[0] == env.paddle
            heights.append(env.ball[1])
        assert len(heights) == 25 and np.allclose(np.diff(heights), 0.3), "its height is the clock"
        angles.append(np.degrees(np.arctan2(env.velocity[0], -env.velocity[1])))
    angles = np.array(angles)
    assert SERVE[0] <= np.abs(angles).min() <= np.abs(angles).max() <= SERVE[1] and 5 < (angles > 0).sum() < 25


def test_the_ball_is_faster_for_each_row_without_bricks():
    board = np.ones((5, 8), bool)
    speeds = []
    for row in range(5):
        speeds.append(ball_speed(board))
        board[row] = False
    assert np.allclose(speeds, 1.2 * (1 + 0.08 * np.arange(5)))
    env, board = game(), np.zeros((5, 8), bool)
    board[0, 0] = board[4, 2] = True
    flying(env, 20.0, 39.0, 0.0, -ball_speed(board), bricks=board)
    env.step(STAY)
    assert env.bricks.sum() == 1 and np.hypot(*env.velocity) == pytest.approx(1.2 * 1.32)


def test_half_of_the_episodes_begin_late_and_options_choose():
    env = BricksEnv(obs_type="state")
    starts = [(env.reset(seed=seed), env.bricks.sum(), env.lives)[1:] for seed in range(300)]
    counts, lives = np.array(starts).T
    late = counts < 40
    assert 0.4 < late.mean() < 0.6 and (lives[~late] == 3).all() and set(lives[late]) == {1, 2, 3}
    assert (counts[late] < 7).mean() > 0.4 and (counts > 20).sum() > 20
    boards = np.stack([late_board(np.random.default_rng(seed)) for seed in range(200)]).mean(axis=(0, 2))
    assert boards[0] > 1.5 * boards[4], "lower rows go first"
    board = np.eye(5, 8, dtype=bool)
    env.reset(seed=0, options={"bricks": board, "lives": 2})
    assert np.array_equal(env.bricks, board) and env.lives == 2 and env.paddle == 32
    for options in ({"bricks": board[:4]}, {"bricks": board & False}, {"lives": 4}):
        with pytest.raises(EnvError, match=r"`options\['"):
            env.reset(options=options)
    with pytest.raises(EnvError, match="Did you mean 'bricks'"):
        env.reset(options={"brick": board})
    for keywords in ({"late_share": 1.5}, {"obs_type": "sound"}):
        with pytest.raises(EnvError, match=r"must be .*, got .*\. Use"):
            BricksEnv(**keywords)


@pytest.mark.parametrize("size_px", [64, 256])
def test_it_is_drawn_at_any_size(size_px):
    board = np.ones((5, 8), bool)
    board[3, 2] = False
    frame = picture.draw(Scene(board, 2, 32.0, np.array([20.0, 46.0])), size_px)
    scale = size_px // 64
    assert frame.shape == (size_px, size_px, 3) and frame.dtype == np.uint8

    def at(x, y):
        return frame[int(y * scale), int(x * scale)].tolist()

    for row, colour in enumerate(BRICKS):
        assert at(3, 18 + 4 * row) == list(colour)
        assert at(7, 18 + 4 * row) != list(colour), "bricks have a darker edge"
    assert at(19, 29) == list(FIELD) and at(20, 46) == [255, 255, 255] and at(32, 58.5) == [40, 196, 214]
    white = (frame[: 8 * scale].min(axis=-1) > 200).any(axis=0)
    assert np.count_nonzero(np.diff(white.astype(int)) == 1) == 2, "two dots"
    coarse = picture.draw(Scene(board, 2, 32.0, np.array([20.0, 46.0])), 64)
    assert np.abs(shrink(frame, 64).astype(int) - coarse).max() < 40, "only soft edges differ"


def test_things_at_rest_have_sharp_edges_at_64_px_and_no_thing_is_thin():
    empty = picture.draw(Scene(np.zeros((5, 8), bool), 0, None, None), 64).astype(int)
    for scene, tall, wide in (
        (Scene(np.eye(5, 8, dtype=bool), 0, None, None), 4, 8),
        (Scene(np.zeros((5, 8), bool), 0, 32.0, None), 3, 14),
        (Scene(np.zeros((5, 8), bool), 0, None, np.array([31.3, 44.7])), 4, 4),
    ):
        changed = np.abs(picture.draw(scene, 64) - empty).max(axis=-1) > 60
        rows, columns = (np.flatnonzero(changed.any(axis=axis)) for axis in (1, 0))
        first = changed[rows[0] : rows[0] + tall]
        assert first.any(axis=1).all() and tall <= len(rows) <= 20 and len(columns) >= wide - 1
    full = picture.draw(Scene(np.ones((5, 8), bool), 0, None, None), 64)
    assert len(np.unique(full.reshape(-1, 3), axis=0)) == 3 + 3 * 5, "no mixed colours: every edge is between pixels"


def test_a_ball_half_out_of_the_picture_is_drawn_in_part():
    scene = Scene(np.zeros((5, 8), bool), 1, 50.0, np.array([20.0, 64.0]))
    frame = picture.draw(scene, 64)
    assert frame[63, 20].min() == 255 and picture.draw(Scene(scene.bricks, 1, 50.0, np.array([20.0, 67.0])), 64).shape


def test_left_and_right_are_alike_in_picture_and_rules():
    one, other, rng = game(), game(), np.random.default_rng(3)
    board = rng.random((5, 8)) < 0.6
    flying(one, 21.3, 44.0, 0.7, -0.9, bricks=board)
    flying(other, 64 - 21.3, 44.0, -0.7, -0.9, bricks=board[:, ::-1])
    for action in rng.integers(3, size=100):
        rewards = one.step(action)[1], other.step((STAY, RIGHT, LEFT)[action])[1]
        assert rewards[0] == rewards[1]
        if one.floating:
            break
    assert np.array_equal(one.bricks, other.bricks[:, ::-1]) and not one.bricks.all()
    assert np.abs(one.draw(64).astype(int) - other.draw(64)[:, ::-1]).max() <= 1
