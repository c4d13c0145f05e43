"""Our own world keeps the contract that anybody's must; so does an honest stand-in, and no broken one does."""

from dataclasses import replace

import numpy as np
import pytest

from worldling import ForeignWorld
from worldling.errors import ConfigError, ShapeError
from worldling.testing import WorldContract
from worldling.types import ActionSpace

LAWS = [name for name in vars(WorldContract) if name.startswith("test_")]


class TestTinyWorld(WorldContract):
    @pytest.fixture(autouse=True)
    def given(self, tiny_world):
        self.world = tiny_world

    def make_world(self):
        return self.world


class TestTinyWorldOfChance(WorldContract):
    @pytest.fixture(autouse=True)
    def given(self, make_world):
        self.world = make_world(2)

    def make_world(self):
        return self.world


class Glow(ForeignWorld):
    """A picture that gets brighter as the action says, by a random amount of each row's own."""

    space = ActionSpace("discrete", (3,))

    def __init__(self):
        super().__init__(8, self.space, context=2)

    def watch(self, frames, actions, seeds):
        return frames[:, -1].astype(int), seeds

    def predict(self, state, actions):
        light, seeds = state
        drawn = np.array([np.random.default_rng(seed).integers(20) for seed in seeds])
        light = (light + (actions.reshape(len(actions), -1).sum(1).astype(int) + drawn)[:, None, None, None]) % 256
        return light.astype(np.uint8), (light, seeds + 1)


class Mute(Glow):
    def surprise(self, frames, actions):
        return None


class Boxed(Glow):
    space = ActionSpace("box", low=(-1.0, 0.0), high=(1.0, 9.0))


class Switched(Glow):
    space = ActionSpace("multi_binary", (2, 2))


class Unsteered(Glow):
    space = ActionSpace("none")


@pytest.mark.parametrize("honest", [Glow, Mute, Boxed, Switched, Unsteered])
@pytest.mark.parametrize("law", LAWS)
def test_honest_worlds_pass(law, honest):
    getattr(contract_of(honest), law)()


class NotAWorld(Glow):
    decode = property()  # as if it had never been written


class Flat(Glow):
    def decode(self, latents):
        return super().decode(latents)[..., 0]


class Skipping(Glow):
    def rollout(self, state, actions, decode=True):
        return super().rollout(state, actions[:, ::-1], decode)


class ReusesItsFrame(Glow):
    """Gives the same array each time and writes the next frame into it."""

    shown = np.zeros((3, 8, 8, 3), np.uint8)

    def step(self, state, action, decode=True):
        step = super().step(state, action)
        self.shown[:] = step.frame
        return replace(step, frame=self.shown)

    def rollout(self, state, actions, decode=True):
        return np.stack([self.step(state, actions[:, t]).frame for t in range(actions.shape[1])], 1)


class ShowsAnother(Glow):
    def decode(self, latents):
        return 255 - super().decode(latents)


class SharesItsBatch(Glow):
    def predict(self, state, actions):
        frames, state = super().predict(state, actions)
        return frames - frames.mean(axis=0).astype(np.uint8), state


class SharesItsSeeds(Glow):
    def watch(self, frames, actions, seeds):
        return super().watch(frames, actions, np.full_like(seeds, seeds.sum()))


class Unseeded(Glow):
    rng = np.random.default_rng(0)

    def watch(self, frames, actions, seeds):
        return super().watch(frames, actions, self.rng.integers(2**31, size=len(seeds)))


class Scribbles(Glow):
    def watch(self, frames, actions, seeds):
        frames[:, 0] = 0
        return super().watch(frames, actions, seeds)


class RefusesItsContext(Glow):
    def watch(self, frames, actions, seeds):
        if frames.shape[1] < 3:
            raise ShapeError("`frames` must be at least 3, got fewer. Give more.")
        return super().watch(frames, actions, seeds)


class TakesAnyAction(Glow):
    def step(self, state, action, decode=True):
        return super().step(state, np.resize(action, state.batch) % 3, decode)


class MovesBeforeItRefuses(Glow):
    def step(self, state, action, decode=True):
        state.held = (state.held[0] + 1, state.held[1])
        return super().step(state, action, decode)


class OneMemory(Glow):
    """Remembers in itself what belongs in the state."""

    def watch(self, frames, actions, seeds):
        self.memory = super().watch(frames, actions, seeds)

    def predict(self, state, actions):
        frames, self.memory = super().predict(self.memory, actions)
        return frames, None


class WritesInItsState(Glow):
    """Changes in place what it remembers, which its forks remember too."""

    def predict(self, state, actions):
        frames, (light, seeds) = super().predict(state, actions)
        state[0][:] = light
        return frames, (state[0], seeds)


class ForksOtherRows(Glow):
    """Repeats all rows one after the other instead of each in place."""

    def repeat(self, held, n):
        return tuple(np.concatenate([part] * n) for part in held)


class OneSurprise(Glow):
    def surprise(self, frames, actions):
        return super().surprise(frames, actions).mean(axis=0)


BROKEN = {
    "test_it_has_what_is_asked_of_a_world": [NotAWorld],
    "test_frames_and_latents_have_the_promised_shapes": [Flat],
    "test_rollout_equals_steps": [Skipping, ReusesItsFrame],
    "test_latents_decode_to_the_frames_shown": [ShowsAnother],
    "test_batch_equals_alone": [SharesItsBatch, SharesItsSeeds],
    "test_same_seed_same_frames": [Unseeded],
    "test_inputs_are_left_as_they_are": [Scribbles],
    "test_any_length_of_context_is_taken_or_refused": [RefusesItsContext],
    "test_wrong_actions_are_told": [TakesAnyAction, MovesBeforeItRefuses],
    "test_states_do_not_disturb_each_other": [OneMemory],
    "test_fork_equals_original": [WritesInItsState, ForksOtherRows],
    "test_surprise_has_one_figure_for_each_next_frame": [OneSurprise],
}


def contract_of(world):
    contract = WorldContract()
    contract.make_world = world
    return contract


@pytest.mark.parametrize("law", LAWS)
def test_every_law_can_be_broken(law):
    for broken in BROKEN[law]:
        with pytest.raises((AssertionError, ConfigError), match=r"must|give|context"):
            getattr(contract_of(broken), law)()
