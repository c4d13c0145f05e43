"""The registry of data formats: which there are, which one a path holds, and how it becomes a data set of ours.

To add a format, write a file with a `Format` in this folder and add one line to `FORMATS`.
"""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from worldling.errors import ConfigError, DataError, nearest

if TYPE_CHECKING:  # --help asks this file for names only: what reads files is imported when it is used
    from worldling.data.fit import Size
    from worldling.data.formats.format import Format

#: name -> (module:class of its `Format`, loaded when first asked for; what it reads, for --help and errors)
FORMATS = {
    "worldling": ("worldling.data.formats.shards:Shards", "a data set of worldling: dataset.json and HDF5 shards"),
    "video": (
        "worldling.data.formats.video:Video",
        "videos, each with a .csv, .tsv, .npy, .json or .parquet of its actions or none",
    ),
    "physion": ("worldling.data.formats.physion:Physion", "the stimuli of the Physion benchmark, HDF5 files"),
}
OWN = "worldling"


@dataclass(frozen=True)
class Imported:
    """What an import made.

    path: the data set; format: that was read; frames and episodes: how many were written, an item that was cut into
    pieces counting once; fps: frames per second; action_kind: see `ActionSpace`; tallies: counts by group, such as
    {"dominoes": {"stimuli": 150, "contact": 75}}, empty in most formats; notes: what was left out or changed on the
    way, a line each.
    """

    path: str
    format: str
    frames: int
    episodes: int
    fps: float
    action_kind: str
    tallies: dict[str, dict[str, int]]
    notes: tuple[str, ...] = ()


def known_formats() -> str:
    """Return every format and what it reads, as one line of text."""
    return "; ".join(f"{name}: {what}" for name, (_, what) in FORMATS.items())


def is_imported(env_id: str) -> bool:
    """Say whether a data set with this `env_id` was imported from other files, and so has no environment."""
    return env_id in FORMATS


def find_format(name: str) -> Format:
    """Return the format called `name`. Raises `ConfigError` that names the known ones."""
    if name not in FORMATS:
        raise ConfigError(f"`format` must be {' or '.join(FORMATS)}, got {name!r}. {nearest(name, FORMATS)}")
    module, _, attribute = FORMATS[name][0].partition(":")
    made: Format = getattr(importlib.import_module(module), attribute)()
    return made


def detect_format(path: str | Path) -> Format:
    """Return the format of the data at `path`. Raises `DataError` unless exactly one format knows them as its own."""
    path = Path(path)
    found = [known for known in map(find_format, FORMATS) if known.detect(path)]
    if not found:
        raise DataError(
            f"`{path}` must hold data of a known format, got {'none' if path.exists() else 'no such path'}. "
            f"Check the path, and unpack archives. Known are {known_formats()}."
        )
    if len(found) > 1:
        names = " and ".join(known.name for known in found)
        raise DataError(f"`{path}` must hold data of one format, got {names}. Choose with --format, or part them.")
    return found[0]


def import_data(
    path: str | Path,
    out: str | Path,
    size_px: Size = 64,
    frame_skip: int | None = None,
    fit: str = "pad",
    license: str | None = None,
    format: str | None = None,
    quiet: bool = False,
) -> Imported:
    """Turn data of any known format into a data set of ours in the new folder `out`; all of it or nothing.

    format: a name out of `FORMATS`, None to look which one fits; the others: see `ReadOptions`. Holds one episode in
    memory at a time. Raises `DataError` naming the file that cannot be read or does not fit, `ConfigError` for
    options that do not fit, `DatasetError` if `out` exists.
    """
    from worldling.data.formats.format import ReadOptions
    from worldling.data.store import check_new

    options = ReadOptions(size_px, frame_skip, fit, license)
    chosen = detect_format(path) if format is None else find_format(format)
    check_new(out)
    source = chosen.read(Path(path), options)
    for note in source.notes:
        print(note, file=sys.stderr, flush=True)
    if source.said and not quiet:
        print(source.said, file=sys.stderr, flush=True)
    frames = find_format(OWN).write(source, Path(out), quiet)
    tallies = {group: dict(counts) for group, counts in source.tallies().items()}
    kind = source.meta.action_space.kind
    return Imported(str(out), chosen.name, frames, source.num_items, source.meta.fps, kind, tallies, source.notes)
