"""Read a folder of videos, with or without the actions that were taken in them.

    clips/a.mp4  clips/a.csv      one row per action; a first row of names is allowed
    clips/b.mp4  clips/b.npy      [T - 1] whole numbers, or [T - 1, A] floats, switches or choices
    clips/c.mp4  clips/c.json     a list in one of these shapes, or {"actions": [...]}
    clips/action_space.json       optional: {"kind": "box", "low": [...], "high": [...], "names": [...]}

Action t leads from frame t to frame t + 1; with as many actions as frames, the last one is left out.
Without action files the data set has kind "none". Without action_space.json the space is read off the
actions: whole numbers and words are choices, a table of zeros and ones is switches, other numbers are axes between
the smallest and largest value seen. Which tables can be read: see data/action_table.py. Folders in the folder are
read too.

Frames are upright and have square pixels. A video without actions whose frames are not evenly spaced is resampled to
its own mean rate, and cut where it pauses for a second or more; one with actions is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from worldling.config import from_dict
from worldling.data.action_table import SUFFIXES as ACTION_SUFFIXES
from worldling.data.action_table import Table, read_table
from worldling.data.dataset import DatasetMeta
from worldling.data.fingerprint import files_fingerprint
from worldling.data.fit import Fit
from worldling.data.formats.format import Format, ReadOptions, Source
from worldling.data.store import PIECE_FRAMES
from worldling.data.video_frames import Timing, pictures, timing
from worldling.errors import ActionError, ConfigError, DataError
from worldling.types import ActionSpace, Episode
from worldling.untrusted import parse_json

VIDEO_SUFFIXES = (
    ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".wmv", ".flv", ".3gp",
    ".ogv", ".gif",
)  # fmt: skip
VIDEO = "video"  # stands where a recording has its environment's id
SPACE_FILE = "action_space.json"


class Video(Format):
    """A folder of videos, with or without actions; each video is an episode."""

    name = VIDEO

    def detect(self, path: Path) -> bool:
        """Say whether it is a video or there are some in the folder, or in folders of it that hold no HDF5 files."""
        within = _videos(path)
        return any(video.parent == path or video == path for video in within) or (
            bool(within) and not any(path.rglob("*.hdf5"))
        )

    def read(self, path: Path, options: ReadOptions) -> Videos:
        """Read the actions and every video's frame rate; frame_skip must be 1 (the default) where there are actions."""
        videos = _videos(path)
        if not videos:
            wanted = ", ".join(VIDEO_SUFFIXES)
            raise DataError(f"`folder` must hold videos ({wanted}), got none in {path}. Check the path.")
        return Videos(path if path.is_dir() else path.parent, videos, options)


def _videos(path: Path) -> list[Path]:
    """Return the videos in a folder and the folders in it, but for hidden ones, or the one that `path` is."""
    if path.is_file():
        return [path] if path.suffix.lower() in VIDEO_SUFFIXES else []
    found = (p for p in path.rglob("*") if p.suffix.lower() in VIDEO_SUFFIXES and p.is_file())
    return sorted(p for p in found if not any(part.startswith(".") for part in p.relative_to(path).parts))


class Videos(Source):
    """The videos of a folder and their actions."""

    unit = "videos"

    def __init__(self, folder: Path, videos: list[Path], options: ReadOptions) -> None:
        space, self._actions, notes = _read_all_actions(folder, videos)
        self._timing = {video: timing(video) for video in videos}
        notes += _timing_notes(folder, self._timing, space.kind != "none")
        frame_skip = options.frame_skip or 1
        if frame_skip > 1 and space.kind != "none":
            raise ConfigError(
                f"`frame_skip` must be 1 for videos with actions, got {frame_skip}. "
                "Actions between the frames kept would be lost."
            )
        self._videos, self._fit = videos, options.fit
        self.num_items, self.notes, self._folder = len(videos), tuple(notes), folder
        shape = _picture_px(self._timing, self._fit)
        self.said = self._fit.sentence(*shape)
        self.meta = DatasetMeta(
            env_id=VIDEO,
            action_space=space,
            frame_skip=frame_skip,
            fps=_same_fps(self._timing) / frame_skip,
            policy=VIDEO,
            license=options.license or "unknown",
            seed=files_fingerprint(folder, videos),
            **self._fit.describe(*shape),
        )

    def episodes(self) -> Iterator[Episode]:
        """Yield each video in pieces that fit in memory."""
        frame_skip = self.meta.frame_skip
        for number, video in enumerate(self._videos):
            timed, actions = self._timing[video], self._actions.get(video)
            for episode in _episodes(video, timed, actions, self._fit, frame_skip):
                episode.meta.update(number=number, name=str(video.relative_to(self._folder)))
                yield episode


