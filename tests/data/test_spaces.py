"""Action spaces of every type and shape: what is recorded is what the environment got."""

import numpy as np
import pytest
from odd_environments import REFUSED, SPACES

from worldling.config import from_dict, to_dict
from worldling.data.environment import open_environment
from worldling.data.record import record
from worldling.data.store import open_dataset
from worldling.errors import ActionError
from worldling.types import ActionSpace

ODD = "odd_environments:worldling_odd/Odd-v0"


@pytest.mark.parametrize("space", SPACES)
def test_the_environment_gets_what_is_recorded(space):
    native, kind = SPACES[space]
    env = open_environment(ODD, 16, env_kwargs={"space": space})
    described = env.action_space
    assert described.kind == kind and from_dict(ActionSpace, to_dict(described)) == described
    env.reset(0)
    rng = np.random.default_rng(0)
    start = {"joystick": -1, "starts": np.array([5, -1]), "negative": -1}.get(space, 0)
    for _ in range(15):
        action = described.check(described.sample(rng), lead=())
        env.step(action)  # which asserts that its own space contains it
        got = env.raw.unwrapped.taken[-1]
        assert got.shape == native.shape
        tolerance = 1e-3 if space == "half" else 1e-6
        assert np.allclose(np.ravel(got), np.ravel(action + start), atol=tolerance)
        assert described.encode(action).shape == (described.size,)
        assert (np.abs(described.encode(action)) <= 1 + 1e-5).all()


@pytest.mark.parametrize("space", ["buttons", "joystick", "bytes", "wide"])
def test_whole_numbers_are_drawn_with_both_bounds(space):
    native, _ = SPACES[space]
    described = ActionSpace.from_gymnasium(native)
    rng = np.random.default_rng(0)
    drawn = np.stack([described.sample(rng) for _ in range(4000)])
    assert (drawn == np.round(drawn)).all()
    low = native.low if described.kind != "box" else 0
    assert (drawn.min(0) + low * (described.kind != "box") == native.low).all()
    assert (drawn.max(0) + low * (described.kind != "box") == native.high).all()
    counts = np.unique(drawn[:, 0], return_counts=True)[1]
    assert counts.min() > counts.mean() / 4, "the bounds are as likely as what lies between"


def test_a_box_of_whole_numbers_rounds_what_a_policy_gives(tmp_path):
    def policy(env, seed):
        return lambda frame, info: np.array([3.6, 0.2])

    got = record(ODD, tmp_path / "d", 30, policy, 16, env_kwargs={"space": "wide"}, quiet=True)
    assert got["frames"] == 30
    assert (open_dataset(tmp_path / "d")[0].actions == [4, 0]).all()


@pytest.mark.parametrize("space", REFUSED)
def test_spaces_without_bounds_are_refused_in_one_line(space):
    with pytest.raises(ActionError, match="bounded Box") as caught:
        open_environment(ODD, env_kwargs={"space": space})
    box = space.startswith(("largest", "half"))
    assert "\n" not in str(caught.value) and ("really uses" if box else "one of these") in str(caught.value)


def test_files_of_spaces_without_whole_numbers_stay_as_they_were():
    assert set(to_dict(ActionSpace("box", low=(0,), high=(1,)))) == {"kind", "nvec", "low", "high", "names"}
    assert to_dict(ActionSpace("box", low=(0,), high=(9,), whole=True))["whole"] is True
