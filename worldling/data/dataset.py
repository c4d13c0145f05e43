"""Reading a recorded data set: episodes, or slices of them, out of HDF5 shards."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, SupportsIndex

import h5py
import numpy as np
from jaxtyping import UInt8

from worldling.data import hdf5
from worldling.errors import ConfigError, DatasetError
from worldling.types import ActionSpace, Episode
from worldling.untrusted import check_texts

COLUMNS = ("pixels", "action", "reward", "terminated", "truncated", "episode_offsets")
#: A column of an episode is read whole; a thousand frames of 512 px take 0.8 GB.
MOST_EPISODE_BYTES = 4 * 2**30
_OPEN_FILES = 24
_CACHE_BYTES = 16 * 2**20  # one chunk of 16 frames at 512 px: reading frame by frame unpacks it once


@dataclass(frozen=True)
class DatasetMeta:
    """What a data set was recorded from.

    fps: real frames per second of one recorded frame; policy: its name, or "module:callable". How pictures became
    frames, see data/fit.py: fit, its kind (data sets older than that were squeezed, videos cropped); box_px, the width
    and height asked for, if not square; picture_px, where the picture lies: left, top, width and height, nothing if it
    is the whole frame; aspect, its true width over height. about: what the environment says of itself, a sentence.
    """

    env_id: str
    size_px: int
    action_space: ActionSpace
    env_kwargs: dict[str, Any] = field(default_factory=dict)
    frame_skip: int = 1
    fps: float = 30.0
    policy: str = ""
    seed: int = 0
    license: str = "unknown"
    versions: dict[str, str] = field(default_factory=dict)
    fit: str = "squeeze"
    box_px: tuple[int, ...] = ()
    picture_px: tuple[int, ...] = ()
    aspect: float = 1.0
    about: str = ""

    def __post_init__(self) -> None:
        check_texts([self.env_id, self.policy, self.license, self.about, self.versions, self.env_kwargs], "dataset")
        if not 8 <= self.size_px <= 1024:
            raise ConfigError(f"`size_px` must be 8 to 1024, got {self.size_px}. Choose 64, 128 or 256.")
        if not 1 <= self.frame_skip <= 10000 or not 0 < self.fps <= 100000:
            raise ConfigError(
                f"`frame_skip` must be 1 to 10000 and `fps` above 0, got {self.frame_skip} and {self.fps}. "
                "Record the environment again."
            )


class Dataset:
    """A data set opened for reading. `dataset[i]` is an `Episode`; pixels are read when asked for.

    meta: what it was recorded from; lengths: frames of each episode; num_frames: their sum;
    state_names: engine state columns that all shards have. The latest few files stay open until `close`;
    not safe across a fork (it can be pickled to a spawned process).
    """

    def __init__(self, path: Path, meta: DatasetMeta, shards: list[Path], inside: Path | None = None) -> None:
        self.path, self.meta, self.shards, self.inside = path, meta, shards, inside
        self._files: dict[int, h5py.File] = {}
        self._checked: set[tuple[int, str]] = set()  # columns seen to lie in their shard, each as (shard, name)
        self._where: list[tuple[int, int, int, dict[str, Any]]] = []  # shard, first row, last row, meta
        self.state_names: tuple[str, ...] = ()
        for index in range(len(shards)):
            self._scan(index)
        self.lengths = [stop - start for _, start, stop, _ in self._where]
        self.num_frames = sum(self.lengths)

    def __len__(self) -> int:
        return len(self._where)

    def __iter__(self) -> Iterator[Episode]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, index: SupportsIndex) -> Episode:
        shard, start, stop, meta = self._where[index]
        return Episode(
            frames=self._read(shard, "pixels", start, stop),
            actions=self._read(shard, "action", start, stop - 1),
            reward=self._read(shard, "reward", start, stop - 1),
            terminated=self._read(shard, "terminated", start, stop - 1),
            truncated=self._read(shard, "truncated", start, stop - 1),
            state={name: self._read(shard, f"state/{name}", start, stop) for name in self.state_names},
            meta=dict(meta),
        )

    def frames(
        self, index: SupportsIndex, start: SupportsIndex = 0, stop: SupportsIndex | None = None
    ) -> UInt8[np.ndarray, "T H H 3"]:
        """Read frames `[start:stop]` of episode `index`: uint8 `[n, H, W, 3]`, only what is asked for."""
        return self._slice("pixels", index, start, stop, 0)

    def actions(self, index: SupportsIndex, start: SupportsIndex = 0, stop: SupportsIndex | None = None) -> np.ndarray:
        """Read actions `[start:stop]` of episode `index`; actions[t] leads from frame t to t + 1."""
        return self._slice("action", index, start, stop, 1)

    def column(self, name: str, index: SupportsIndex) -> np.ndarray:
        """Read one column of episode `index` by its name in the shard, such as "reward" or "state/ram"."""
        return self._slice(name, index, 0, None, int(name in ("action", "reward", "terminated", "truncated")))

    def episode_meta(self, index: SupportsIndex) -> dict[str, Any]:
        """Return what identifies episode `index`: its seed, number, worker, shard and whether it is cut."""
        return dict(self._where[index][3])

    def close(self) -> None:
        """Close the shard files; reading opens them again."""
        for file in self._files.values():
            file.close()
        self._files.clear()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_files": {}}

    def _slice(
        self, name: str, index: SupportsIndex, start: SupportsIndex, stop: SupportsIndex | None, drop: int
    ) -> np.ndarray:
        shard, first, last, _ = self._where[index]
        begin, end, _ = slice(start, stop).indices(last - first - drop)
        return self._read(shard, name, first + begin, first + max(begin, end))

    def _read(self, shard: int, name: str, start: int, stop: int) -> np.ndarray:
        try:
            file = self._open(shard)
            column = file[name] if (shard, name) in self._checked else hdf5.item(file, name)
            if not isinstance(column, h5py.Dataset):
                raise broken(self.shards[shard], f"it has no column {name}")
            return np.asarray(column[start:stop])
        except OSError as error:
            raise unread(self.shards[shard], error) from None
        except RuntimeError as error:
            raise broken(self.shards[shard], str(error)) from None

    def _open(self, shard: int) -> h5py.File:
        """Return a shard's file; those not asked for longest are closed, since files and their caches are limited."""
        file = self._files.pop(shard, None)
        try:
            file = file or hdf5.open_file(self.shards[shard], self.inside, _CACHE_BYTES)
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE) or not self._files:
                raise
            self.close()  # others need few of them open: so do we
            file = hdf5.open_file(self.shards[shard], self.inside, _CACHE_BYTES)
        self._files[shard] = file  # the last one is the latest
        while len(self._files) > _OPEN_FILES:
            self._files.pop(next(iter(self._files))).close()
        return file

    def _scan(self, shard: int) -> None:
        """Check one shard and note where its episodes lie."""
        path = self.shards[shard]
        try:
            file = self._open(shard)
            columns: dict[str, Any] = {name: hdf5.item(file, name) for name in COLUMNS}
            absent = [name for name, column in columns.items() if not isinstance(column, h5py.Dataset)]
            if absent:
                raise broken(path, f"it has no column {', '.join(absent)}")
            states = hdf5.item(file, "state")
            if states is not None:
                columns |= {f"state/{name}": hdf5.item(file, f"state/{name}") for name in states}
            pixels, size = columns["pixels"], self.meta.size_px
            if pixels.dtype != np.uint8 or pixels.shape[1:] != (size, size, 3):
                raise broken(path, f"its pixels are {pixels.dtype} {list(pixels.shape)}, not {size} px")
            offsets = _numbers(columns.pop("episode_offsets"), None, len(pixels) + 1)
            lengths = np.diff(offsets)
            if len(offsets) < 2 or offsets[-1] != len(pixels) or (lengths < 2).any():
                raise broken(path, "its episode_offsets do not match its pixels")
            largest = max(int(column.nbytes / len(pixels) * lengths.max()) for column in columns.values())
            if largest > MOST_EPISODE_BYTES or any(len(column) != len(pixels) for column in columns.values()):
                raise broken(path, "its columns do not have a row for each frame, or one has too many")
            named = tuple(sorted(states or ()))
            self.state_names = tuple(name for name in self.state_names if name in named) if shard else named
            count = len(offsets) - 1
            found = {name: hdf5.item(file, name) for name in ("episode_seed", "episode_number", "episode_cut")}
            seeds, numbers, cuts = (
                [-1] * count if column is None else _numbers(column, count, count).tolist() for column in found.values()
            )
        except OSError as error:
            raise unread(path, error) from None
        except (RuntimeError, TypeError) as error:
            raise broken(path, str(error)) from None
        self._checked |= {(shard, name) for name in columns}
        worker = path.stem.split("-")[1]
        for i in range(count):
            meta = {
                "seed": seeds[i],
                "number": numbers[i],
                "cut": bool(cuts[i] > 0),
                "worker": int(worker),
                "shard": path.name,
                "env_id": self.meta.env_id,
                "policy": self.meta.policy,
            }
            self._where.append((shard, int(offsets[i]), int(offsets[i + 1]), meta))


