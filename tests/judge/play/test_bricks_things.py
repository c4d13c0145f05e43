"""What the play suite says of Bricks: all is right in real frames, and each fault is seen by the check for it."""

import numpy as np
import pytest

from worldling.data.environment import open_environment
from worldling.foreign import ForeignWorld
from worldling.judge import judge
from worldling.judge.play.bricks import GONE, engine_tracks
from worldling.judge.play.checks import Seen
from worldling.judge.play.things import things_of
from worldling.recipes.policies import bricks_player
from worldling.scenes import bricks_picture as picture
from worldling.types import ActionSpace

ID = "worldling/Bricks-v0"
AHEAD, MOMENTS, LENGTH = 120, [30, 120], 9
NAMES = ["one_ball", "paddle_right", "ball_right", "bricks_right", "nothing_extra", "plausible"]


class StillGame(ForeignWorld):
    """A world of Bricks in which nothing ever moves."""

    def __init__(self):
        super().__init__(64, ActionSpace("discrete", (3,)), 2, "still", {"env_id": ID, "fps": 30.0})

    def observe(self, frames, actions, seeds):
        return frames[:, -1]

    def predict(self, state, actions):
        return state, state


@pytest.fixture(scope="module")
def real():
    """Real episodes under a player, which stop where they end: frames `[n, T, ...]`, state, and whether it goes on."""
    env, films, states, goes_on = open_environment(ID, 64), [], [], []
    for seed in range(4):
        frame, act, over = env.reset(seed), bricks_player(env, seed), False
        film, state, on = [], [], []
        for number in range(40 + AHEAD):
            if not over:
                over = env.advance(act(frame, env.info))[1]
            if number >= 39:
                film.append(env.draw())
                state.append(env.state())
                on.append(not over)
        films.append(np.stack(film))
        states.append({name: np.stack([one[name] for one in state]) for name in state[0]})
        goes_on.append(on)
    state = {name: np.stack([one[name] for one in states]) for name in states[0]}
    return np.stack(films), state, np.array(goes_on)


@pytest.fixture(scope="module")
def judged(real):
    """A function that judges dreams, films `[n, T, H, W, 3]`, beside the real episodes."""
    films, state, goes_on = real
    things = things_of(ID, films[0])

    def check(dreams, beside=True):
        windows = np.stack([dreams[:, m - LENGTH + 1 : m + 1] for m in MOMENTS], axis=1)
        tracks = things.track(windows.reshape(-1, *dreams.shape[2:])).reshape(*windows.shape[:3], -1)
        known = films[:, MOMENTS] if beside else None
        return things.check(
            Seen(MOMENTS, dreams[:, MOMENTS], known, state if beside else {}, goes_on[:, MOMENTS]), tracks
        )

    return check


def fails(checks):
    return {name for name, check in checks.items() if (check.dream == 0).any()}


def test_reality_passes_all_checks(real, judged):
    checks = judged(real[0])
    assert list(checks) == NAMES
    for name, check in checks.items():
        assert np.nanmin(check.dream) == 1 and np.nanmin(check.real) == 1, name
        assert np.isfinite(check.dream).sum() >= 3, name
    assert np.isnan(checks["ball_right"].dream).sum() > np.isnan(checks["one_ball"].dream).sum(), "not after a serve"
    alone = judged(real[0], beside=False)
    assert set(alone) == {"one_ball", "nothing_extra", "plausible"} and alone["one_ball"].real is None


def test_each_fault_is_seen(real, judged):
    films, state, _ = real

    def changed(change, first=65):
        dreams = films.copy()
        for film, bricks in zip(dreams, state["bricks"], strict=True):
            change(film[first:], bricks[first:])
        return fails(judged(dreams))

    def second_ball(film, bricks):
        film[:, 50:54, 2:6] = 255

    def no_ball(film, bricks):
        film[:, 37:] = np.where(film[:, 37:].min(axis=-1, keepdims=True) > 160, picture.FIELD, film[:, 37:])

    def no_paddle(film, bricks):
        film[:, 57:60] = picture.FIELD

    def aside(film, bricks):
        film[:, 57:60] = np.roll(film[:, 57:60], 20, axis=2)

    def brick_gone(film, bricks):
        row, column = np.argwhere(bricks[-1])[0]
        film[:, 16 + 4 * row : 20 + 4 * row, 8 * column : 8 * column + 8] = picture.FIELD

    def brick_comes(film, bricks):
        row, column = np.argwhere(~bricks[0])[0] if not bricks[0].all() else (0, 0)
        full = picture.draw(picture.Scene(np.ones((5, 8), bool), 0, None, None), 64)
        place = np.s_[16 + 4 * row : 20 + 4 * row, 8 * column : 8 * column + 8]
        film[(slice(None), *place)] = full[place]

    def stain(film, bricks):
        film[:, 38:46, 28:36] = (180, 40, 160)

    assert changed(second_ball) >= {"one_ball", "nothing_extra"}
    assert changed(no_ball) >= {"one_ball", "ball_right"} and "plausible" in changed(no_ball, first=116)
    assert changed(no_paddle) >= {"paddle_right"} and "plausible" in changed(no_paddle, first=116)
    assert changed(aside) >= {"paddle_right"}
    assert changed(brick_gone) >= {"bricks_right"}
    assert changed(brick_gone, first=116) >= {"plausible"}
    assert changed(brick_comes, first=116) >= {"plausible"}
    assert "nothing_extra" in changed(stain)
    assert fails(judged(np.zeros_like(films))) >= {"one_ball", "paddle_right", "nothing_extra"}, "black"


def test_a_frozen_dream_leaves_the_ball_and_the_bricks_but_does_what_can_be(real, judged):
    films = real[0]
    found = judged(np.repeat(films[:, :1], films.shape[1], axis=1))
    assert "ball_right" in fails(found) and not fails(found) & {"one_ball", "nothing_extra", "plausible"}


def test_a_lost_ball_comes_again_above_the_paddle_and_costs_a_dot(real, judged):
    films, state, _ = real
    things = things_of(ID, films[0])
    tracks = engine_tracks(state)
    n, frame = next((n, t) for n in range(len(films)) for t in range(20, AHEAD) if np.diff(state["lives"][n])[t] < 0)
    window = tracks[n, frame - 20 : frame + 20][None, None]

    def plausible(track):
        blank = films[:1, :1]
        return things.check(Seen([0], blank, None, {}, np.ones((1, 1), bool)), track)["plausible"].dream[0, 0]

    assert plausible(window) == 1
    free, elsewhere, late = window.copy(), window.copy(), window.copy()
    free[..., 4] = free[..., :1, 4]
    elsewhere[0, 0, 21:, 0] += 12.0
    low = np.flatnonzero(window[0, 0, :, 1] > 57)[-1]
    late[0, 0, low + 1 : low + 1 + GONE + 2, :2] = np.nan
    assert [plausible(track) for track in (free, elsewhere, late)] == [0, 0, 0]


def test_the_suite_plays_it_beside_the_game():
    found = judge(StillGame(), None, suites=("play",), players=4, seconds=(0.2, 0.6), quiet=True)["suites"]["play"]
    assert set(found["checks"]) == {*NAMES, "looks_real", "alive"} and "same actions" in found["beside"]
    for name in NAMES:
        assert all(value["value"] in (1, None) for value in found["checks"][name]["real"].values()), name
    assert found["checks"]["ball_right"]["dream"]["0.6"]["value"] == 0, "it flies when the world begins"
    assert all(value["value"] == 0 for value in found["checks"]["alive"]["dream"].values())
