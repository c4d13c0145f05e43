"""A data set as training sees it: frames for the tokenizer, cached latents and clips of them for the dynamics."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from worldling.config import new_file, to_dict
from worldling.data.dataset import Dataset
from worldling.data.fingerprint import files_fingerprint
from worldling.dynamics.loss import CHANGES
from worldling.errors import DatasetError
from worldling.nn.lattice import from_levels, to_levels
from worldling.progress import Progress
from worldling.tokenizer.model import Tokenizer
from worldling.train.mirror import Mirror
from worldling.types import frames_to_float

_LATENTS = "latents-*.npy"  # the star: of which tokenizer, data and reflections


def split(dataset: Dataset, clip_frames: int) -> tuple[list[int], list[int]]:
    """Return the numbers of training and validation episodes: about 3 %, at least one, spread evenly.

    A data set of one episode is used for both. Raises `DatasetError` if nothing is long enough.
    """
    usable = [i for i, length in enumerate(dataset.lengths) if length > clip_frames + 1]
    if not usable:
        raise DatasetError(
            f"`{dataset.path}` must hold an episode of more than {clip_frames + 1} frames, got at most "
            f"{max(dataset.lengths)}. Record longer episodes."
        )
    every = max(2, min(33, len(usable)))
    held = usable[every // 2 :: every]
    rest = [i for i in usable if i not in set(held)] or held
    return rest, held


@dataclass
class FramePool:
    """What the tokenizer learns from: `pairs` of consecutive frames uint8 `[P, 2, H, W, 3]`; `means` uint8 `[E, H, W, 3]`,
    the mean picture of each episode; `episode` int64 `[P]`, which of them a pair is from."""

    pairs: Tensor
    means: Tensor
    episode: Tensor

    def mean_frame(self) -> np.ndarray:
        """Return the mean picture of all pairs, uint8 `[H, W, 3]`."""
        share = torch.bincount(self.episode, minlength=len(self.means)) / len(self.episode)
        total = sum(
            part.double().mul(s[:, None, None, None]).sum(0) for part, s in zip(self.means.split(512), share.split(512))
        )
        return total.round().to(torch.uint8).numpy()


def frame_pool(dataset: Dataset, episodes: list[int], limit: int, quiet: bool = False) -> FramePool:
    """Read up to `limit` frames (3 GB at most), spread evenly."""
    size = dataset.meta.size_px
    limit = min(limit, int(3e9) // (size * size * 3))
    total = sum(dataset.lengths[i] for i in episodes)
    stride = 2 * max(1, -(-total // limit))
    parts, means, episode = [], [], []
    with Progress("reading frames", total, "frames", quiet) as progress:
        done = 0
        for number, i in enumerate(episodes):
            frames, first = dataset.frames(i), np.arange(0, dataset.lengths[i] - 1, stride)
            parts.append(torch.from_numpy(np.stack([frames[first], frames[first + 1]], 1)))
            means.append(mean_picture(frames))
            episode += [number] * len(first)
            done += dataset.lengths[i]
            progress.update(done)
    return FramePool(torch.cat(parts), torch.stack(means), torch.tensor(episode))


def mean_picture(frames: np.ndarray) -> Tensor:
    """Return the mean uint8 `[H, W, 3]` of frames `[T, H, W, 3]`; of up to 64 of them, spread evenly."""
    return torch.from_numpy(frames[:: max(1, len(frames) // 64)].mean(0).round().astype(np.uint8))


@dataclass
class Clips:
    """Latents of many episodes, end to end, and random clips of them.

    levels: uint8 `[F, N, C]`; action: float32 `[F, A]`, row t leads to frame t + 1; offsets: first row of
    each episode, and the end; num_levels: L.
    """

    levels: Tensor
    action: Tensor
    offsets: list[int]
    num_levels: int
    _worth: Tensor | None = None
    _chance: tuple[int, Tensor] | None = None

    @property
    def worth(self) -> Tensor:
        """How much there is to learn from predicting the frame after each row: float32 `[F]`; at first, how many cells change."""
        if self._worth is None:
            self._worth = torch.cat([self.changed().float(), torch.zeros(1)])
        return self._worth

    @worth.setter
    def worth(self, worth: Tensor) -> None:
        self._worth, self._chance = worth, None

    def sample(self, clips: int, length: int, sinks: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Draw clips of `length` frames and the frame that follows each; see `at` for what is returned.

        Clips of more `worth` are drawn more often. Half of the clips that start late enough
        begin with `sinks` frames from earlier in the episode, as the ring memory will have them.
        """
        first = torch.multinomial(self._chances(length), clips, replacement=True, generator=generator)
        begin = torch.tensor(self.offsets)[torch.searchsorted(torch.tensor(self.offsets), first, right=True) - 1]
        row = first[:, None] + torch.arange(length)
        for clip, (a, b) in enumerate(zip(begin.tolist(), first.tolist())):
            if b - a > sinks and torch.rand((), generator=generator) < 0.5:
                row[clip, :sinks] = (
                    a + int(torch.randint(b - a - sinks + 1, (1,), generator=generator)) + torch.arange(sinks)
                )
        return self.at(row)

    def _chances(self, length: int) -> Tensor:
        """Return the chance of a clip of `length` frames to start at each row `[F]`; made once per length and worth."""
        if self._chance is None or self._chance[0] != length:
            total = torch.cat([torch.zeros(1).double(), self.worth.double().cumsum(0)])
            start = torch.arange(len(self.levels))
            within = self.follows(start, length)
            busy = total[(start + length).clamp(max=len(start))] - total[start]
            floor = busy[within].mean().clamp(min=1e-6) / 4
            self._chance = (length, torch.where(within, busy + floor, 0.0))
        return self._chance[1]

    def changed(self) -> Tensor:
        """Return how many cells change from each row to the next: int64 `[F - 1]`."""
        pieces = [self.levels[i : i + 8193] for i in range(0, len(self.levels) - 1, 8192)]  # of bounded size
        least = max(1, math.ceil(CHANGES * (self.num_levels - 1) / 2))
        return torch.cat(
            [((piece[1:].short() - piece[:-1].short()).abs().amax(-1) >= least).sum(1) for piece in pieces]
        )

    def at(self, row: Tensor) -> dict[str, Tensor]:
        """Return the clips at rows `[B, T]`: latent, previous `[B, T, N, C]`, action `[B, T, A]`, target (level
        numbers of the frames that follow) `[B, T, N, C]`, position (frames since the first) and row `[B, T]`."""
        position = row - row[:, :1]
        return {
            "latent": from_levels(self.levels[row], self.num_levels),
            "previous": from_levels(self.levels[torch.where(position > 0, row - 1, row)], self.num_levels),
            "action": self.action[row],
            "target": self.levels[row + 1].long(),
            "position": position,
            "row": row,
        }

    def follows(self, row: Tensor, length: int) -> Tensor:
        """Whether `length` frames from each row `[B]` on, and one more, lie in the row's own episode."""
        end = torch.tensor(self.offsets[1:])[torch.searchsorted(torch.tensor(self.offsets), row, right=True) - 1]
        return row + length < end


