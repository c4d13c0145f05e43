"""Control: what the suite says of dreams that are right, swapped, deaf or late; and the engine's forks."""

import numpy as np
import pytest

from worldling.data.simulators import prepare_process
from worldling.foreign import ForeignWorld
from worldling.judge.baselines import CopyLast, random_weights_copy
from worldling.judge.case import Case
from worldling.judge.control.page import page
from worldling.judge.control.scores import NEVER, Reference
from worldling.judge.control.suite import inverse_dynamics, predict_forks, run
from worldling.judge.settings import Settings
from worldling.judge.truth.forks import ANSWERS, FIRST_BURST, HORIZON, JUDGED, Fork, draw_pushes, make_forks, play
from worldling.report.values import to_json
from worldling.types import ActionSpace

SIZE, SHOWN = 64, 6


def toy_fork(number):
    """A red square on a grey board that flies on and is pushed: no engine needed."""
    rng = np.random.default_rng(number)
    onset, actions = draw_pushes(rng)
    place, speed = rng.uniform(28, 36, 2), rng.uniform(-0.5, 0.5, 2)

    def draw(at):
        covered = [np.clip(4.5 - abs(np.arange(SIZE) + 0.5 - place), 0, 1) for place in np.clip(at, 6, SIZE - 6)]
        red = (covered[1][:, None] * covered[0])[..., None]
        return (90 + red * (np.array([217, 18, 18]) - 90)).round().astype(np.uint8)

    shown = np.stack([draw(place + speed * t) for t in range(SHOWN)])
    futures = []
    for sequence in actions:
        at, move, frames = place + speed * (SHOWN - 1), speed.copy(), []
        for action in sequence:
            move = move + 0.2 * action * [1, -1]
            at = at + move
            frames.append(draw(at))
        futures.append(np.stack(frames))
    return Fork(shown, onset, actions, np.stack(futures), {"seed": number, "frame": SHOWN - 1}, 1)


@pytest.fixture(scope="module")
def toys():
    return Reference([toy_fork(number) for number in range(12)])


def test_pushes_part_at_the_same_moments_in_four_ways():
    for number in range(50):
        onset, actions = draw_pushes(np.random.default_rng(number))
        strength, ways = np.linalg.norm(actions, axis=-1), np.degrees(np.arctan2(actions[..., 1], actions[..., 0]))
        assert actions.shape == (len(ANSWERS), HORIZON, 2) and not actions[0].any() and not actions[:, :onset].any()
        assert strength.max() <= 1 + 1e-6, "inside the action space"
        assert ((strength[1:] > 0) == (strength[1] > 0)).all(), "pushed at the same moments"
        first = actions[1:, onset : onset + FIRST_BURST]
        assert (first == first[:, :1]).all() and first.any(-1).all(), "the first burst is long enough to be told"
        turns = np.diff(ways[1:, onset]) % 360
        assert np.allclose(turns, 90, atol=1e-3) and abs(ways[1, onset]) <= 20, "right, away, left, toward"


def test_the_truth_swapped_dreams_and_a_deaf_dream(toys):
    right = toys.measure(toys.truth)
    assert (right.pictures[..., -1] == 1).all() and (right.places[..., -1] == 1).all() and (right.lead_db > 6).all()
    swapped = toys.measure(toys.truth[:, [0, 2, 3, 4, 1]])
    assert not swapped.pictures[..., -1].any() and not swapped.places[..., -1].any() and (swapped.lead_db < 0).all()
    deaf = toys.measure(np.repeat(toys.truth[:, :1], len(ANSWERS), axis=1))
    assert (deaf.pictures[..., -1].sum(axis=1) == 1).all() and (deaf.answer == NEVER).all(), (
        "one of four by chance, no answer"
    )


def test_who_shows_nothing_is_at_chance(toys):
    grey = toys.measure(np.full_like(toys.truth, 90))
    assert (grey.answer == NEVER).all()
    assert np.allclose(grey.pictures.sum(axis=1), 1) and np.allclose(grey.places.sum(axis=1), 1), (
        "never more than one of four"
    )


@pytest.mark.parametrize("frames", [1, 3])
def test_a_late_dream_is_late_by_as_much(toys, frames):
    truth = toys.measure(toys.truth).answer
    late = toys.measure(np.concatenate([toys.truth[:, :, :1]] * frames + [toys.truth[:, :, :-frames]], axis=2)).answer
    assert (truth < 8).all() and (late == truth + frames).all()


def test_inverse_dynamics_tells_pushes_and_sees_them_swapped(toys):
    pytest.importorskip("sklearn")
    mirrored = toys.measure(toys.truth[:, [0, 3, 4, 1, 2]])
    told = inverse_dynamics({"truth": {"toy": toys.measure(toys.truth)}, "world": {"toy": mirrored}})
    assert told["truth"]["toy"].mean() > 0.7
    assert told["world"]["toy"][:, 1:].mean() < 0.15, "right for left is wrong"


