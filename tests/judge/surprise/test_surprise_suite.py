import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from judge_worlds import CopyWorld

from worldling.errors import JudgeError
from worldling.foreign import ForeignWorld
from worldling.frame_error import frame_error
from worldling.judge import judge
from worldling.judge.baselines import CopyLast, random_weights_copy
from worldling.judge.surprise.suite import more_surprised, surprise_of
from worldling.types import ActionSpace


class Watcher(ForeignWorld):
    """A physics world that is as surprised as pixels change, times `gain`."""

    def __init__(self, gain):
        super().__init__(64, ActionSpace("box", low=(-1, -1), high=(1, 1)), source={"env_id": "worldling/Physics-v0"})
        self.gain = gain

    def observe(self, frames, actions, seeds):
        return frames[:, -1]

    def predict(self, state, actions):
        return state, state

    def surprise(self, frames, actions):
        assert actions.shape == (len(frames), frames.shape[1] - 1, 2) and not actions.any(), "no hand moved"
        return self.gain * frame_error(frames[:, 1:], frames[:, :-1])


@pytest.fixture
def few(monkeypatch):
    """Two edits instead of five."""
    pytest.importorskip("mujoco")
    from worldling.data.simulators import prepare_process

    prepare_process()
    monkeypatch.setattr("worldling.scenes.edits.EDITS", ("vanish", "teleport"))


def found(gain, out=None):
    return judge(Watcher(gain), suites=("surprise",), trials=2, scenes=("dominoes", "support"), quiet=True, out=out)[
        "suites"
    ]["surprise"]


@pytest.mark.slow
def test_a_world_that_sees_what_jumps_is_told_from_one_that_does_not(few, tmp_path):
    seeing, blind = found(1.0, tmp_path), found(0.0)
    share = seeing["all"]["world"]["max"]["value"]
    assert seeing["n"] == 4 and seeing["measure"] == "a unit of its own" and share > 0.5
    assert seeing["all"]["copy_last"] == seeing["all"]["world"], "the stand-in for it sees the same"
    assert seeing["all"]["simulator"]["max"]["value"] == 1.0, "what was edited is not what the simulator does"
    assert "random_weights" not in seeing["all"], "there are no weights to spoil"
    assert blind["all"]["world"]["max"]["value"] == 0.5, "a tie counts half"
    assert blind["checksums"] == seeing["checksums"], "the pairs do not depend on the world"
    cells = [cell["value"] for row in seeing["cells"].values() for cell in row.values()]
    assert np.mean(cells) == pytest.approx(share) and len(cells) == 4
    page = (tmp_path / "report.html").read_text()
    assert page.count("<svg") == 2 and page.count("<img") == 2 * 16


def test_pairs_are_counted_from_the_edit_on():
    curves = np.zeros((4, 2, 6))
    curves[:, 0, 0], curves[:, 1, 5] = 9.0, [0.0, 1.0, 2.0, np.nan]
    curves[0, 1, 4] = -1.0
    curves[2, 0, 3:] = 1.0
    assert np.array_equal(more_surprised(curves, first=2, rule="max"), [0.5, 1, 1, np.nan], equal_nan=True)
    assert np.array_equal(more_surprised(curves, first=2, rule="mean"), [0, 1, 0, np.nan], equal_nan=True)


def test_worlds_that_do_not_tell_are_surprised_by_their_own_next_frame(tiny_world, tiny_clip):
    frames, actions = tiny_clip
    assert np.allclose(surprise_of(CopyLast(tiny_world), frames, actions), frame_error(frames[:, 1:], frames[:, :-1]))
    mute = copy.copy(tiny_world)
    mute.config, mute.surprise = replace(mute.config, context=2), lambda frames, actions: None
    guess = tiny_world.step(tiny_world.start(frames[:, 2:4], actions[:, 2:3]), actions[:, 3]).frame
    assert np.allclose(surprise_of(mute, frames, actions)[:, 3], frame_error(guess, frames[:, 4]))
    assert np.allclose(surprise_of(tiny_world, frames, actions), tiny_world.surprise(frames, actions))
    assert tiny_world.surprise_unit == "nats" and CopyLast(tiny_world).surprise_unit == "pixel error"
    assert CopyWorld.__new__(CopyWorld).surprise_unit == "pixel error", "what a foreign world inherits"
    assert frame_error(np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 255, np.uint8)) == pytest.approx(1.0)


def test_a_random_weights_copy_has_the_same_networks_and_knows_nothing(tiny_world, tiny_clip):
    frames, actions = tiny_clip
    before, drawn = tiny_world.surprise(frames, actions), torch.get_rng_state()
    untrained = random_weights_copy(tiny_world)
    assert torch.equal(torch.get_rng_state(), drawn), "nothing else is drawn otherwise for it"
    shapes = [{k: v.shape for k, v in w.dynamics.state_dict().items()} for w in (tiny_world, untrained)]
    assert shapes[0] == shapes[1] and untrained.config == tiny_world.config
    assert not np.allclose(untrained.surprise(frames, actions), before) and np.array_equal(
        tiny_world.surprise(frames, actions), before
    )
    assert random_weights_copy(Watcher(1.0)) is None


def test_a_world_of_something_else_is_told(tiny_world):
    with pytest.raises(JudgeError, match="surprise must be given a world of the physics scenes"):
        judge(tiny_world, suites=("surprise",), quiet=True)
