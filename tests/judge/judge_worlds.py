"""Stand-in worlds (they hold the last frame, look the answer up, or break) and data to judge them on."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import torch

from worldling.config import to_dict
from worldling.data.store import DatasetMeta, DatasetWriter, open_dataset
from worldling.types import ActionSpace, Episode, Step, float_to_frames, frames_to_float

SIZE = 16


def square_episode(rng, number, length):
    """A blue square on a grey board, steered by four actions."""
    x, y = rng.integers(2, SIZE - 4, size=2)
    actions = rng.integers(0, 4, size=length - 1)
    frames = np.full((length, SIZE, SIZE, 3), 90, np.uint8)
    for t in range(length):
        frames[t, y : y + 3, x : x + 3] = (40, 80, 220)
        frames[t, 0, 0] = (
            number,
            t // 256,
            t % 256,
        )  # no two frames are equal, so that they can be looked up
        if t < length - 1:
            dx, dy = ((1, 0), (-1, 0), (0, 1), (0, -1))[actions[t]]
            x, y = np.clip(x + dx, 1, SIZE - 4), np.clip(y + dy, 1, SIZE - 4)
    zeros = np.zeros(length - 1)
    return Episode(frames, actions, zeros.astype(np.float32), zeros.astype(bool), zeros.astype(bool))


def write_squares(path, size_px=SIZE, **meta):
    rng = np.random.default_rng(0)
    described = DatasetMeta("Squares-v0", size_px, ActionSpace("discrete", (4,)), policy="random", **meta)
    with DatasetWriter(path, described) as writer:
        for number in range(6):
            writer.write(square_episode(rng, number, 60))
    return open_dataset(path)


class CopyWorld:
    """Dreams that nothing ever happens: the last given frame, for ever. Latents are the pixels."""

    backend_name = "stand-in"
    path = None

    def __init__(self, dataset, context=3, **source):
        self.size_px, self.action_space = dataset.meta.size_px, dataset.meta.action_space
        self.config = SimpleNamespace(context=context)
        self.card = {"name": "stand-in", "source": {**to_dict(dataset.meta), "seed": -1, **source}}

    def start(self, frames, actions, seed=0):
        assert actions.shape[:2] == (len(frames), frames.shape[1] - 1), "actions lie between frames"
        return Held(frames[:, -1], None)

    def step(self, state, action, decode=True):
        frames = self.paint(state, action)
        state.index += 1
        return Step(frames if decode else None, self.encode(frames), state.index)

    def paint(self, state, action):
        return state.frames

    def rollout(self, state, actions, decode=True):
        return np.stack([self.step(state, actions[:, t]).frame for t in range(actions.shape[1])], axis=1)

    def encode(self, frames):
        floats = frames_to_float(torch.from_numpy(np.ascontiguousarray(frames)))
        return floats.movedim(-3, -1).flatten(-3, -2)

    def decode(self, latents):
        images = latents.unflatten(-2, (self.size_px, self.size_px)).movedim(-1, -3)
        return float_to_frames(images).numpy()


class Held:
    """What a stand-in remembers."""

    def __init__(self, frames, found, index=0):
        self.frames, self.found, self.index, self.batch = frames, found, index, len(frames)

    def fork(self):
        return Held(self.frames, self.found, self.index)


class PerfectWorld(CopyWorld):
    """Looks up what really came next; under an action that was not taken it shows a black frame."""

    def __init__(self, dataset, context=3, **source):
        super().__init__(dataset, context, **source)
        self.episodes = list(dataset)
        self.where = {
            episode.frames[t].tobytes(): (i, t)
            for i, episode in enumerate(self.episodes)
            for t in range(len(episode))
        }

    def start(self, frames, actions, seed=0):
        return Held(frames[:, -1], [self.where[frame.tobytes()] for frame in frames[:, -1]])

    def paint(self, state, action):
        frames = []
        for (i, t), taken in zip(state.found, action):
            episode, at = self.episodes[i], min(t + state.index, len(self.episodes[i].actions) - 1)
            right = np.array_equal(episode.actions[at], taken)
            frames.append(episode.frames[at + 1] if right else np.zeros_like(episode.frames[0]))
        return np.stack(frames)


class NoisyWorld(CopyWorld):
    """Dreams that drown in noise after 20 frames, and are not numbers after 40."""

    def step(self, state, action, decode=True):
        step = super().step(state, action, decode)
        if state.index > 20:
            noise = np.random.default_rng(state.index).normal(size=step.latent.shape)
            step.latent = step.latent + torch.from_numpy(noise).float()
        if state.index > 40:
            step.latent = step.latent * float("nan")
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
