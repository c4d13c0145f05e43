"""What the play suite says of CarRacing: all is right in real frames, and each fault is seen by the check for it."""

import numpy as np
import pytest
from judging import fails, judge_of

from worldling.data.environment import open_environment
from worldling.judge.measures import view_motion
from worldling.judge.play.car_racing import moves_of
from worldling.judge.play.things import reads_reality, things_of
from worldling.recipes.policies import carracing_driver

ID = "CarRacing-v3"
LENGTH, MOMENTS = 4, [7]
NAMES = {"car_whole", "nothing_extra", "road_whole", "on_road", "plausible"}
ROAD, GRASS = (104, 104, 104), (100, 202, 100)


@pytest.fixture(scope="module")
def real():
    """Two drives on the road from when the camera has come down, five times each: frames `[10, 8, ...]` and state."""
    pytest.importorskip("Box2D")
    env, films, states = open_environment(ID, 64, frame_skip=3), [], []
    for seed in range(2):
        frame, act = env.reset(seed), carracing_driver(env, seed)
        film, state = [], []
        for number in range(28):
            frame = env.step(act(frame, env.info)).frame
            if number >= 20:
                film.append(frame)
                state.append(env.state())
        films.append(np.stack(film))
        states.append({name: np.stack([one[name] for one in state]) for name in state[0]})
    env.close()
    rows = [0, 1] * 5
    return np.stack(films)[rows], {name: np.stack([states[row][name] for row in rows]) for name in states[0]}


@pytest.fixture(scope="module")
def judged(real):
    """A function that judges dreams, films like the real ones, beside them."""
    check = judge_of(ID, *real, MOMENTS, LENGTH)

    def coarse(*dreams, **options):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(view_motion, "GRID", (5, 3, 9))  # coarser, for speed
            return check(*dreams, **options)

    return coarse


@pytest.fixture(scope="module")
def faulty(real, judged):
    """The checks of dreams with a fault each, by its name, and of one without."""
    films, _ = real

    car = films[0, 0, 43:52, 28:36]

    def erased(dreams):
        dreams[:, :, 43:52, 29:34] = dreams[:, :, 43:52, 28:29]

    def doubled(dreams):
        dreams[:, :, 20:29, 28:36] = car

    def aside(dreams):
        erased(dreams)
        dreams[:, :, 43:52, 38:46] = car

    def road_cut(dreams):
        dreams[:, :, 20:30] = GRASS

    def narrow_road(dreams):
        dreams[:, :, :56] = GRASS
        dreams[:, :, :56, 30:35] = ROAD
        dreams[:, :, 43:52, 28:36] = car

    def no_road(dreams):
        grey = np.ptp(dreams[:, :, :56].astype(int), axis=-1, keepdims=True) < 20
        dreams[:, :, :56] = np.where(grey, GRASS, dreams[:, :, :56])

    def stain(dreams):
        dreams[:, :, 4:9, 4:9] = (60, 40, 220)

    def hole(dreams):
        dreams[:, :, 4:9, 4:9] = 0

    def elsewhere(dreams):  # from the last frame but one on, a view that is turned by a quarter
        dreams[:, 6:, :56] = np.rot90(dreams[:, 6:, :56, :56], axes=(2, 3))[..., np.arange(64) % 56, :]

    faults = [erased, doubled, aside, road_cut, no_road, narrow_road, stain, hole, elsewhere]
    dreams = films.copy()
    for row, fault in enumerate(faults):
        fault(dreams[row : row + 1])
    return judged(dreams), [fault.__name__ for fault in faults]


def test_reality_passes_all_checks(real, judged, faulty):
    assert reads_reality(ID)
    checks, _ = faulty
    assert set(checks) == NAMES
    for name, check in checks.items():
        assert not (check.dream[-1] == 0).any(), name
        assert np.nanmin(check.real) == 1 or name == "on_road", "whose ceiling is the frame before"
    assert set(judged(real[0], beside=False)) == {"car_whole", "nothing_extra"}


def test_each_fault_is_seen(faulty):
    checks, names = faulty
    found = {name: fails(checks, row) for row, name in enumerate(names)}
    assert found["erased"] == {"car_whole"}
    assert "car_whole" in found["doubled"] and "car_whole" in found["aside"]
    assert "road_whole" in found["road_cut"] and "road_whole" in found["narrow_road"]
    assert found["no_road"] >= {"road_whole", "on_road"}
    assert "nothing_extra" in found["stain"] and "nothing_extra" in found["hole"]
    assert "plausible" in found["elsewhere"]


def test_frames_of_other_sizes_are_read_alike(real):
    film = real[0][0]
    large = film.repeat(2, axis=1).repeat(2, axis=2)
    small, same = (things_of(ID, frames).reader.inspect(frames) for frames in (film, large))
    assert (
        np.allclose(small.car, same.car)
        and np.allclose(small.near, same.near)
        and (small.corners == same.corners).all()
    )


def test_ways_are_told_from_the_car():
    state = {"position": np.array([[[0.0, 0.0], [-2.0, 0.0]]]), "angle": np.full((1, 2, 1), np.pi / 2)}
    ahead, aside, turn = moves_of(state)
    assert np.allclose([ahead, aside, turn], [[[2.0]], [[0.0]], [[0.0]]]), "it heads to the left, along -x"