def busiest(weight: Tensor, count: int) -> Tensor:
    """Return the `count` cells of each clip with the largest sums of `weight` `[B, T, N]`: int64 `[B, count]`, ascending."""
    return weight.sum(1).topk(count).indices.sort(1).values


def encode_episodes(
    tokenizer: Tokenizer,
    dataset: Dataset,
    episodes: list[int],
    reflections: list[Mirror],
    device: torch.device,
    autocast: torch.autocast,
    folder: Path,
    quiet: bool = False,
) -> Clips:
    """Encode whole episodes once in each of the reflections, so that the dynamics never touch pixels.

    Latents lie in a file in `folder`, mapped into memory, so that a run that goes on after an interruption finds them
    again; `forget_latents` deletes it. Raises `DiskFullError`.
    """
    shape, space, actions, offsets = tokenizer.config, dataset.meta.action_space, [], [0]
    for i, reflection in itertools.product(episodes, reflections):
        vectors = reflection.actions(space.encode(dataset.actions(i)))
        actions.append(torch.from_numpy(np.concatenate([vectors, np.zeros_like(vectors[:1])])))
        offsets.append(offsets[-1] + dataset.lengths[i])
    made_of = hashlib.sha256(str([identity(dataset), episodes, reflections]).encode())
    for tensor in tokenizer.state_dict().values():
        made_of.update(tensor.cpu().numpy().tobytes())
    file = folder / _LATENTS.replace("*", made_of.hexdigest()[:16])
    if not file.exists():
        for cut_off in folder.glob(f".{_LATENTS}*"):  # by a kill
            cut_off.unlink()
        with new_file(file) as open_file, Progress("encoding", offsets[-1], "frames", quiet) as progress:
            header = {"descr": "|u1", "fortran_order": False, "shape": (offsets[-1], shape.grid**2, shape.channels)}
            np.lib.format.write_array_header_1_0(open_file, header)
            done = 0
            for levels in _encoded(tokenizer, dataset, episodes, reflections, device, autocast):
                open_file.write(levels.tobytes())
                done += len(levels)
                progress.update(done)
    levels = torch.from_numpy(np.load(file, mmap_mode="c"))
    return Clips(levels, torch.cat(actions), offsets, shape.levels)


def identity(dataset: Dataset) -> dict[str, Any]:
    """Tell a recording from others by what it was made from and the sizes of its files: json values."""
    return {**to_dict(dataset.meta), "files": files_fingerprint(dataset.path, dataset.shards)}


def forget_latents(folder: Path) -> None:
    """Delete the latents that `encode_episodes` kept in `folder`."""
    for file in folder.glob(_LATENTS):
        file.unlink()


@torch.inference_mode()
def _encoded(
    tokenizer: Tokenizer,
    dataset: Dataset,
    episodes: list[int],
    reflections: list[Mirror],
    device: torch.device,
    autocast: torch.autocast,
) -> Iterator[np.ndarray]:
    """Yield the levels of all episodes, each in all reflections, in pieces: uint8 `[n, N, C]`."""
    for i in episodes:
        frames = torch.from_numpy(dataset.frames(i))
        for reflection in reflections:
            for chunk in frames.split(128):
                with autocast:
                    latent = tokenizer.encode(frames_to_float(reflection.frames(chunk.to(device))))
                yield to_levels(latent, tokenizer.config.levels).to(torch.uint8).cpu().numpy()
