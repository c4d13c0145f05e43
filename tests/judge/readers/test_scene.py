"""The colour reader agrees with the engine on the physics scenes."""

import numpy as np

from worldling.scenes.seen import read


def test_the_reader_sees_what_the_engine_sees(exam):
    for trial in exam.trials("drop", "test")[:4]:
        things = read(exam.frames(trial))
        for ours, theirs, area in (
            (things.agent, exam.state(trial, "agent_seen"), things.agent_area),
            (things.patient, exam.state(trial, "patient_seen"), things.patient_area),
        ):
            assert np.array_equal(area > 0.002, theirs[:, 2] > 0.002)
            assert np.nanmax(np.abs(ours - theirs[:, :2])) < 1.5 / 64