def _episodes(video: Path, timed: Timing, actions: np.ndarray | None, fit: Fit, frame_skip: int) -> Iterator[Episode]:
    """Yield a video in pieces that fit in memory; each begins with the frame the one before ended with.

    After a pause begins another episode; a single frame between pauses is left out.
    """
    held: list[np.ndarray] = []
    first = 0  # number of the first frame held

    def episode(cut: bool) -> Episode:
        count = len(held) - 1
        taken = np.zeros((count, 0), np.float32) if actions is None else actions[first : first + count]
        if actions is not None and len(taken) < count:
            raise _unequal(video, len(actions), f"more than {first + len(taken)}")
        ended = np.zeros(count, bool)
        truncated = ended.copy()
        truncated[-1] = not cut
        return Episode(np.stack(held), taken, np.zeros(count, np.float32), ended, truncated, meta={"cut": cut})

    total = index = 0
    for picture in pictures(video, timed):
        if picture is None:
            if len(held) > 1:
                yield episode(cut=False)
            held, index = [], 0
            continue
        index += 1
        if (index - 1) % frame_skip:
            continue
        if len(held) == PIECE_FRAMES:
            yield episode(cut=True)
            held, first = held[-1:], first + PIECE_FRAMES - 1
        held.append(fit.apply(picture))
        total += 1
    if total < 2:
        raise DataError(f"`{video}` must hold at least 2 frames, got {total}. Remove it.")
    if actions is not None and len(actions) not in (total - 1, total):
        raise _unequal(video, len(actions), str(total))
    if len(held) > 1:
        yield episode(cut=False)


def _picture_px(timed: dict[Path, Timing], fit: Fit) -> tuple[int, int]:
    """Return height and width of the videos' pictures, or (if they differ) of the pixels that they are fitted into."""
    first = (next(pictures(video, timing), None) for video, timing in timed.items())
    shapes = {picture.shape[:2] for picture in first if picture is not None}
    height, width = shapes.pop() if len(shapes) == 1 else (fit.height, fit.width)
    return height, width


def _unequal(video: Path, got: int, frames: str) -> DataError:
    return DataError(
        f"`{video}` must have an action fewer than frames (or as many), got {got} actions, {frames} frames. "
        "Check its action file."
    )


def _timing_notes(folder: Path, times: dict[Path, Timing], with_actions: bool) -> list[str]:
    """Say which videos are resampled or cut. Raises `DataError` for those that have actions."""
    notes = []
    for video, timed in times.items():
        if timed.even and not timed.pauses:
            continue
        gap = f"{timed.longest_s:.3g} s between two frames at {timed.longest_at_s:.3g} s"
        if with_actions:
            raise DataError(
                f"`{video}` must have evenly spaced frames to go with its actions, got {gap}, where "
                f"{1 / timed.fps:.3g} s are usual. Record it at a constant rate, or write an action for each frame of "
                "a video encoded anew at one."
            )
        done = [] if timed.even else [f"resampled to {timed.fps:.4g} fps"]
        done += [f"cut at {timed.pauses} pause{'s' * (timed.pauses > 1)}"] if timed.pauses else []
        notes.append(f"{video.relative_to(folder)}: frames are not evenly spaced ({gap}): {' and '.join(done)}")
    return notes


def _same_fps(times: dict[Path, Timing]) -> float:
    rates = {video: timed.fps for video, timed in times.items()}
    slowest, fastest = min(rates, key=rates.__getitem__), max(rates, key=rates.__getitem__)
    if rates[fastest] > rates[slowest] * 1.05 or rates[slowest] <= 0:
        raise DataError(
            f"`folder` must hold videos of one frame rate, got {rates[slowest]:g} fps in {slowest.name} and "
            f"{rates[fastest]:g} in {fastest.name}. Encode them alike, or import them apart."
        )
    return rates[fastest]


def _read_all_actions(folder: Path, videos: list[Path]) -> tuple[ActionSpace, dict[Path, np.ndarray], list[str]]:
    """Read every action file; return the space they share, the raw actions of each video, and notes for people."""
    tables: dict[Path, Table] = {}
    used: set[Path] = set()
    for video in videos:
        files = _action_files(video)
        if len(files) > 1:
            both = f"{files[0].name} and {files[1].name}"
            raise DataError(f"`{video}` must have one action file, got {both}. Keep one.")
        if files:
            tables[video] = read_table(files[0])
            used.add(files[0])
    notes = [note for table in tables.values() for note in table.notes]
    others = [file for file in _tables_in({video.parent for video in videos}) if file not in used]
    if others:
        more = f" and {len(others) - 3} more" if len(others) > 3 else ""
        unused = ", ".join(str(file.relative_to(folder)) for file in others[:3]) + more
        looked = videos[0].with_suffix(".csv").name
        notes.append(f"actions for {videos[0].name} are looked for in {looked} or the like; {unused} was not used")
    if not tables:
        return ActionSpace("none"), {}, notes
    if len(tables) < len(videos):
        without = next(video for video in videos if video not in tables)
        raise DataError(
            f"`folder` must hold actions for every video or for none, got none for {without.name}. "
            f"Add {without.stem}{', '.join(ACTION_SUFFIXES)} or import it apart."
        )
    given = _read_space(folder / SPACE_FILE)
    found, names = _same_columns(tables, given)
    space = given or _infer_space(found, names)
    for video, values in found.items():
        try:
            found[video] = space.check(values.reshape(len(values), *space.shape))
        except (ActionError, ValueError) as error:
            raise DataError(f"`{video.name}` must have actions like the others, got: {error}") from None
    return space, found, notes


