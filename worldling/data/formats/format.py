"""What a data format is: it recognises its files, reads them as episodes and, where it can, writes them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from worldling.data.dataset import DatasetMeta
from worldling.data.fit import Fit, Size, make_fit
from worldling.errors import ConfigError, DataError
from worldling.types import Episode


@dataclass(frozen=True)
class ReadOptions:
    """How to read: what the caller chose, the same for all formats.

    size_px: side of the square frames in pixels, or "96x72" for pictures that are not square; frame_skip: keep every
    n-th frame, None for the format's default; kind: "pad", "crop" or "squeeze", what is done to pictures of another
    shape, see data/fit.py; license: of the data, None if not given.
    """

    size_px: Size = 64
    frame_skip: int | None = None
    kind: str = "pad"
    license: str | None = None

    def __post_init__(self) -> None:
        make_fit(self.size_px, self.kind)
        if self.frame_skip is not None and self.frame_skip < 1:
            raise ConfigError(
                f"`frame_skip` must be at least 1, got {self.frame_skip}. Leave it out for the format's default."
            )

    @property
    def fit(self) -> Fit:
        """How pictures become frames."""
        return make_fit(self.size_px, self.kind)


class Source(ABC):
    """Data opened for reading.

    meta: what a data set made from it says of itself; num_items: how many files or recordings there are;
    unit: what they are called in the plural, for the progress line; notes: what a user should know of how they are
    read, a line each; said: what is done to the shape of the pictures, in one sentence, empty if nothing is.
    """

    meta: DatasetMeta
    num_items: int
    unit: str
    notes: tuple[str, ...] = ()
    said: str = ""

    @abstractmethod
    def episodes(self) -> Iterator[Episode]:
        """Yield the episodes in order, one in memory at a time; frames uint8 `[T, size_px, size_px, 3]`.

        `episode.meta` holds `number`, which item it is from (0..num_items - 1), and `cut`, true if the item goes on
        in the next episode, which then begins with the frame this one ends with.
        Raises `DataError` that names the file that cannot be read.
        """

    def files_beside(self) -> Mapping[str, str]:
        """Return text files that belong beside the data set, by name; asked for when all episodes were read."""
        return {}

    def tallies(self) -> Mapping[str, Mapping[str, int]]:
        """Return counts for people, by group, such as stimuli by scenario; asked for when all episodes were read."""
        return {}


class Format(ABC):
    """One data format; has no state. name: as in `--format`, and where a recording has its environment's id."""

    name: str

    @abstractmethod
    def detect(self, path: Path) -> bool:
        """Say whether `path` looks like data of this format; opens as little as possible and raises nothing."""

    @abstractmethod
    def read(self, path: Path, options: ReadOptions) -> Source:
        """Open `path`; most damage is found here, before anything is written.

        Raises `DataError` naming the file that is missing, damaged or foreign, `ConfigError` for options that do not
        fit the data.
        """

    def write(self, source: Source, path: Path, quiet: bool = False) -> int:
        """Write all of `source` to `path` or nothing; return the number of frames.

        Raises `DataError` in formats that can only be read, `DatasetError` if `path` exists.
        """
        raise DataError(
            f"`format` must be one that can be written, got {self.name!r}, which can only be read. Take worldling."
        )