def test_some_forks_are_measured_like_all(toys):
    some, every = toys.measure(toys.truth[:3]), toys.measure(toys.truth)
    for name in vars(every):
        assert np.array_equal(getattr(some, name), getattr(every, name)[:3]), name


def test_dreams_come_back_in_order_and_the_futures_of_a_fork_share_their_seed():
    forks = [toy_fork(number) for number in range(5)]

    class Told:
        """Paints what it was told: the seed, and how often it was pushed."""

        def start(self, frames, actions, seed):
            assert actions.shape == (len(frames), SHOWN - 1, 2) and not actions.any()
            return np.array(seed)

        def rollout(self, state, actions):
            pushes = (actions[..., 0] > 0).sum(axis=1)
            frames = np.zeros((*actions.shape[:2], 1, 2, 3), np.uint8)
            frames[..., 0, :], frames[..., 1, :] = state[:, None, None, None], pushes[:, None, None, None]
            return frames

    made = predict_forks(Told(), forks, seed=7, at_once=2)
    assert made.shape[:3] == (5, len(ANSWERS), HORIZON)
    for number, fork in enumerate(forks):
        assert (made[number, :, :, 0, 0] == 7 + number).all(), "one seed for the five"
        assert (made[number, :, 0, 0, 1, 0] == (fork.actions[..., 0] > 0).sum(axis=1)).all(), (
            "each under its own actions"
        )


def test_a_random_weights_copy_dreams_otherwise_and_leaves_the_world_alone(tiny_world, tiny_clip):
    def dream(world):
        return world.rollout(world.start(*tiny_clip), np.zeros((3, 4), int))

    before = dream(tiny_world)
    untrained = random_weights_copy(tiny_world)
    assert not np.array_equal(dream(untrained), before) and np.array_equal(
        dream(random_weights_copy(tiny_world)), dream(untrained)
    )
    assert np.array_equal(dream(tiny_world), before)
    assert random_weights_copy(CopyLast(tiny_world)) is None, "only ours"


class Foreign(CopyLast):
    """Somebody else's world of the scenes, which dreams that nothing happens."""

    def __init__(self):
        space = ActionSpace("box", low=(-1, -1), high=(1, 1))
        ForeignWorld.__init__(self, 16, space, context=1, source={"env_id": "worldling/Physics-v0"})


@pytest.fixture(scope="module")
def engine():
    prepare_process()  # before MuJoCo is imported, which chooses then how to draw
    pytest.importorskip("mujoco")


@pytest.fixture(scope="module")
def env(engine):
    from worldling.data.environment import open_environment

    opened = open_environment("worldling/Physics-v0", 16)
    yield opened.raw.unwrapped
    opened.close()


def test_a_fork_is_made_from_its_number_and_the_engine_goes_on_from_its_state(env):
    second = make_forks(env, "roll", [1], 16)[0]
    again = make_forks(env, "roll", [0, 1], 16)[1]
    assert np.array_equal(second.truth, again.truth) and np.array_equal(second.shown, again.shown)
    for actions, truth in zip(second.actions, second.truth, strict=True):
        assert np.array_equal(play(env, second.state, actions, 16), truth), "the same state, the same future"
    assert np.array_equal(second.truth[1:, : second.onset], np.repeat(second.truth[:1, : second.onset], 4, axis=0))
    ends = []
    for generator in (None, np.random.default_rng(0)):
        play(env, second.state, second.actions[1], 16, generator)
        ends.append(env.get_state()["physics"])
    assert not np.array_equal(*ends), "perturbed, it goes elsewhere"


@pytest.mark.slow
def test_a_world_in_which_nothing_happens_is_at_the_bottom(engine):
    pytest.importorskip("sklearn")
    case = Case(Foreign(), None, Settings(resamples=50, scenes=("collide", "drop")), quiet=True)
    found = run(case, 4)
    assert to_json(run(case, 4)) == to_json(found), "the same seed, the same figures"
    ranked, late = found.counterfactuals, found.latency
    assert ranked["world"].pictures.mean.value == 0.25 and ranked["world"].pictures.mean.n == 32
    assert ranked["copy_last"].pictures.mean.value == 0.25 and ranked["copy_last"].pictures.mean.n == 16
    assert ranked["reencoded"].pictures.mean.value == 1.0, "its latents are the pixels"
    assert ranked["simulator"].pictures.mean.value > 0.9, "the engine knows its futures"
    assert late["world"].never.mean.value == 1.0 and late["simulator"].within_1.mean.value > 0.9
    assert found.anchors_missing == ["random_weights"], "what could not be measured is named"
    assert len(ranked["world"].curve.pictures.value) == JUDGED
    assert page(found).headlines[0].figure == "25.0 %"
