"""The horizon suite on stand-ins whose figures are known: the truth itself, a still picture, and a thief."""

import numpy as np
import pytest

pytest.importorskip("mujoco")

from worldling.alarm import DriftAlarm
from worldling.foreign import ForeignWorld
from worldling.judge.case import Case
from worldling.judge.horizon import alarm as horizon_alarm
from worldling.judge.horizon import suite as horizon
from worldling.judge.horizon.page import page
from worldling.judge.horizon.reading import Grid
from worldling.judge.settings import Settings
from worldling.judge.truth.episodes import draw_play, film_play, pushes
from worldling.report.values import to_json
from worldling.types import ActionSpace

HORIZONS = (1, 5, 12)


class Oracle(ForeignWorld):
    """Knows each true film by its last frame shown, and passes it on as `paint(film, column)` lets it."""

    def __init__(self, films, paint):
        space = ActionSpace("box", low=(-1.0, -1.0), high=(1.0, 1.0))
        super().__init__(64, space, context=3, source={"env_id": "worldling/Physics-v0", "fps": 12.5})
        self.films, self.paint = {film.frames[2].tobytes(): film.frames[2:] for film in films}, paint
        self.columns = {t: i for i, t in enumerate(Grid(HORIZONS).ahead)}

    def observe(self, frames, actions, seeds):
        return [self.films.get(frame.tobytes(), frame[None]) for frame in frames[:, -1]], 0

    def predict(self, state, actions):
        films, index = state
        column = self.columns.get(index + 1, 0)
        return np.stack([self.paint(film, min(column, len(film) - 1)) for film in films]), (films, index + 1)


def without_red(frame):
    """Paint over what is red."""
    red = (frame[..., 0] > 1.3 * frame[..., 1]) & (frame[..., 0] > 1.3 * frame[..., 2])
    return np.where(red[..., None], np.median(frame, axis=(0, 1)).astype(np.uint8), frame)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the world that passes the truth on lies."""
    return tmp_path_factory.mktemp("oracle")


@pytest.fixture(scope="module")
def horizon_values(folder):
    """Run the suite on the three, filming only once: values by name."""
    with pytest.MonkeyPatch.context() as patch:
        for module, names in (
            (horizon, dict(HORIZONS=HORIZONS, RANDOM_WEIGHTS_TO=12, _SOON=5, EPISODES=1, WORKERS=1)),
            (horizon_alarm, dict(FIT=3, HELD_OUT=1, STEPS=(0, 1, 12), _TIMED=3)),
        ):
            for name, value in names.items():
                patch.setattr(module, name, value)
        kept, film_all = [], horizon.film_all

        def film_once(*given):
            kept.extend([] if kept else film_all(*given))
            return kept

        patch.setattr(horizon, "film_all", film_once)
        settings = Settings(resamples=50, scenes=("collide", "contain", "drape"))
        horizon.run(Case(Oracle([], lambda film, at: film[0]), None, settings, quiet=True))
        paints = {
            "truth": lambda film, at: film[at],
            "still": lambda film, at: film[0],
            "thief": lambda film, at: without_red(film[at]),
        }
        worlds = {name: Oracle(kept[:3], paint) for name, paint in paints.items()}
        worlds["truth"].path = folder
        yield {name: horizon.run(Case(world, None, settings, quiet=True)) for name, world in worlds.items()}


def at(table):
    return [table[h].value for h in HORIZONS]


def test_the_truth_reaches_every_limit(horizon_values):
    values = horizon_values["truth"]
    assert at(values.permanence.kept["world"].both) == [1.0] * 3
    assert at(values.motion.spatial_iou["world"]) == at(values.motion.spatiotemporal_iou["world"]) == [1.0] * 3
    assert at(values.kinetic["world"]) == pytest.approx([1.0] * 3)
    assert values.place_error["world"] == values.place_error["truth"]
    assert max(at(values.place_error["truth"].median)) < 1.5, "engine and reader agree"
    assert min(at(values.motion.spatial_iou["simulator"])) > 0.8, "a perturbation of 0.1 % does not show at once"
    assert min(at(values.permanence.read_in_truth)) > 0.8
    assert at(values.permanence.kept["reencoded"].both) == [1.0] * 3, "its latents are the pixels"
    assert at(values.permanence.kept["others"].both)[0] > 0.8
    others = values.motion.spatiotemporal_iou["others"]
    assert others[12].value < values.motion.spatiotemporal_iou["simulator"][12].value, "other pushes, other motion"


def test_a_still_picture_keeps_things_and_loses_motion(horizon_values):
    values = horizon_values["still"]
    assert min(at(values.permanence.kept["world"].both)) > 0.8
    assert at(values.motion.spatial_iou["world"]) == [0.0] * 3 == at(values.kinetic["world"])
    for key in ("place_error", "kinetic"):
        assert getattr(values, key)["world"] == getattr(values, key)["copy_last"], key


def test_what_is_stolen_is_missed(horizon_values):
    values = horizon_values["thief"]
    assert at(values.permanence.kept["world"].red) == [0.0] * 3
    assert min(at(values.permanence.kept["world"].yellow)) > 0.9
    assert at(values.alarm.rollouts["lost"]) == [1.0] * 3


def test_the_page_tells_it_and_the_alarm_is_kept_beside_the_world(horizon_values, folder):
    first, section = horizon_values["truth"], page(horizon_values["truth"])
    assert first.alarm.rate == 0.005 and first.alarm.faults["noise"].value == 1.0
    assert to_json(first.timing)["alarm_kept"] and DriftAlarm.load(folder).rate == 0.005
    assert not horizon_values["thief"].timing.alarm.alarm_kept, "a world without a folder cannot keep it"
    words = " ".join(block.title for block in section.blocks if hasattr(block, "title"))
    for title in ("Object permanence", "Where motion happens", "False alarms", "Film strips"):
        assert title in words
    assert len(section.headlines) == 2


def test_an_episode_is_the_same_again_and_ends_elsewhere_when_perturbed():
    play = draw_play("collide", [3], [0, 2, 3, 20], [3, 20])
    film, again, other = (film_play(p, 64) for p in (play, play, play.perturbed(2, 20)))
    assert np.array_equal(film.frames, again.frames) and np.array_equal(film.energy, again.energy)
    assert film.seen.shape == (2, 2, 3) and other.seen.shape == (0, 2, 3)
    assert np.array_equal(film.frames[:2], other.frames[:2]) and not np.array_equal(film.frames[3], other.frames[3])


def test_under_other_pushes_it_is_the_same_until_they_begin():
    play = draw_play("collide", [3], [0, 2, 3, 20, 30], [3, 20])
    other = play.under_other_pushes(2, 20)
    assert (
        np.array_equal(other.actions[:2], play.actions[:2])
        and len(other.actions) == 20
        and other.looked == (0, 2, 3, 20)
    )
    assert not np.array_equal(other.actions[2:], play.actions[2:20]) and np.array_equal(
        other.actions, play.under_other_pushes(2, 20).actions
    )
    film, again = film_play(play, 64), film_play(other, 64)
    assert np.array_equal(film.frames[:2], again.frames[:2]) and not np.array_equal(film.frames[3], again.frames[3])


def test_the_hand_pushes_and_rests():
    actions = pushes(np.random.default_rng(0), 20000)
    strength = np.linalg.norm(actions, axis=1)
    assert 0.6 < (strength > 0).mean() < 0.7 and strength.max() <= 1 and strength[strength > 0].min() >= 0.3 - 1e-6
    assert 3 < len(actions) / (1 + (np.diff(actions, axis=0) != 0).any(1).sum()) < 6
