import numpy as np
import pytest

pytest.importorskip("mujoco")

from worldling.data.simulators import prepare_process

prepare_process()

from worldling.scenes import edits
from worldling.scenes.camera import AGENT, PATIENT, Camera
from worldling.scenes.edits import AFTER, BEFORE, DEEP, EDITS, SOON, draw_pair, simulate
from worldling.scenes.trial import FPS, Trial

SCENES = ("collide", "drape")  # stiff things, and a cloth
NUMBER = {"agent": AGENT, "patient": PATIENT}


@pytest.fixture(scope="module")
def pairs():
    return {(scene, kind): draw_pair(scene, kind, [7, SCENES.index(scene)], 64) for scene in SCENES for kind in EDITS}


def last_shared(pair):
    """The pair's trial at the last frame that both clips share."""
    trial = Trial(pair.trial)
    while trial.frame < pair.edit.frame - 1:
        trial.advance()
    return trial


def place(trial, thing):
    return trial.agent_place() if thing == "agent" else trial.patient_place()


def test_the_clips_of_a_pair_differ_from_the_edit_on_and_only_then(pairs):
    for name, pair in pairs.items():
        assert np.array_equal(pair.possible[:BEFORE], pair.impossible[:BEFORE]), name
        apart = np.abs(pair.possible.astype(int) - pair.impossible).max(-1)
        assert (apart[BEFORE : BEFORE + SOON] > edits.TELLING).sum((1, 2)).max() >= 12, name
        assert len(pair.possible) == len(pair.impossible) == BEFORE + AFTER, name


def test_an_edit_that_nobody_sees_does_not_count(pairs):
    pair = pairs["collide", "vanish"]
    assert not edits.seen(pair.possible, pair.possible)
    late = pair.possible.copy()
    late[BEFORE + SOON :] = 0
    assert not edits.seen(pair.possible, late), "what comes later is too late"


def test_the_same_seed_draws_the_same_pair_and_another_another(pairs):
    again, other = (draw_pair("collide", "teleport", [seed, 0], 64) for seed in (7, 8))
    pair = pairs["collide", "teleport"]
    assert (again.trial, again.edit) == (pair.trial, pair.edit) and np.array_equal(again.impossible, pair.impossible)
    assert other.trial != pair.trial


@pytest.mark.parametrize("scene", SCENES)
def test_without_the_edit_the_simulator_gives_the_possible_clip(pairs, scene):
    pair = pairs[scene, "anti_gravity"]
    assert np.array_equal(simulate(pair), pair.possible)
    perturbed = simulate(pair, np.random.default_rng(0)).astype(int)
    assert np.abs(perturbed - pair.possible).mean() < np.abs(pair.impossible.astype(int) - pair.possible).mean() / 4


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("thing", ["agent", "patient"])
def test_what_vanishes_is_neither_seen_nor_felt(pairs, scene, thing):
    trial = last_shared(pairs[scene, "vanish"])
    camera = Camera(trial)
    assert (camera.masks() == NUMBER[thing]).any()
    edits.apply(trial, edits.Edit("vanish", thing, trial.frame + 1))
    for _ in range(AFTER):
        trial.advance()
        assert not (camera.masks() == NUMBER[thing]).any() and not trial.touching
    camera.close()
    assert place(trial, thing)[2] < -0.2, "the floor does not hold it"


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("thing", ["agent", "patient"])
def test_a_teleport_moves_the_place_and_keeps_the_velocity(pairs, scene, thing):
    trial, other = last_shared(pairs[scene, "teleport"]), "patient" if thing == "agent" else "agent"
    speed, rest, before = trial.data.qvel.copy(), place(trial, other), place(trial, thing)
    edits.apply(trial, edits.Edit("teleport", thing, trial.frame + 1, (0.2, -0.1)))
    assert np.array_equal(trial.data.qvel, speed)
    trial.set_state(trial.get_state())
    assert np.allclose(place(trial, thing) - before, [0.2, -0.1, 0.0], atol=0.02)  # pictures lag the state by 4 ms
    assert np.allclose(place(trial, other), rest, atol=0.02)


def test_there_is_room_where_things_are_teleported_to(pairs):
    for scene in SCENES:
        pair = pairs[scene, "teleport"]
        trial = last_shared(pair)
        edits.apply(trial, pair.edit)
        before = np.abs(trial.data.qvel).max()
        trial.set_state(trial.get_state())
        assert np.hypot(*pair.edit.offset) >= 0.3 and trial.data.contact.dist.min(initial=0) > -0.02
        trial.advance()
        assert np.abs(trial.data.qvel).max() < before + 5, "nothing is thrown out of anything"


@pytest.mark.parametrize("scene", SCENES)
def test_red_and_yellow_go_through_each_other_and_through_nothing_else(pairs, scene):
    trial = last_shared(pairs[scene, "pass_through"])
    state = trial.get_state()
    trial.advance()
    assert trial.touching, "they touch in the very frame of the edit"
    trial.set_state(state)
    edits.apply(trial, pairs[scene, "pass_through"].edit)
    depth = []
    for _ in range(AFTER):
        trial.advance()
        depth.append(edits.overlap(trial))
        assert not trial.touching
    assert max(depth[:SOON]) >= DEEP
    assert trial.patient_place()[2] > 0.02 and trial.agent_place()[2] > 0.0, "the floor holds both"


@pytest.mark.parametrize("scene", SCENES)
def test_colours_are_traded_and_nothing_moves_for_it(pairs, scene):
    trial = last_shared(pairs[scene, "colour_swap"])
    camera = Camera(trial)
    masks, before = camera.masks(), camera.frame()
    edits.apply(trial, pairs[scene, "colour_swap"].edit)
    after = camera.frame()
    assert np.array_equal(camera.masks(), masks)
    camera.close()
    green = {thing: [frame[masks == NUMBER[thing]][:, 1].mean() for frame in (before, after)] for thing in NUMBER}
    assert green["agent"][1] > green["agent"][0] + 40 and green["patient"][1] < green["patient"][0] - 40


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("thing", ["agent", "patient"])
def test_without_gravity_a_thing_falls_upward(pairs, scene, thing):
    heights = {}
    for edited in (False, True):
        trial = last_shared(pairs[scene, "anti_gravity"])
        if edited:
            edits.apply(trial, edits.Edit("anti_gravity", thing, trial.frame + 1))
        for _ in range(4):
            trial.advance()
        heights[edited] = place(trial, thing)[2]
    rise = 9.81 * (4 / FPS) ** 2 / 2
    assert 0.2 * rise < heights[True] - heights[False] < 2.15 * rise, (
        "less if something lies on it, twice as much if it falls meanwhile"
    )
