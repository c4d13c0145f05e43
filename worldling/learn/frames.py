"""Frames of a data set, for a tokenizer to learn from, and the episodes held out for validation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from worldling.data.dataset import Dataset
from worldling.errors import DatasetError
from worldling.progress import Progress


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
    held = usable[every // 2 :: every] or usable
    rest = [i for i in usable if i not in set(held)] or held
    return rest, held


@dataclass
class FramePool:
    """What the tokenizer learns from.

    pairs uint8 `[P, 2, H, W, 3]`: consecutive frames; means uint8 `[E, H, W, 3]`: the mean picture of each episode;
    episode int64 `[P]`: which of them a pair is from.
    """

    pairs: Tensor
    means: Tensor
    episode: Tensor

    @property
    def device(self) -> torch.device:
        """Where the frames lie."""
        return self.pairs.device

    def to(self, device: torch.device) -> FramePool:
        """Return the same frames on `device`."""
        return FramePool(self.pairs.to(device), self.means.to(device), self.episode.to(device))

    def mean_frame(self) -> np.ndarray:
        """Return the mean picture of all pairs, uint8 `[H, W, 3]`."""
        share = torch.bincount(self.episode, minlength=len(self.means)) / len(self.episode)
        parts = zip(self.means.split(512), share.split(512), strict=True)
        total = torch.stack([part.double().mul(s[:, None, None, None]).sum(0) for part, s in parts]).sum(0)
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