def _numbers(column: Any, count: int | None, most: int) -> np.ndarray:
    """Return a column of whole numbers, `count` of them, or at most `most`. Raises `OSError` if it is another."""
    if not isinstance(column, h5py.Dataset) or column.ndim != 1 or column.dtype.kind not in "biu":
        raise OSError("a column that must be whole numbers is not")
    if len(column) > most or (count is not None and len(column) != count):
        raise OSError(f"{column.name} has {len(column)} numbers, not {most}")
    return np.asarray(column[:])


def broken(path: Path, reason: str) -> DatasetError:
    """Build the error for a shard whose contents are wrong."""
    return DatasetError(
        f"`{path}` must be a whole shard of a worldling data set, got a damaged or foreign file ({reason}). "
        "Delete it to use the other shards, or record again."
    )


#: What keeps us from a file that may well be whole, and what helps.
_HINDRANCES = {
    errno.EAGAIN: "another program has it open for writing. Wait for it or close it",
    errno.ENOLCK: "its disk gives no locks. Set HDF5_USE_FILE_LOCKING=FALSE",
    errno.EACCES: "you have no right to read it. Change its rights, or ask its owner",
    errno.EPERM: "you have no right to read it. Change its rights, or ask its owner",
    errno.EMFILE: "too many files are open. Close some, or raise the limit (ulimit -n)",
    errno.ENFILE: "too many files are open on this machine. Close some",
    errno.EIO: "the disk does not answer. Check it, and copy the data set elsewhere",
    errno.ESTALE: "the network drive was lost. Connect it again",
    errno.ENOENT: "it is gone. Copy the folder again, or run once more without it",
    errno.ENOMEM: "there is no memory left. Close other programs",
}


def unread(path: Path, error: OSError) -> DatasetError:
    """Build the error for a shard that could not be read: damaged only if it was opened and is wrong."""
    said = re.search(r"errno\s*=\s*(\d+)", str(error))
    number = error.errno or (int(said[1]) if said else 0)
    if number in _HINDRANCES:
        return DatasetError(f"`{path}` must be readable, got no way to it: {_HINDRANCES[number]}.")
    return broken(path, str(error))


def shard_order(path: Path) -> tuple[int, int]:
    """Return (worker, number) out of the name of a shard."""
    parts = path.stem.split("-")
    if len(parts) != 3 or not (parts[1].isdigit() and parts[2].isdigit()):
        raise broken(path, "its name is not shard-<worker>-<number>.h5")
    return int(parts[1]), int(parts[2])