def _action_files(video: Path) -> list[Path]:
    """Return the tables that are called as the video is; in upper or lower case, if none is called exactly so."""
    near = _tables_in({video.parent})
    exact = [file for file in near if file.stem == video.stem]
    return exact or [file for file in near if file.stem.casefold() == video.stem.casefold()]


def _tables_in(folders: set[Path]) -> list[Path]:
    return sorted(
        file
        for folder in folders
        for file in folder.iterdir()
        if file.suffix.lower() in ACTION_SUFFIXES and file.is_file() and file.name not in (SPACE_FILE, "dataset.json")
    )


def _same_columns(
    tables: dict[Path, Table], space: ActionSpace | None
) -> tuple[dict[Path, np.ndarray], tuple[str, ...]]:
    """Return the actions as numbers, columns in one order, words by their choice; and the names of columns or choices.

    space: says which choice a word is, if given; else they are in the order of the alphabet.
    """
    words = [video for video, table in tables.items() if table.values.dtype.kind == "U"]
    if words and len(words) < len(tables):
        other = next(video for video in tables if video not in words)
        raise DataError(
            f"`folder` must hold actions of one kind, got words for {words[0].name} and numbers for {other.name}. "
            "Write them alike."
        )
    if words:
        seen = np.unique(np.concatenate([table.values for table in tables.values()])).tolist()
        choices = space.names if space else tuple(seen)
        unknown = [word for word in seen if word not in choices]
        if unknown:
            raise DataError(
                f"`{SPACE_FILE}` must name every action, got none called {unknown[0]!r} in {list(choices)}. Add it."
            )
        number = {word: i for i, word in enumerate(choices)}
        return {v: np.asarray([number[w] for w in t.values.tolist()]) for v, t in tables.items()}, choices
    names: tuple[str, ...] = ()
    found = {}
    for video, table in tables.items():
        names, values = names or table.names, table.values
        if table.names and table.names != names:
            if sorted(table.names) != sorted(names):
                raise DataError(
                    f"`{video.name}` must have the columns of the others, got {', '.join(table.names)} and "
                    f"{', '.join(names)}. Write them alike."
                )
            values = values[:, [table.names.index(name) for name in names]]
        found[video] = values
    return found, names


def _read_space(file: Path) -> ActionSpace | None:
    if not file.is_file():
        return None
    try:
        space = from_dict(ActionSpace, parse_json(file.read_text("utf-8-sig")), "action_space")
        count = sum(space.nvec) if space.kind == "discrete" else space.shape[0]
        if len(space.names) not in (0, count):
            raise ValueError(f"{len(space.names)} names for {count} choices or axes")
    except (ValueError, TypeError, ConfigError) as error:
        raise DataError(f"`{file}` must describe an action space, got {error}. See ActionSpace.") from None
    return space


def _infer_space(found: dict[Path, np.ndarray], names: tuple[str, ...]) -> ActionSpace:
    shapes = {values.shape[1:] for values in found.values()}
    if len(shapes) > 1:
        raise DataError(f"`folder` must hold actions of one width, got {sorted(shapes)}. Write them alike.")
    values = np.concatenate(list(found.values()))
    low, high = values.min(axis=0), values.max(axis=0)
    if values.dtype.kind == "f" or np.min(low) < 0:
        low, high = np.atleast_1d(low).astype(float), np.atleast_1d(high).astype(float)
        return ActionSpace("box", low=low.tolist(), high=np.maximum(high, low + 1e-6).tolist(), names=names)
    if values.ndim == 1:  # a one-column header names the column, not the choices
        return ActionSpace("discrete", (int(high) + 1,), names=names if len(names) == int(high) + 1 else ())
    if np.max(high) <= 1:
        return ActionSpace("multi_binary", (2,) * values.shape[1], names=names)
    return ActionSpace("multi_discrete", tuple(int(n) + 1 for n in high), names=names)
