"""Data sets on disk: a folder with dataset.json and HDF5 shards that anyone can read without us.

    import h5py
    shard = h5py.File("data/pong/shard-0-0000.h5")
    first, last = shard["episode_offsets"][0], shard["episode_offsets"][1]
    frames = shard["pixels"][first:last]            # uint8 [T, H, W, 3]
    actions = shard["action"][first:last - 1]       # action[t] leads from frame t to frame t + 1

Columns, one row per frame: pixels, action, reward, terminated, truncated, state/<name>. Row t holds the
frame and what was done after seeing it; the last row of an episode has no action and holds zeros.
Per episode: episode_offsets [E + 1], episode_seed, episode_number, episode_cut (true if the piece ends
without the environment having ended; the next piece then begins with the same frame). Attributes:
format, env_id, seed, license. A shard appears whole or not at all, so a killed recording stays readable.
"""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np

from worldling.config import from_dict, to_dict, write_atomic
from worldling.data.dataset import Dataset, DatasetMeta, shard_order
from worldling.errors import ConfigError, DatasetError, DiskFullError, ShapeError
from worldling.types import Episode
from worldling.untrusted import read_json_file

FORMAT = "worldling-1"
CHUNK_FRAMES = 16  # gzip-1 in chunks of 16 frames: a twelfth of the bytes at 2000 random clips a second
SHARD_FRAMES = 2000
PIECE_FRAMES = 1001  # a thousand actions: the usual time limit of an environment stays in one piece


class DatasetWriter:
    """Append episodes to a data set; shards close by themselves at about 2000 frames.

    path: the folder, made if need be; worker: goes into the shard names, one writer per worker.
    Use as a context manager, or call `close` to write what is still held.
    """

    def __init__(self, path: str | Path, meta: DatasetMeta, worker: int = 0) -> None:
        self.path, self.meta, self.worker = Path(path), meta, worker
        self.num_frames = 0
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            if error.errno == 28:
                raise DiskFullError(f"`{path}` must fit on the disk, got {error}. Free some space.") from None
            raise DatasetError(f"`{path}` must be a folder to write to, got {error}. Take another.") from None
        text = json.dumps({"format": FORMAT, **to_dict(meta)}, indent=2) + "\n"
        if not (self.path / "dataset.json").exists():
            write_atomic(self.path / "dataset.json", text)
        self._number = 1 + max((int(p.stem.split("-")[2]) for p in self.path.glob(f"shard-{worker}-*.h5")), default=-1)
        self._episodes: list[Episode] = []  # no longer than one shard; pixels are kept compressed below
        self._buffer: io.BytesIO | None = None
        self._file: h5py.File | None = None
        self._held = self._pieces = 0  # frames and pieces of episodes that are whole in the shard begun

    def write(self, episode: Episode) -> None:
        """Add one episode of at least 2 frames; long ones are cut into pieces of at most 1001 frames.

        Raises `ShapeError` if its arrays do not fit together, `DiskFullError` if a shard does not fit;
        shards written before stay intact.
        """
        size = self.meta.size_px
        frames = episode.frames
        fits = frames.dtype == np.uint8 and frames.ndim == 4 and frames.shape[1:] == (size, size, 3)
        if not fits or len(frames) < 2:
            raise ShapeError(
                f"`episode.frames` must be uint8 [T >= 2, {size}, {size}, 3], got {frames.dtype} "
                f"{list(frames.shape)}. Resize the pictures or change size_px."
            )
        self.meta.action_space.check(episode.actions, lead=(len(frames) - 1,))
        for start in range(0, len(frames) - 1, PIECE_FRAMES - 1):
            self._append(episode, start, min(start + PIECE_FRAMES, len(frames)))
            if self._held >= SHARD_FRAMES:
                self.close()

    def close(self) -> None:
        """Write the shard begun, if any. The writer can go on afterwards with a new one."""
        if self._file is None or self._buffer is None or not self._held:
            return
        self._file.close()
        data = self._buffer.getvalue()
        self._file, self._buffer, self._held, self._pieces = None, None, 0, 0
        write_atomic(self.path / f"shard-{self.worker}-{self._number:04d}.h5", data)
        self._number += 1

    def __enter__(self) -> DatasetWriter:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _append(self, episode: Episode, start: int, stop: int) -> None:
        """Add a piece to the shard begun. Interrupted at any line, it leaves the shard as it was."""
        try:
            self._add(episode, start, stop)
        except BaseException:
            self._cut_back()
            raise
        self._held += stop - start
        self._pieces += 1
        self.num_frames += stop - start

    def _cut_back(self) -> None:
        """Shorten every column of the shard begun to the pieces that are whole."""
        columns: list[h5py.Dataset] = []
        if self._file is not None:
            self._file.visititems(lambda _, item: columns.append(item) if isinstance(item, h5py.Dataset) else None)
        for column in columns:
            per_episode = column.name.startswith("/episode_")
            whole = self._pieces + (column.name == "/episode_offsets") if per_episode else self._held
            column.resize(min(len(column), whole), axis=0)

    def _add(self, episode: Episode, start: int, stop: int) -> None:
        if self._file is None:
            # A shard is built in memory (compressed, a few MB) and then written in one go: HDF5 itself
            # cannot recover from a disk that fills up half-way.
            self._buffer = io.BytesIO()
            self._file = h5py.File(self._buffer, "w")
            self._file.attrs.update(
                format=FORMAT, env_id=self.meta.env_id, seed=self.meta.seed, license=self.meta.license
            )
            _grow(self._file, "episode_offsets", np.zeros(1, np.int64))
        cut = stop < len(episode) or bool(episode.meta.get("cut", False))
        rows, last = slice(start, stop), slice(start, stop - 1)
        _grow(self._file, "pixels", episode.frames[rows])
        for name, values in (
            ("action", episode.actions),
            ("reward", episode.reward),
            ("terminated", episode.terminated),
            ("truncated", episode.truncated),
        ):
            values = np.asarray(values)[last]
            _grow(self._file, name, np.concatenate([values, np.zeros_like(values[:1])]))
        for name, values in episode.state.items():
            _grow(self._file, f"state/{name}", np.asarray(values)[rows])
        _grow(self._file, "episode_offsets", np.asarray([self._held + stop - start]))
        _grow(self._file, "episode_seed", np.asarray([episode.meta.get("seed", -1)], np.int64))
        _grow(self._file, "episode_number", np.asarray([episode.meta.get("number", -1)], np.int64))
        _grow(self._file, "episode_cut", np.asarray([cut]))


