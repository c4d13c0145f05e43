"""Push-T at another control rate: the same physics, cut into other frames."""

import gymnasium
import numpy as np
import pytest

import worldling.scenes  # noqa: F401  (registers it)
from worldling.errors import EnvError


def make(rate):
    env = gymnasium.make("worldling/PushT-v0", control_hz=rate).unwrapped
    env.reset(seed=7)
    return env


def test_the_same_seconds_end_in_the_same_state_at_every_rate():
    slow, fast = make(10), make(50)
    for target in ([100.0, 300.0], [400.0, 120.0], [256.0, 256.0]):
        for env, steps in ((slow, 10), (fast, 50)):
            for _ in range(steps):
                observation, *_ = env.step(np.array(target))
            env.last = observation
        assert np.allclose(slow.last, fast.last)


def test_frames_a_second_are_the_control_rate():
    assert make(25).metadata["render_fps"] == 25 and make(10).metadata["render_fps"] == 10


@pytest.mark.parametrize("rate", [0, 30, 12.5, -10])
def test_a_rate_the_physics_cannot_keep_is_told(rate):
    with pytest.raises(EnvError, match="`control_hz` must be 10, 20, 25, 50 or 100"):
        make(rate)
