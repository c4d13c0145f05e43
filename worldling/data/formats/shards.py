"""Read and write data sets of our own: a folder with dataset.json and HDF5 shards (see data/store.py).

Reading one that exists and writing it anew makes its pictures smaller or larger.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from worldling.config import to_dict, write_atomic
from worldling.data.dataset import Dataset
from worldling.data.fit import picture_of
from worldling.data.formats.format import Format, ReadOptions, Source
from worldling.data.store import DatasetWriter, all_or_nothing, check_new, open_dataset
from worldling.errors import ConfigError
from worldling.progress import Progress
from worldling.types import Episode


class Shards(Format):
    """Data sets of worldling."""

    name = "worldling"

    def detect(self, path: Path) -> bool:
        """Say whether there is a dataset.json."""
        return (path / "dataset.json").is_file()

    def read(self, path: Path, options: ReadOptions) -> Recording:
        """Open the data set; it keeps its frame rate."""
        if options.frame_skip not in (None, 1):
            raise ConfigError(
                f"`frame_skip` must be 1 for a data set of worldling, got {options.frame_skip}. "
                "Record the environment again with another one."
            )
        return Recording(open_dataset(path), options)

    def write(self, source: Source, path: Path, quiet: bool = False) -> int:
        """Write a new data set, one episode in memory at a time."""
        check_new(path)
        with all_or_nothing(path) as temporary:
            with (
                Progress(f"writing {path}", source.num_items, source.unit, quiet) as bar,
                DatasetWriter(temporary, source.meta) as writer,
            ):
                bar.update(0)
                for episode in source.episodes():
                    writer.write(episode)
                    done = episode.meta["number"] + (not episode.meta.get("cut", False))
                    bar.update(done, episode.meta.get("name", ""))
            for name, text in source.files_beside().items():
                write_atomic(temporary / name, text)
        return writer.num_frames


class Recording(Source):
    """The episodes of a data set, pieces of one that was cut numbered alike."""

    unit = "episodes"

    def __init__(self, dataset: Dataset, options: ReadOptions) -> None:
        self._dataset, self._fit = dataset, options.fit
        self._picture = picture_of(to_dict(dataset.meta), dataset.meta.size_px)
        self.meta = dataclasses.replace(
            dataset.meta,
            license=options.license or dataset.meta.license,
            **self._fit.describe(self._picture.height, self._picture.width),
        )
        if self._picture.width * self._fit.height == self._picture.height * self._fit.width:  # kept in shape
            self.meta = dataclasses.replace(self.meta, fit=dataset.meta.fit, aspect=dataset.meta.aspect)
        self._numbers = list(_numbers(dataset))
        self.num_items = self._numbers[-1] + 1

    def episodes(self) -> Iterator[Episode]:
        """Yield the pieces in the order of the shards, with their state and seeds."""
        for number, episode in zip(self._numbers, self._dataset, strict=True):
            frames = np.stack([self._fit.apply(frame) for frame in self._picture.cut(episode.frames)])
            kept = {key: episode.meta[key] for key in ("seed", "cut")}
            yield dataclasses.replace(episode, frames=frames, meta={**kept, "number": number})
        self._dataset.close()

    def files_beside(self) -> dict[str, str]:
        """Return what lies beside dataset.json as json, such as physion.json."""
        others = sorted(p for p in self._dataset.path.glob("*.json") if p.name != "dataset.json")
        return {file.name: file.read_text() for file in others}


def _numbers(dataset: Dataset) -> Iterator[int]:
    """Number the recordings that the pieces are of, from 0; a piece after a cut goes on with the one before."""
    number, before = -1, None
    for index in range(len(dataset)):
        meta = dataset.episode_meta(index)
        place = (meta["worker"], meta["number"])
        if before is None or not before[1] or before[0] != place:
            number += 1
        before = (place, meta["cut"])
        yield number
