import numpy as np
import pytest
from PIL import Image, ImageDraw

from worldling.judge.readers.motion import MotionReader
from worldling.judge.readers.pong import PongReader
from worldling.judge.readers.pusht import PushTReader
from worldling.judge.readers.registry import reader_for


def draw_pong(ball, own, enemy, size):
    """Draw one ALE screen from screen positions (the middle of things) and shrink it by averaging."""
    screen = np.full((210, 160, 3), (144, 72, 17), np.uint8)
    for (x, y), (w, h), colour in (
        ((142, own), (4, 16), (92, 186, 92)),
        ((18, enemy), (4, 16), (213, 130, 74)),
        (ball, (2, 4), (236, 236, 236)),
    ):
        screen[y - h // 2 : y + h // 2, x - w // 2 : x + w // 2] = colour
    screen[24:34] = screen[194:] = 236
    return np.asarray(Image.fromarray(screen).resize((size, size), Image.Resampling.BOX))


@pytest.fixture(scope="module")
def pong():
    rng = np.random.default_rng(0)
    n = 120
    ball = np.stack([rng.integers(30, 130, n), rng.integers(40, 188, n)], axis=1)
    own, enemy = rng.integers(44, 184, (2, n))
    ram = np.zeros((n, 128), np.uint8)
    ram[:, 49], ram[:, 54], ram[:, 51], ram[:, 50] = ball[:, 0] + 49, ball[:, 1] + 14, own + 14, enemy + 14

    def draw(size):
        return np.stack([draw_pong(b, o, e, size) for b, o, e in zip(ball, own, enemy, strict=True)])

    return draw, {"ram": ram}, ball, own, enemy


@pytest.mark.parametrize("size", [64, 128])
def test_pong_is_read_within_a_pixel_at_any_size(pong, size):
    draw, state, ball, own, enemy = pong
    reader = PongReader.fit(draw(size), state)
    seen = reader.read(draw(size))
    scale = np.array([64 / 160, 64 / 210])
    for found, true in (
        (seen["ball_strict"][:, 0], ball[:, 0] * scale[0]),
        (seen["ball_strict"][:, 1], ball[:, 1] * scale[1]),
        (seen["own"], own * scale[1]),
        (seen["enemy"], enemy * scale[1]),
    ):
        error = np.abs(found - (true - 0.5))
        assert np.median(error) < 0.15 and error.max() < 0.5, error
    errors = {e.quantity: e for e in reader.own_error(draw(size), state)}
    assert errors["ball (strict)"].p90 < 0.3 and errors["ball (strict)"].missed == 0, errors


def test_pong_reads_through_noise_and_sees_no_ball_where_none_is(pong):
    draw, state, _, _, _ = pong
    frames = draw(64)
    reader = PongReader.fit(frames, state)
    noisy = np.clip(frames + np.random.default_rng(0).normal(0, 6, frames.shape), 0, 255).astype(np.uint8)
    clear, seen = reader.read(frames), reader.read(noisy)
    assert np.abs(seen["ball_strict"] - clear["ball_strict"]).max() < 0.5, "ball under noise"
    assert np.abs(seen["own"] - clear["own"]).max() < 0.5, "paddle under noise"
    empty = np.stack([draw_pong((142, o), o, 100, 64) for o in (60, 90, 120)])  # the ball is behind the paddle
    empty[:, 11:59, 50:] = (144, 72, 17)
    assert np.isnan(reader.read(empty)["ball_strict"]).all(), "no ball"
    assert np.isnan(reader.read(empty)["own"]).all(), "no paddle"


def test_pong_scores_count_only_what_the_truth_shows(pong):
    draw, state, _, _, _ = pong
    reader = PongReader.fit(draw(64), state)
    truth = reader.read(draw(64))
    lost = {**truth, "ball_strict": truth["ball_strict"].copy(), "ball_loose": truth["ball_loose"] + [4.0, 0.0]}
    lost["ball_strict"][:30] = np.nan
    hidden = {**truth, "ball_strict": truth["ball_strict"].copy()}
    hidden["ball_strict"][:20] = np.nan
    rows = {s.key: s for s in reader.score(truth, hidden, lost, np.ones(120, bool))}
    within, missing = rows["ball_within_3px_strict"], rows["ball_missing_strict"]
    assert np.isfinite(within.values).sum() == 100 and within.eligible == 120, "counted and eligible"
    assert np.nansum(within.values) == 90 and np.nansum(missing.values) == 10, "a missing ball is a failure"
    assert np.nansum(rows["ball_within_3px_loose"].values) == 0, "4 px is not within 3 px"


TEE = ([(-60, 0), (60, 0), (60, 30), (-60, 30)], [(-15, 30), (15, 30), (15, 120), (-15, 120)])
BAR, ELL = TEE[:1], ([(-60, 0), (20, 0), (20, 30), (-60, 30)], [(-10, 30), (20, 30), (20, 160), (-10, 160)])


def draw_pusht(agent, pose, size, things=TEE, second=None):
    """Draw one Push-T board from engine values, as gym_pusht does, and shrink it by averaging.

    things: drawn at `pose` instead of the T, and the T again at the pose `second`.
    """
    board = Image.new("RGB", (512, 512), "white")
    pen = ImageDraw.Draw(board)

    def place(points, x, y, angle):
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        return [tuple(p) for p in np.asarray(points) @ turn + (x, y)]

    for shape in TEE:
        pen.polygon(place(shape, 256, 256, np.pi / 4), fill=(144, 238, 144))
    pen.ellipse([*(np.asarray(agent) - 15), *(np.asarray(agent) + 15)], fill=(65, 105, 225))
    for shape, at in [(shape, pose) for shape in things] + [(shape, second) for shape in TEE if second is not None]:
        points = place(shape, *at)
        pen.polygon(points, fill=(143, 163, 184))
        pen.line([*points, points[0]], fill=(119, 136, 153), width=4)
    return np.asarray(board.resize((size, size), Image.Resampling.BOX))


@pytest.mark.parametrize("size", [64, 128])
def test_pusht_is_read_within_half_a_percent_and_three_degrees(size):
    rng = np.random.default_rng(0)
    n = 60
    agent = rng.uniform(30, 480, (n, 2))
    pose = np.column_stack([rng.uniform(130, 380, (n, 2)), rng.uniform(0, 2 * np.pi, n)])
    frames = np.stack([draw_pusht(a, p, size) for a, p in zip(agent, pose, strict=True)])
    reader = PushTReader.fit(frames)
    errors = {e.quantity: e for e in reader.own_error(frames, {"agent_pos": agent, "block_pose": pose})}
    assert errors["agent"].median < 0.3 and errors["agent"].missed <= 0.1, errors["agent"]
    assert errors["block position"].p90 < 1.0 and errors["block position"].missed == 0, errors["block position"]
    assert errors["block angle"].p90 < 3.0, errors["block angle"]
    truth = reader.read(frames)
    rows = {s.key: s for s in reader.score(truth, truth, truth, np.ones(n, bool))}
    assert np.nanmean(rows["block_within_3pct_10deg"].values) == 1.0, "the truth is within itself"
    gone = {key: np.full_like(value, np.nan) for key, value in truth.items()}
    rows = {s.key: s for s in reader.score(truth, truth, gone, np.ones(n, bool))}
    assert np.nanmax(rows["agent_within_2pct"].values) == 0.0, "what is not seen is wrong"
    assert np.nanmin(rows["block_angle_median"].values) == 180.0, "and as wrong as can be"


@pytest.mark.parametrize("size", [64, 128])
def test_pusht_tells_a_t_from_what_is_none(size):
    rng = np.random.default_rng(1)
    n = 12
    pose = np.column_stack([rng.uniform(150, 360, (n, 2)), rng.uniform(0, 2 * np.pi, n)])
    reader = PushTReader.fit(np.stack([draw_pusht((40, 40), p, size) for p in pose]))

    def inspect(agent=(460, 40), **drawn):
        return reader.inspect(np.stack([draw_pusht(agent, p, size, **drawn) for p in pose]))

    tee, two = inspect(), inspect(second=(60, 440, 0.3))
    assert (
        tee.overlap.min() > 0.85
        and tee.outline.min() > 0.85
        and tee.grey.max() < 1.2
        and 0.7 < tee.blue.min() <= tee.blue.max() < 1.4
    )
    assert tee.other.max() < 0.02
    for broken in (inspect(things=BAR), inspect(things=ELL), two):
        assert broken.overlap.max() < 0.7 and broken.outline.max() < 0.75, "whole is no"
    assert two.grey.min() > 1.7, "a second T is extra"
    assert inspect(things=()).overlap.max() == 0, "no T at all"
    red = np.stack([draw_pusht((460, 40), p, size) for p in pose])
    red[:, : size // 4, : size // 4] = (220, 30, 30)
    assert reader.inspect(red).other.min() > 1.0


def test_pusht_reader_on_the_real_engine():
    pytest.importorskip("gym_pusht")
    from worldling.data.environment import open_environment

    env = open_environment("gym_pusht/PushT-v0", size_px=64)
    frames, states = [], []
    rng = np.random.default_rng(0)
    for seed in range(30):
        frames.append(env.reset(seed))
        states.append(env.state())
        for _ in range(2):
            frames.append(env.step(env.action_space.sample(rng)).frame)
            states.append(env.state())
    env.close()
    state = {key: np.stack([s[key] for s in states]) for key in states[0]}
    reader = reader_for("gym_pusht/PushT-v0", np.stack(frames), state)
    errors = {e.quantity: e.median for e in reader.own_error(np.stack(frames), state)}
    assert errors["agent"] < 0.5 and errors["block position"] < 1.0 and errors["block angle"] < 3.0, errors


def test_pong_reader_on_the_real_engine():
    pytest.importorskip("ale_py")
    from worldling.data.environment import open_environment

    env = open_environment("ALE/Pong-v5", size_px=64)
    frames, states = [env.reset(0)], [env.state()]
    rng = np.random.default_rng(0)
    for _ in range(400):
        frames.append(env.step(env.action_space.sample(rng)).frame)
        states.append(env.state())
    env.close()
    state = {"ram": np.stack([s["ram"] for s in states])}
    reader = reader_for("ALE/Pong-v5", np.stack(frames), state)
    errors = {e.quantity: e for e in reader.own_error(np.stack(frames), state)}
    assert all(e.median < 0.3 for e in errors.values()), errors
    assert errors["ball (loose)"].missed < 0.05, errors


def test_other_environments_get_the_generic_reader_and_are_told_why():
    frames = np.zeros((6, 16, 16, 3), np.uint8)
    for t in range(6):
        frames[t, 4:8, 2 * t : 2 * t + 4] = 255
    reader = reader_for("CarRacing-v3", frames, {})
    assert isinstance(reader, MotionReader) and "CarRacing-v3" in reader.about, reader.about
    assert "no ram" in reader_for("ALE/Pong-v5", frames, {}).about, "missing state is named"
    truth = reader.read(frames)
    rows = {s.key: s for s in reader.score(truth, truth, truth, np.ones(6, bool))}
    assert np.nanmean(rows["centre_within_5pct"].values) == 1.0, "the truth is within itself"
