"""A move of the view explains the next picture; a jump is explained by none."""

import numpy as np

from worldling.judge.measures.view_motion import Moves, unexplained


def test_a_move_within_the_limits_is_explained_and_no_other():
    rng = np.random.default_rng(0)
    ground = np.kron(rng.uniform(0, 200, (14, 16)), np.ones((4, 4))).astype(np.float32)
    moves = Moves((1.0, 1.0), (16.0, 24.0), (0.0, 3.0), (-1.0, 1.0), (-0.2, 0.2))
    view, ahead, far = ground[20:48, 16:48], ground[18:46, 16:48], ground[8:36, 16:48]
    steps = unexplained(np.stack([np.stack([view, after]) for after in (view, ahead, far)]), moves)[:, 0]
    assert steps[0] < 1 and steps[1] < 5 and steps[2] > 20
    blank = np.full((1, 2, 28, 32), np.nan)
    assert np.isnan(unexplained(blank, moves)).all()
