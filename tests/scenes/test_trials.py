"""The physics scenes: a trial is its seeds, labels are the engine's contacts, a pair hides its answer in frame 0."""

import numpy as np
import pytest

mujoco = pytest.importorskip("mujoco")

from worldling.data.environment import open_environment
from worldling.data.simulators import check_scenes
from worldling.errors import EnvError

check_scenes()

from worldling.scenes import SCENARIOS
from worldling.scenes.camera import AGENT, PATIENT
from worldling.scenes.labels import COPIES, OBSERVED, Tally, find_pair, first_contact, flips_of
from worldling.scenes.sheet import scene_list, write_sheet
from worldling.scenes.trial import Trial, TrialSeed


def run(trial, frames=12, action=None):
    while trial.frame < frames:
        trial.advance(action)
    return trial


@pytest.fixture
def scene():
    env = open_environment("worldling/Physics-v0")
    yield env
    env.close()


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_same_seeds_give_the_same_trial_and_others_another(scenario):
    a, b = (run(Trial(TrialSeed(scenario, 3, 5))) for _ in range(2))
    other = run(Trial(TrialSeed(scenario, 3, 6)))
    assert np.array_equal(a.data.qpos, b.data.qpos) and np.isfinite(a.data.qpos).all()
    assert not np.array_equal(a.data.qpos, other.data.qpos)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_state_can_be_gone_back_to(scenario):
    trial = run(Trial(TrialSeed(scenario, 1, 1)), 5)
    state = trial.get_state()
    first = run(trial, 10, np.array([1.0, 0.3])).data.qpos.copy()
    trial.set_state(state)
    assert trial.frame == 5
    assert np.array_equal(run(trial, 10, np.array([1.0, 0.3])).data.qpos, first)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_push_moves_red_the_way_it_says(scenario):
    still, pushed = (run(Trial(TrialSeed(scenario, 2, 2)), 3, np.array([x, 0.0])) for x in (0.0, 1.0))
    assert pushed.agent_place()[0] > still.agent_place()[0] + 0.01


def test_labels_are_the_engines_contacts():
    """A trial counts as touched if and only if MuJoCo lists a contact of red with yellow without a gap."""
    trial = Trial(TrialSeed("collide", 0, 0))
    found = False
    for motion in range(8):
        trial.start(motion)
        touched = False
        for _ in range(25 * 20):
            mujoco.mj_step(trial.model, trial.data)
            for contact in trial.data.contact:
                bodies = {int(trial.model.geom_bodyid[g]) for g in contact.geom}
                touched = touched or (contact.dist <= 0 and bodies == {trial.agent, trial.patient})
        trial.start(motion)
        assert (first_contact(trial) is not None) == touched
        found = found or touched
    assert found


def test_a_cloth_touches_by_its_points():
    trial = Trial(TrialSeed("drape", 0, 0))
    firsts = []
    for motion in range(3):
        trial.start(motion)
        firsts.append(first_contact(trial))
        if firsts[-1] is not None:
            apart = np.linalg.norm(trial.data.flexvert_xpos - trial.patient_place(), axis=1).min()
            assert apart < 0.3
    assert any(f is not None for f in firsts)


def test_a_pair_hides_its_answer_in_the_first_frame(scene):
    tally = Tally()
    (yes, first), (no, none) = find_pair("drop", [1, 2, 3], False, tally)
    assert first.first >= OBSERVED and none.first is None
    assert tally.pairs == 1 and tally.labelled >= 2 and tally.flipped <= tally.labelled
    raw = scene.raw.unwrapped
    frames = []
    for seed in (yes, no):
        raw.reset(options={"scenario": seed.scenario, "geometry": seed.geometry, "motion": seed.motion})
        frames.append(raw.draw(64))
        for _ in range(OBSERVED):
            raw.trial.advance()
        frames.append(raw.draw(64))
    assert np.array_equal(frames[0], frames[2]) and not np.array_equal(frames[1], frames[3])
    again = find_pair("drop", [1, 2, 3], False, Tally())
    assert [seed for seed, _ in again] == [yes, no]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_nothing_starts_inside_something_else(scenario):
    for geometry in range(6 if scenario == "drape" else 12):
        trial = Trial(TrialSeed(scenario, geometry, 0, outside=geometry % 3 == 0))
        assert not (trial.data.contact.dist < -0.005).any(), geometry


@pytest.mark.slow
def test_noisy_copies_count_as_flips_only_where_they_disagree():
    seen = set()
    for geometry in range(80):
        trial, again = (Trial(TrialSeed("support", geometry, 3)) for _ in range(2))
        first = first_contact(trial)
        copies = []
        for copy in range(COPIES):
            again.start(3)
            copies.append(first_contact(again, np.random.default_rng([geometry, 3, 2, copy])) is not None)
        flips = flips_of(trial, 3, first)
        assert flips == sum(touched != (first is not None) for touched in copies)
        seen.add(flips > 0)
        if len(seen) == 2:
            return
    raise AssertionError("no trial whose copies disagree, or none whose agree")


def test_trials_from_outside_have_other_parameters():
    inside, outside = (Trial(TrialSeed("collide", 4, 0, far)) for far in (False, True))
    sizes = [max(body.size[0] for body in t.layout.bodies[:2]) for t in (inside, outside)]
    assert sizes[1] > sizes[0] and abs(outside.layout.view.azimuth) > 12 >= abs(inside.layout.view.azimuth)


def test_masks_show_red_and_yellow_where_they_are(scene):
    raw = scene.raw.unwrapped
    for scenario in SCENARIOS:
        raw.reset(options={"scenario": scenario, "geometry": 1, "motion": 0})
        frame, masks = raw.draw(64).astype(int), raw.masks(64)
        red, yellow = frame[masks == AGENT].mean(0), frame[masks == PATIENT].mean(0)
        assert red[0] > 2 * max(red[1], red[2]) and min(yellow[:2]) > 2 * yellow[2]
        seen = raw.record()
        assert seen["agent_seen"][2] == pytest.approx((masks == AGENT).mean())


def test_the_mixed_environment_draws_every_scene_but_the_one_left_out():
    env = open_environment("worldling/Physics-v0", env_kwargs={"without": "drape", "num_steps": 2})
    drawn = set()
    for seed in range(24):
        env.reset(seed)
        drawn.add(env.info["scenario"])
    steps = [env.step(np.zeros(2)) for _ in range(2)]
    env.close()
    assert "drape" not in drawn and len(drawn) >= 5
    assert [s.truncated for s in steps] == [False, True] and steps[0].frame.std() > 0


def test_an_unknown_scene_is_named():
    with pytest.raises(EnvError, match="drape"):
        open_environment("worldling/Physics-v0", env_kwargs={"without": "drap"})


def test_the_sheet_shows_what_the_list_names(tmp_path):
    assert len(scene_list()) == len(SCENARIOS) + 1 and all(scene_list().values())
    assert write_sheet(tmp_path / "scenes.png", trials=1).stat().st_size > 10_000