def _grow(file: h5py.File, name: str, values: np.ndarray) -> None:
    """Append rows to a column, making it on first use."""
    if name not in file:
        pixels = name == "pixels"
        file.create_dataset(
            name,
            shape=(0, *values.shape[1:]),
            maxshape=(None, *(n or None for n in values.shape[1:])),  # actions of "none" are zero wide
            dtype=values.dtype,
            chunks=(CHUNK_FRAMES if pixels else 1024, *(n or 1 for n in values.shape[1:])),
            compression="gzip",
            compression_opts=1,
        )
    column = file[name]
    column.resize(len(column) + len(values), axis=0)
    column[len(column) - len(values) :] = values


def check_new(path: str | Path) -> None:
    """Raise `DatasetError` if there is something at `path` already."""
    if Path(path).exists():
        raise DatasetError(f"`{path}` must be a new folder, got one that exists. Take another or delete it.")


@contextmanager
def all_or_nothing(path: str | Path) -> Iterator[Path]:
    """Give a folder to write a data set into; it becomes `path` if all goes well and is removed if not."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    try:
        yield temporary
        os.chmod(temporary, 0o755)
        try:
            os.replace(temporary, path)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR, errno.EISDIR):
                raise
            raise DatasetError(
                f"`{path}` must be a new folder, got one that came meanwhile, perhaps from the same command run twice. "
                "Take another."
            ) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def open_dataset(path: str | Path, inside: Path | None = None) -> Dataset:
    """Open a recorded data set folder for reading; checks every shard's shape, reads no pixels.

    inside: a folder that no link may lead out of.
    Raises `DatasetError` naming the file if the folder, dataset.json or a shard is missing or damaged.
    """
    path = Path(path)
    meta = read_meta(path, inside)
    shards = sorted(path.glob("shard-*.h5"), key=shard_order)
    if not shards:
        raise DatasetError(f"`{path}` must hold at least one shard-*.h5, got none. Record it again.")
    return Dataset(path, meta, shards, inside)


def read_meta(path: str | Path, inside: Path | None = None) -> DatasetMeta:
    """Read dataset.json of the folder `path`; inside: as in `open_dataset`. Raises `DatasetError`."""
    file = Path(path) / "dataset.json"
    if not file.is_file():
        raise DatasetError(
            f"`{path}` must be a data set folder with dataset.json, got "
            f"{'none in it' if Path(path).is_dir() else 'no such folder'}. Make one with `worldling record`."
        )
    try:
        values = read_json_file(file, inside)
        if not isinstance(values, dict) or values.pop("format", None) != FORMAT:
            raise ValueError(f'no "format": "{FORMAT}" in it')
        return from_dict(DatasetMeta, values, "dataset")
    except (ValueError, ConfigError) as error:
        raise DatasetError(
            f"`{file}` must describe a worldling data set, got a damaged or foreign file ({error}). Record it again."
        ) from None
