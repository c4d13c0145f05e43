import numpy as np

from worldling.judge.measures.permanence import find, is_there, sensible_area

RED, YELLOW = (216, 18, 18), (247, 212, 13)


def frame(*patches):
    """A grey floor with patches (colour, top, left, height, width)."""
    frame = np.full((64, 64, 3), 140, np.uint8)
    for colour, top, left, height, width in patches:
        frame[top : top + height, left : left + width] = colour
    return frame


def test_a_thing_is_there_whole_and_of_sensible_size_or_not():
    yellow = (YELLOW, 40, 40, 8, 8)
    truth = find(np.stack([frame((RED, 10, 10, 8, 8), yellow)] * 3)[None])
    sensible = sensible_area(truth)
    assert np.allclose(sensible * 4096, np.array([0.4, 2.5])[:, None, None] * 64) and is_there(truth, sensible).all()
    dreams = {
        "moved": ([(RED, 50, 2, 8, 8)], True),
        "gone": ([], False),
        "a speck": ([(RED, 10, 10, 2, 2)], False),
        "grown": ([(RED, 10, 10, 16, 16)], False),
        "in two": ([(RED, 10, 10, 8, 4), (RED, 10, 20, 8, 4)], False),
        "a little smaller": ([(RED, 10, 10, 6, 6)], True),
    }
    for name, (patches, there) in dreams.items():
        found = find(frame(*patches, yellow)[None, None])
        assert is_there(found, sensible).tolist() == [[[there, True]]], name


def test_a_thing_that_changes_its_size_in_truth_may_change_it():
    truth = find(np.stack([frame((RED, 4, 4, side, side)) for side in (20, 20, 8, 8)])[None])
    small, large = (find(frame((RED, 4, 4, side, side))[None, None]) for side in (4, 28))
    assert is_there(truth, sensible_area(truth))[..., 0].all()
    assert not is_there(small, sensible_area(truth))[..., 0] and is_there(large, sensible_area(truth))[..., 0]


def test_a_thing_never_seen_has_no_usual_size_and_is_never_there():
    truth = find(frame((RED, 10, 10, 8, 8))[None, None])
    sensible = sensible_area(truth)
    assert np.isfinite(sensible[:, 0, 0]).all() and np.isnan(sensible[:, 0, 1]).all()
    assert is_there(find(frame((YELLOW, 10, 10, 8, 8))[None, None]), sensible).tolist() == [[[False, False]]]
