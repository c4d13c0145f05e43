"""The chaotic environments: same seed and actions, same frames; states can be gone back to; chaos is real."""

from itertools import islice

import numpy as np
import pytest

from worldling.data.environment import open_environment
from worldling.data.simulators import prepare_process
from worldling.errors import EnvError
from worldling.scenes import CHAOS_IDS, PHYSICS_IDS, lorenz
from worldling.scenes.chaos import steering

prepare_process()  # before MuJoCo is imported: it chooses then how to draw
NEEDS = {"worldling/Cloth-v0": "mujoco", "worldling/Lorenz-v0": "numpy", "worldling/Smoke-v0": "phi"}


@pytest.fixture(params=CHAOS_IDS)
def env(request):
    pytest.importorskip(NEEDS[request.param])
    env = open_environment(request.param, 32)
    yield env
    env.close()


def hand(count, seed=0):
    return np.stack(list(islice(steering(np.random.default_rng(seed)), count)))


def film(env, actions):
    return np.stack([env.step(action).frame for action in actions])


def test_seed_and_actions_make_the_frames(env):
    actions = hand(3)
    first = env.reset(7)
    frames = film(env, actions)
    assert frames.std() > 5, "something is drawn"
    assert np.array_equal(env.reset(7), first) and np.array_equal(film(env, actions), frames)
    assert not np.array_equal(env.reset(8), first)
    env.reset(7)
    away = np.clip(-actions - 1.0, -1, 1)
    assert not np.array_equal(film(env, away)[-1], frames[-1]), "the action steers"


def test_one_goes_back_to_a_state_and_a_perturbation_is_as_large_as_asked(env):
    raw, actions = env.raw.unwrapped, hand(3, 1)
    env.reset(3)
    film(env, actions)
    state, here = raw.get_state(), raw.draw(32)
    truth, end = film(env, actions), env.state()
    raw.set_state(state)
    assert np.array_equal(raw.draw(32), here), "the same picture"
    assert np.array_equal(film(env, actions), truth) and all(np.array_equal(end[k], v) for k, v in env.state().items())
    moved = []
    for share in (1e-3, 1e-2):
        raw.set_state(state)
        before = raw.record()[raw.measured].astype(float)
        raw.perturb(np.random.default_rng(0), share)
        moved.append(np.abs(raw.record()[raw.measured] - before).mean())
    assert moved[0] > 0 and moved[1] / moved[0] == pytest.approx(10, rel=0.05)


def test_what_is_measured_is_recorded(env):
    raw = env.raw.unwrapped
    env.reset(0)
    assert env.state()[raw.measured].shape == raw.shape == raw.observation_space.shape
    assert np.array_equal(raw.draw(32), raw.draw(32)) and raw.draw(64).shape == (64, 64, 3)


def test_an_episode_ends_by_its_length():
    env = open_environment("worldling/Lorenz-v0", 32, env_kwargs={"num_steps": 3})
    env.reset(0)
    assert [env.step([0, 0]).truncated for _ in range(3)] == [False, False, True]
    with pytest.raises(EnvError, match="pixels or state"):
        lorenz.LorenzEnv(obs_type="sound")


def test_steering_stays_in_bounds_and_moves_smoothly():
    actions = hand(2000)
    assert np.abs(actions).max() <= 1 and np.abs(np.diff(actions, axis=0)).max() < 0.75
    assert actions.std() > 0.3 and np.abs(actions.mean(0)).max() < 0.15


def test_the_names_of_the_two_kinds_do_not_overlap():
    assert not set(CHAOS_IDS) & set(PHYSICS_IDS) and set(CHAOS_IDS) == set(NEEDS)


def test_lorenz_has_the_exponents_of_the_literature():
    """Benettin on the environment's own equations, 3 000 units of time: 0.9056, 0 and what the divergence leaves."""
    rng, n, frames = np.random.default_rng(0), 200, 340
    states = rng.normal(0, 8, (n, 3)) + np.array([0, 0, 25])
    for _ in range(150):
        states = lorenz.advance(states, np.zeros((n, 2)))
    found = lorenz.exponents(states, np.zeros((n, frames, 2)))
    mean, doubt = found.mean(0), 4 * found.std(0) / np.sqrt(n)
    assert abs(mean[0] - lorenz.EXPONENT) < doubt[0] < 0.06 and abs(mean[1]) < doubt[1]
    assert found.sum(1) == pytest.approx(-(lorenz.SIGMA + 1 + lorenz.BETA), abs=1e-3), "every volume shrinks alike"
    steered = lorenz.exponents(states[:50], np.stack([hand(frames, k) for k in range(50)]))
    assert steered[:, 0].mean() == pytest.approx(lorenz.EXPONENT, abs=0.15), "still chaotic under a hand"


def test_lorenz_follows_its_equations():
    """Runge-Kutta of fourth order: half the step leaves a sixteenth of the error."""
    state, push = np.array([1.0, 3.0, 20.0]), np.array([0.5, -1.0])
    assert lorenz.flow(state, push) == pytest.approx([10 * 2 + 4, 1 * 8 - 3, 3 - 160 / 3 - 8])
    nudge = 1e-6
    slope = [
        (lorenz.flow(state + nudge * e, push) - lorenz.flow(state - nudge * e, push)) / (2 * nudge) for e in np.eye(3)
    ]
    assert lorenz.tangent(state) == pytest.approx(np.stack(slope, -1), abs=1e-6)
    places = np.random.default_rng(0).normal(0, 10, (5, 3))
    assert lorenz.unproject(*lorenz.project(places)) == pytest.approx(places)


def test_the_cloth_hangs_on_the_hand_and_keeps_its_size():
    pytest.importorskip("mujoco")
    from worldling.scenes.cloth import COUNT, SPACING, ClothEnv

    env = ClothEnv(obs_type="state")
    env.reset(seed=1)
    for action in hand(60, 2):
        points = env.step(action)[0].reshape(COUNT, COUNT, 3)
    lengths = np.concatenate([np.linalg.norm(np.diff(points, axis=a), axis=-1).ravel() for a in (0, 1)])
    assert np.abs(lengths / SPACING - 1).max() < 0.1
    held = points[[2, 6], COUNT - 1].mean(0)
    assert held == pytest.approx(env.record()["hand"], abs=0.03)
    env.close()
