"""Environments of the old Gym interface: opened, seeded, recorded and repeated like all others."""

from collections import namedtuple

import numpy as np
import pytest

from worldling.data.environment import open_environment
from worldling.data.old_gym import OldGym, is_old
from worldling.data.record import record
from worldling.data.store import open_dataset
from worldling.errors import EnvError

Choices = namedtuple("Choices", "n")  # what Crafter has where the old gym is not installed


class Seeded:
    """`reset()` takes nothing, `step` returns four values, and the seed is an argument of the maker."""

    action_space = Choices(3)
    action_names = ("noop", "left", "right")
    metadata = None

    def __init__(self, seed=None, size=16):
        self.chance, self.size, self.count = np.random.default_rng(seed), size, 0

    def reset(self):
        self.count, self.place = 0, int(self.chance.integers(0, 100))
        return self.render()

    def step(self, action):
        self.count += 1
        self.place += int(action)
        return self.render(), 1.0, self.count == 6, {"TimeLimit.truncated": self.count == 6 and self.place % 2 == 0}

    def render(self):
        drawn = np.zeros((self.size, self.size, 3), np.uint8)
        drawn[:4] = self.place % 256
        return drawn


class Reseeded(Seeded):
    """The seed goes to a method, and `render` takes a mode."""

    metadata = {"render.modes": ["human", "rgb_array"], "video.frames_per_second": 12}  # noqa: RUF012

    def __init__(self):
        super().__init__()

    def seed(self, seed=None):
        self.chance = np.random.default_rng(seed)

    def reset(self):
        super().reset()
        return np.zeros(2)

    def step(self, action):
        return np.zeros(2), *super().step(action)[1:]

    def render(self, mode="human"):
        return super().render() if mode == "rgb_array" else None


class Unseeded(Seeded):
    """Nothing takes its seed."""

    def __init__(self):
        super().__init__()


class Newer:
    """It has Gymnasium's interface, and is none of its environments."""

    action_space = Choices(2)

    def reset(self, seed=None, options=None):
        return np.zeros((16, 16, 3), np.uint8), {}

    def step(self, action):
        return np.zeros((16, 16, 3), np.uint8), 0.0, False, False, {}


def opened(kind, **keywords):
    return open_environment(f"test_old_gym:{kind.__name__}", 16, env_kwargs=keywords)


@pytest.mark.parametrize("kind", [Seeded, Reseeded])
def test_a_seed_means_an_episode(kind):
    env, again = opened(kind), opened(kind)
    assert isinstance(env.raw.unwrapped, OldGym)
    frames = [env.reset(seed) for seed in (1, 2, 1)]
    assert np.array_equal(frames[0], frames[2]) and (frames[0] != frames[1]).any()
    assert np.array_equal(again.reset(1), frames[0]) and np.array_equal(again.step(2).frame, env.step(2).frame)


def test_one_that_takes_no_seed_says_so_once(capsys):
    env = opened(Unseeded)
    for seed in range(3):
        env.reset(seed)
    assert capsys.readouterr().err.splitlines() == ["Unseeded takes no seed: its episodes cannot be repeated"]


def test_names_rate_arguments_and_ends_are_those_of_the_environment():
    env = opened(Seeded, size=20)
    assert env.action_space.names == ("noop", "left", "right") and env.fps == 30
    env.reset(1)
    assert env.picture_px == (20, 20) and opened(Reseeded).fps == 12
    ends = set()
    for seed in range(12):
        env.reset(seed)
        last = [env.step(0) for _ in range(6)][-1]
        assert last.terminated != last.truncated
        ends.add(last.truncated)
    assert ends == {True, False}, "time that ran out is no termination"


def test_it_is_recorded_and_resumed(tmp_path):
    record("test_old_gym:Seeded", tmp_path / "whole", 60, size_px=16, quiet=True)
    for frames, resume in ((21, False), (60, True)):
        record("test_old_gym:Seeded", tmp_path / "parts", frames, size_px=16, resume=resume, quiet=True)
    whole, parts = open_dataset(tmp_path / "whole"), open_dataset(tmp_path / "parts")
    assert whole.num_frames == parts.num_frames == 60
    assert np.array_equal(whole.frames(1), parts.frames(1)) and np.array_equal(whole.actions(2), parts.actions(2))


def test_what_is_no_environment_is_told():
    assert not is_old(Newer())
    with pytest.raises(EnvError, match=r"must inherit from the gymnasium\.Env class"):
        opened(Newer)
