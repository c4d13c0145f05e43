"""Stand-in worlds (they hold the last frame, look the answer up, or break) and data to judge them on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from worldling.config import to_dict
from worldling.data.store import DatasetMeta, DatasetWriter, open_dataset
from worldling.foreign import ForeignWorld
from worldling.types import ActionSpace, Episode

SIZE = 16
#: Pairs of each split of the exam that tests share.
SMALL_EXAM = {"test": 10, "readout": 10, "outside": 4}


def square_episode(rng, number, length):
    """A blue square on a grey board, steered by four actions."""
    x, y = rng.integers(2, SIZE - 4, size=2)
    actions = rng.integers(0, 4, size=length - 1)
    frames = np.full((length, SIZE, SIZE, 3), 90, np.uint8)
    for t in range(length):
        frames[t, y : y + 3, x : x + 3] = (40, 80, 220)
        frames[t, 0, 0] = (number, t // 256, t % 256)  # no two frames are equal, so that they can be looked up
        if t < length - 1:
            dx, dy = ((1, 0), (-1, 0), (0, 1), (0, -1))[actions[t]]
            x, y = np.clip(x + dx, 1, SIZE - 4), np.clip(y + dy, 1, SIZE - 4)
    zeros = np.zeros(length - 1)
    return Episode(frames, actions, zeros.astype(np.float32), zeros.astype(bool), zeros.astype(bool))


FOUR_WAYS = ActionSpace("discrete", (4,))


def write_squares(path, space=FOUR_WAYS):
    """Six episodes of 60 frames; with a space of kind none, nobody says how they were steered."""
    rng = np.random.default_rng(0)
    with DatasetWriter(path, DatasetMeta("Squares-v0", SIZE, space, policy="random")) as writer:
        for number in range(6):
            episode = square_episode(rng, number, 60)
            episode.actions = episode.actions if space.shape == () else np.zeros((59, *space.shape), space.dtype)
            writer.write(episode)
    return open_dataset(path)


class CopyWorld(ForeignWorld):
    """Dreams that nothing ever happens: the last given frame, for ever."""

    def __init__(self, dataset, context=3, **source):
        meta = dataset.meta
        super().__init__(meta.size_px, meta.action_space, context, "stand-in", {**to_dict(meta), "seed": -1, **source})

    def observe(self, frames, actions, seeds):
        return frames[:, -1]

    def predict(self, state, actions):
        return state, state


class PerfectWorld(CopyWorld):
    """Looks up what really came next; under an action that was not taken it shows a black frame."""

    def __init__(self, dataset, context=3, **source):
        super().__init__(dataset, context, **source)
        self.episodes = list(dataset)
        self.where = {
            episode.frames[t].tobytes(): (i, t) for i, episode in enumerate(self.episodes) for t in range(len(episode))
        }

    def observe(self, frames, actions, seeds):
        return [self.where[frame.tobytes()] for frame in frames[:, -1]]

    def predict(self, state, actions):
        frames = []
        for (i, t), taken in zip(state, actions, strict=True):
            episode, at = self.episodes[i], min(t, len(self.episodes[i].actions) - 1)
            right = np.array_equal(episode.actions[at], taken)
            frames.append(episode.frames[at + 1] if right else np.zeros_like(episode.frames[0]))
        return np.stack(frames), [(i, t + 1) for i, t in state]


class NoisyWorld(CopyWorld):
    """Dreams that drown in noise after 20 frames, and are not numbers after 40."""

    def step(self, state, action, decode=True):
        step = super().step(state, action, decode)
        if state.index > 20:
            noise = np.random.default_rng(state.index).normal(size=step.latent.shape)
            step = replace(step, latent=step.latent + torch.from_numpy(noise).float())
        if state.index > 40:
            step = replace(step, latent=step.latent * float("nan"))
        return step

    def decode(self, latents):
        return super().decode(torch.nan_to_num(latents))


class BlackWorld(CopyWorld):
    """Its latents are fine and its pictures are black."""

    def decode(self, latents):
        return np.zeros_like(super().decode(latents))


class InterruptedWorld(CopyWorld):
    """A person presses Ctrl-C while it dreams."""

    def rollout(self, state, actions, decode=True):
        raise KeyboardInterrupt
