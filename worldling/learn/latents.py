"""Encoding a data set once, so that the dynamics never touch pixels."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from worldling.config import new_file, to_dict
from worldling.data.dataset import Dataset
from worldling.data.fingerprint import files_fingerprint
from worldling.dynamics.keypoints import Finder
from worldling.learn.clips import Clips
from worldling.learn.reflection import Reflection
from worldling.nn.lattice import to_levels
from worldling.progress import Progress
from worldling.tokenizer.model import Tokenizer
from worldling.types import frames_to_float

_LATENTS = "latents-*.npy"  # the star: of which tokenizer, data and reflections
_POINTS = "points-*.npy"  # the star: of which finder, data and reflections


def encode_episodes(
    tokenizer: Tokenizer,
    dataset: Dataset,
    episodes: list[int],
    reflections: list[Reflection],
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
    steps: dict[str, list[torch.Tensor]] = {"reward": [], "terminated": []}
    for i, reflection in itertools.product(episodes, reflections):
        vectors = reflection.actions(space.encode(dataset.actions(i)))
        actions.append(torch.from_numpy(np.concatenate([vectors, np.zeros_like(vectors[:1])])))
        offsets.append(offsets[-1] + dataset.lengths[i])
        for name, column in steps.items():  # a last row of no step, as for the actions
            column.append(torch.from_numpy(np.append(dataset.column(name, i), 0).astype(np.float32)))
    reward, ends = (torch.cat(column) for column in steps.values())
    made_of = hashlib.sha256(str([identity(dataset), episodes, reflections]).encode())
    made_of.update(digest(tokenizer).encode())
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
    cached = torch.from_numpy(np.load(file, mmap_mode="c"))
    return Clips(cached, torch.cat(actions), offsets, shape.levels, reward, ends.bool())


@torch.inference_mode()
def find_points(
    finder: Finder,
    dataset: Dataset,
    episodes: list[int],
    reflections: list[Reflection],
    device: torch.device,
    folder: Path,
    quiet: bool = False,
) -> torch.Tensor:
    """Return the keypoints float32 `[F, K, 2]` of the frames of `encode_episodes`, in the same order.

    They are kept in a file in `folder`, for a run that goes on. Raises `DiskFullError`.
    """
    made_of = hashlib.sha256(str([identity(dataset), episodes, reflections, weights_digest(finder)]).encode())
    file = folder / _POINTS.replace("*", made_of.hexdigest()[:16])
    if not file.exists():
        total, found = len(reflections) * sum(dataset.lengths[i] for i in episodes), []
        with Progress("finding keypoints", total, "frames", quiet) as progress:
            done = 0
            for i in episodes:
                frames = torch.from_numpy(dataset.frames(i))
                for reflection in reflections:
                    for chunk in frames.split(64 if device.type == "cpu" else 2048):
                        found.append(finder(frames_to_float(reflection.frames(chunk.to(device)))).float().cpu())
                    done += len(frames)
                    progress.update(done)
        with new_file(file) as open_file:
            np.save(open_file, torch.cat(found).numpy())
    return torch.from_numpy(np.load(file))


def digest(tokenizer: Tokenizer) -> str:
    """Return a digest of the weights of `tokenizer`, by which latents and dynamics know theirs."""
    return weights_digest(tokenizer)


def weights_digest(network: nn.Module) -> str:
    """Return a digest of the weights of `network`."""
    found = hashlib.sha256()
    for tensor in network.state_dict().values():
        found.update(tensor.cpu().contiguous().numpy().tobytes())
    return found.hexdigest()[:16]


def identity(dataset: Dataset) -> dict[str, Any]:
    """Tell a recording from others by what it was made from and the sizes of its files: json values."""
    return {**to_dict(dataset.meta), "files": files_fingerprint(dataset.path, dataset.shards)}


def forget_latents(folder: Path) -> None:
    """Delete the latents that `encode_episodes` kept in `folder`, and the keypoints of `find_points`."""
    for kept in (_LATENTS, _POINTS):
        for file in folder.glob(kept):
            file.unlink()


@torch.inference_mode()
def _encoded(
    tokenizer: Tokenizer,
    dataset: Dataset,
    episodes: list[int],
    reflections: list[Reflection],
    device: torch.device,
    autocast: torch.autocast,
) -> Iterator[np.ndarray]:
    """Yield the levels of all episodes, each in all reflections, in pieces: uint8 `[n, N, C]`."""
    for i in episodes:
        frames = torch.from_numpy(dataset.frames(i))
        for reflection in reflections:
            for chunk in frames.split(128 if device.type == "cpu" else 2048):
                with autocast:
                    latent = tokenizer.encode(frames_to_float(reflection.frames(chunk.to(device))))
                yield to_levels(latent, tokenizer.config.levels).to(torch.uint8).cpu().numpy()
