"""Outlines are the same wherever a thing is, and others for other shapes."""

import numpy as np

from worldling.judge.measures.permanence import find
from worldling.judge.readers.silhouettes import best_overlap, silhouettes


def test_outlines_compare_shapes_and_not_places():
    frames = np.full((3, 64, 64, 3), 140, np.uint8)
    for frame, (top, left, height, width) in zip(frames, [(10, 8, 8, 8), (45, 50, 8, 8), (20, 20, 4, 16)], strict=True):
        frame[top : top + height, left : left + width] = (216, 18, 18)
    outlines = silhouettes(frames, find(frames).place)
    red, yellow = outlines.reshape(3, 2, -1).swapaxes(0, 1)
    assert outlines.shape == (3, 2, 24, 24) and yellow.max() == 0, "yellow is not seen"
    assert best_overlap(red[1:], red[:1])[0] > 0.99 and best_overlap(red[1:], red[:1])[1] < 0.5
    assert best_overlap(red, red[:0]).tolist() == [0, 0, 0]
