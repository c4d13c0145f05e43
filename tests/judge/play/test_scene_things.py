"""What the play suite says of the physics scenes: all is right in real frames, and each fault is seen."""

import numpy as np
import pytest
from judging import fails, judge_of

from worldling.judge.play.scenes import steps_of, unseen_colours
from worldling.judge.play.things import reads_reality

ID = "worldling/Physics-v0"
LENGTH, MOMENTS = 4, [5, 9]
NAMES = {"there", "in_shape", "red_right", "red_follows", "nothing_extra", "plausible"}
FLOOR = (140, 146, 150)


@pytest.fixture(scope="module")
def real():
    """Drawn episodes with what the engine would say: red is pushed to the right, yellow rests; a blue thing."""
    n, steps = 9, 10
    films, seen = np.full((n, steps, 64, 64, 3), FLOOR, np.uint8), np.zeros((2, n, steps, 3), np.float32)
    films[:, :, 50:56, 50:56] = (33, 97, 204)
    for row in range(n):
        for t in range(steps):
            boxes = [(20 + row, 4 + 3 * t, 8, 6, (216, 18, 18)), (40, 20 + 3 * row, 7, 7, (247, 212, 13))]
            for thing, (top, left, height, width, colour) in enumerate(boxes):
                films[row, t, top : top + height, left : left + width] = colour
                seen[thing, row, t] = (left + width / 2) / 64, (top + height / 2) / 64, height * width / 64**2
    return films, {"agent_seen": seen[0], "patient_seen": seen[1]}


@pytest.fixture(scope="module")
def judged(real):
    """A function that judges dreams, films like the real ones, beside them."""
    return judge_of(ID, *real, MOMENTS, LENGTH, real[0][0])


@pytest.fixture(scope="module")
def faulty(real, judged):
    """The checks of dreams with a fault each, by its name, and of one without."""
    films, _ = real

    def is_red(dreams):
        return (dreams[..., :1] > 200) & (dreams[..., 1:2] < 50)

    def is_yellow(dreams):
        return (dreams[..., :1] > 200) & (dreams[..., 1:2] > 200)

    def erased(dreams):
        dreams[:] = np.where(is_red(dreams), FLOOR, dreams)

    def no_yellow(dreams):
        dreams[:] = np.where(is_yellow(dreams), FLOOR, dreams)

    def vanishes(dreams):
        erased(dreams[:, 9:])

    def doubled(dreams):
        dreams[:, :, 2:10, 50:56] = (216, 18, 18)

    def melted(dreams):  # as large as it was, but flat
        red = is_red(dreams)[..., 0]
        erased(dreams)
        for row, t in np.ndindex(*red.shape[:2]):
            y, x = np.argwhere(red[row, t]).min(axis=0)
            dreams[row, t, y : y + 3, x : x + 16] = (216, 18, 18)

    def still(dreams):
        dreams[:] = dreams[:, :1]

    def jumps(dreams):
        dreams[:, 8:] = np.where(is_red(dreams[:, 8:]), FLOOR, dreams[:, 8:])
        dreams[:, 8:, 2:10, 2:8] = (216, 18, 18)

    def stain(dreams):
        dreams[:, :, 2:8, 2:8] = (180, 40, 220)

    faults = [erased, no_yellow, vanishes, doubled, melted, still, jumps, stain]
    dreams = films.copy()
    for row, fault in enumerate(faults):
        fault(dreams[row : row + 1])
    return judged(dreams), [fault.__name__ for fault in faults]


def test_reality_passes_all_checks(real, judged, faulty):
    assert reads_reality(ID) and reads_reality("worldling/Collide-v0") and not reads_reality("gym_pusht/PushT-v0")
    checks, _ = faulty
    assert set(checks) == NAMES
    for name, check in checks.items():
        assert np.nanmin(check.dream[-1]) == 1 and np.nanmin(check.real) == 1, name
    assert judged(real[0], beside=False) == {}


def test_each_fault_is_seen(faulty):
    checks, names = faulty
    found = {name: fails(checks, row) for row, name in enumerate(names)}
    assert found["erased"] >= {"there", "in_shape", "red_right", "red_follows"}
    assert found["no_yellow"] == {"there", "in_shape"}
    assert found["vanishes"] >= {"there", "plausible"}
    assert found["doubled"] >= {"nothing_extra"}
    assert found["melted"] >= {"in_shape"} and "there" not in found["melted"]
    assert found["still"] == {"red_right", "red_follows"}
    assert found["jumps"] >= {"red_right", "plausible"}
    assert found["stain"] == {"nothing_extra"}


def test_unseen_colours_are_counted_in_pixels_of_64():
    frame = np.full((32, 32, 3), 100, np.uint8)
    stained = frame.copy()
    stained[:2, :3] = (200, 100, 100)
    assert unseen_colours(stained, frame[None]) == 24 and unseen_colours(frame, frame[None]) == 0


def test_what_is_not_seen_has_no_steps():
    tracks = np.zeros((1, 1, 3, 9))
    tracks[0, 0, 1:, 0], tracks[0, 0, 2, 2] = 0.5, np.nan
    steps = steps_of(tracks)[0, 0]
    assert steps[:, 0].tolist() == [0.5, 0.0] and steps[0, 1] == 0 and np.isnan(steps[1, 1])
