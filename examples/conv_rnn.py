"""Example of a foreign model: a convolutional GRU that predicts pixels.

    python examples/conv_rnn.py data/pusht --out conv_rnn.safetensors --minutes 2
    worldling judge examples/conv_rnn.py:ConvRNN --world-arg weights=conv_rnn.safetensors --data data/pusht-test

It has no tokenizer, no attention and no quantization. Each step reads the last frame and the action, updates a
recurrent state by convolutions, and adds a correction to the last frame. It is trained on one-step predictions
(teacher forcing) with the squared error. It only shows how a model is judged.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from worldling import ActionSpace, ForeignWorld, open_dataset
from worldling.checkpoint import read_tensors, write_tensors
from worldling.config import from_dict, to_dict
from worldling.learn.optimizer import optimizer_for
from worldling.types import float_to_frames, frames_to_float

PATCH, WIDTH = 4, 32
CLIP, CONTEXT = 6, 4  # frames of a training clip, and real frames before a roll-out


class ConvGRU(nn.Module):
    """Predict the next picture `[B, 3, H, W]` from the last one and an action `[B, A]`; memory `[B, D, h, w]`."""

    def __init__(self, action_size: int) -> None:
        super().__init__()
        inputs = WIDTH + action_size + 2
        self.encoder = nn.Sequential(
            nn.Conv2d(3 * PATCH**2, WIDTH, 3, padding=1), nn.ReLU(), nn.Conv2d(WIDTH, WIDTH, 3, padding=1)
        )
        self.gates = nn.Conv2d(inputs + WIDTH, 2 * WIDTH, 3, padding=1)
        self.candidate = nn.Conv2d(inputs + WIDTH, WIDTH, 3, padding=1)
        self.decoder = nn.Sequential(
            nn.Conv2d(2 * WIDTH, WIDTH, 3, padding=1), nn.ReLU(), nn.Conv2d(WIDTH, 3 * PATCH**2, 3, padding=1)
        )
        nn.init.zeros_(self.decoder[-1].weight)  # untrained, it repeats the last frame
        nn.init.zeros_(self.decoder[-1].bias)

    def empty_memory(self, picture: Tensor) -> Tensor:
        """Return an empty memory."""
        batch, _, height, width = picture.shape
        return picture.new_zeros(batch, WIDTH, height // PATCH, width // PATCH)

    def forward(self, picture: Tensor, action: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        features, (height, width) = self.encoder(F.pixel_unshuffle(picture, PATCH)), memory.shape[2:]
        y, x = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij")
        position = torch.stack([x, y]).expand(len(picture), -1, -1, -1)
        features = torch.cat([features, action[:, :, None, None].expand(-1, -1, height, width), position], 1)
        update, reset = self.gates(torch.cat([features, memory], 1)).sigmoid().chunk(2, 1)
        fresh = self.candidate(torch.cat([features, reset * memory], 1)).tanh()
        memory = (1 - update) * memory + update * fresh
        change = self.decoder(torch.cat([memory, features[:, :WIDTH]], 1))
        return (picture + F.pixel_shuffle(change, PATCH)).clamp(-1, 1), memory


class ConvRNN(ForeignWorld):
    """The network of file `weights` as a foreign world."""

    def __init__(self, weights: str) -> None:
        tensors, meta = read_tensors(weights)
        space = from_dict(ActionSpace, meta["source"]["action_space"])
        super().__init__(meta["source"]["size_px"], space, CONTEXT, "conv-rnn", meta["source"])
        self.network = ConvGRU(space.size).eval()
        self.network.load_state_dict(tensors)

    @torch.inference_mode()
    def observe(self, frames: np.ndarray, actions: np.ndarray, seeds: np.ndarray) -> tuple[Tensor, Tensor]:
        pictures = frames_to_float(torch.from_numpy(frames))
        memory = self.network.empty_memory(pictures[:, 0])
        for t in range(actions.shape[1]):
            _, memory = self.network(pictures[:, t], self._vectors(actions[:, t]), memory)
        return pictures[:, -1], memory

    @torch.inference_mode()
    def predict(self, state: tuple[Tensor, Tensor], actions: np.ndarray) -> tuple[np.ndarray, tuple[Tensor, Tensor]]:
        picture, memory = self.network(state[0], self._vectors(actions), state[1])
        return float_to_frames(picture).numpy(), (picture, memory)

    def _vectors(self, actions: np.ndarray) -> Tensor:
        return torch.from_numpy(self.action_space.encode(actions))


def train(data: str, out: str, minutes: float, min_steps: int = 1, batch: int = 8, lr: float = 4e-3) -> float:
    """Train for `minutes`, but at least `min_steps`, write the weights to `out` and return the last loss.

    The loss is the squared error divided by that of repeating the last frame.
    """
    dataset, rng = open_dataset(data), np.random.default_rng(0)
    long_enough = [i for i, length in enumerate(dataset.lengths) if length >= CLIP]
    torch.manual_seed(0)
    network = ConvGRU(dataset.meta.action_space.size)
    optimizer = optimizer_for(network, lr, weight_decay=0.0)
    begun, steps, done = time.monotonic(), 0, 0.0
    while steps < min_steps or done < 1:
        frames, actions = [], []
        for episode in rng.choice(long_enough, batch):
            first = int(rng.integers(dataset.lengths[episode] - CLIP + 1))
            frames.append(dataset.frames(int(episode), first, first + CLIP))
            actions.append(dataset.actions(int(episode), first, first + CLIP - 1))
        pictures = frames_to_float(torch.from_numpy(np.stack(frames)))
        vectors = torch.from_numpy(dataset.meta.action_space.encode(np.stack(actions)))
        memory, error = network.empty_memory(pictures[:, 0]), torch.tensor(0.0)
        for t in range(CLIP - 1):
            made, memory = network(pictures[:, t], vectors[:, t], memory)
            error = error + F.mse_loss(made, pictures[:, t + 1])
        loss = error / (CLIP - 1) / pictures.diff(dim=1).square().mean().clamp(min=1e-6)
        optimizer.zero_grad()
        loss.backward()
        for group in optimizer.param_groups:
            group["lr"] = lr * (1 - min(done, 0.95))
        optimizer.step()
        steps, done = steps + 1, (time.monotonic() - begun) / max(60 * minutes, 1e-9)
        if steps % 50 == 1:
            print(f"step {steps}  loss {loss.item():.3f}  {done:.0%}")
    write_tensors(out, network.state_dict(), {"source": to_dict(dataset.meta)})
    return loss.item()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Train a convolutional GRU on a Worldling data set.")
    parser.add_argument("data", help="folder of a data set")
    parser.add_argument("--out", required=True, help="file of the weights, .safetensors")
    parser.add_argument("--minutes", type=float, default=2.0)
    given = parser.parse_args()
    train(given.data, given.out, given.minutes)
