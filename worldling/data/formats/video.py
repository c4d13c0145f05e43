"""Read a folder of videos, with or without the actions that were taken in them.

    clips/a.mp4  clips/a.csv      one row per action; a first row of names is allowed
    clips/b.mp4  clips/b.npy      [T - 1] whole numbers, or [T - 1, A] floats, switches or choices
    clips/c.mp4  clips/c.json     a list in one of these shapes, or {"actions": [...]}
    clips/action_space.json       optional: {"kind": "box", "low": [...], "high": [...], "names": [...]}

Action t leads from frame t to frame t + 1; with as many actions as frames, the last one is left out.
Without action files the data set has kind "none". Without action_space.json the space is read off the
actions: whole numbers are choices, a table of zeros and ones is switches, other numbers are axes between
the smallest and largest value seen.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from worldling.config import from_dict
from worldling.data.dataset import DatasetMeta
from worldling.data.fingerprint import files_fingerprint
from worldling.data.fit import Fit
from worldling.data.formats.format import Format, ReadOptions, Source
from worldling.data.store import PIECE_FRAMES
from worldling.errors import ActionError, ConfigError, DataError
from worldling.types import ActionSpace, Episode

VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".webm")
ACTION_SUFFIXES = (".csv", ".npy", ".json")
VIDEO = "video"  # stands where a recording has its environment's id


class Video(Format):
    """A folder of videos, with or without actions; each video is an episode."""

    name = VIDEO

    def detect(self, path: Path) -> bool:
        """Say whether there are videos in the folder itself."""
        return any(file.suffix.lower() in VIDEO_SUFFIXES for file in path.glob("*"))

    def read(self, path: Path, options: ReadOptions) -> Videos:
        """Read the actions and every video's frame rate; frame_skip must be 1 (the default) where there are actions."""
        videos = sorted(p for p in path.glob("*") if p.suffix.lower() in VIDEO_SUFFIXES)
        if not videos:
            wanted = ", ".join(VIDEO_SUFFIXES)
            raise DataError(f"`folder` must hold videos ({wanted}), got none in {path}. Check the path.")
        return Videos(path, videos, options)


class Videos(Source):
    """The videos of a folder and their actions."""

    unit = "videos"

    def __init__(self, folder: Path, videos: list[Path], options: ReadOptions) -> None:
        space, self._actions = _read_all_actions(folder, videos)
        frame_skip = options.frame_skip or 1
        if frame_skip > 1 and space.kind != "none":
            raise ConfigError(
                f"`frame_skip` must be 1 for videos with actions, got {frame_skip}. "
                "Actions between the frames kept would be lost."
            )
        self._videos, self._fit = videos, options.fit
        self.num_items = len(videos)
        shape = _picture_px(videos, self._fit)
        self.said = self._fit.sentence(*shape)
        self.meta = DatasetMeta(
            env_id=VIDEO,
            action_space=space,
            frame_skip=frame_skip,
            fps=_same_fps(videos) / frame_skip,
            policy=VIDEO,
            license=options.license or "unknown",
            seed=files_fingerprint(folder, videos),
            **self._fit.describe(*shape),
        )

    def episodes(self) -> Iterator[Episode]:
        """Yield each video in pieces that fit in memory."""
        frame_skip = self.meta.frame_skip
        for number, video in enumerate(self._videos):
            for episode in _episodes(video, self._actions.get(video), self._fit, frame_skip):
                episode.meta.update(number=number, name=video.name)
                yield episode


def _episodes(video: Path, actions: np.ndarray | None, fit: Fit, frame_skip: int) -> Iterator[Episode]:
    """Yield a video in pieces that fit in memory; each begins with the frame the one before ended with."""
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

    total = 0
    for index, picture in enumerate(_pictures(video)):
        if index % frame_skip:
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
    yield episode(cut=False)


def _picture_px(videos: list[Path], fit: Fit) -> tuple[int, int]:
    """Return height and width of the videos' pictures, or (if they differ) of the pixels that they are fitted into."""
    shapes = {picture.shape[:2] for video in videos for picture in islice(_pictures(video), 1)}
    height, width = shapes.pop() if len(shapes) == 1 else (fit.height, fit.width)
    return height, width


def _unequal(video: Path, got: int, frames: str) -> DataError:
    return DataError(
        f"`{video}` must have an action fewer than frames (or as many), got {got} actions, {frames} frames. "
        "Check its action file."
    )


def _pictures(video: Path) -> Iterator[np.ndarray]:
    import av

    try:
        with av.open(str(video)) as container:
            for frame in container.decode(video=0):
                yield frame.to_ndarray(format="rgb24")
    except (av.error.FFmpegError, IndexError) as error:
        raise _undecodable(video, error) from None


def _undecodable(video: Path, error: Exception) -> DataError:
    return DataError(f"`{video}` must be a video that can be decoded, got {error}. Encode it again.")


def _same_fps(videos: list[Path]) -> float:
    import av

    rates = {}
    for video in videos:
        try:
            with av.open(str(video)) as container:
                rates[video] = float(container.streams.video[0].average_rate or 0)
        except (av.error.FFmpegError, IndexError) as error:
            raise _undecodable(video, error) from None
    slowest, fastest = min(rates, key=rates.__getitem__), max(rates, key=rates.__getitem__)
    if rates[fastest] > rates[slowest] * 1.05 or rates[slowest] <= 0:
        raise DataError(
            f"`folder` must hold videos of one frame rate, got {rates[slowest]:g} fps in {slowest.name} and "
            f"{rates[fastest]:g} in {fastest.name}. Encode them alike, or import them apart."
        )
    return rates[fastest]


def _read_all_actions(folder: Path, videos: list[Path]) -> tuple[ActionSpace, dict[Path, np.ndarray]]:
    """Read every action file; return the space they share and the raw actions of each video."""
    found: dict[Path, np.ndarray] = {}
    names: tuple[str, ...] = ()
    for video in videos:
        files = [video.with_suffix(s) for s in ACTION_SUFFIXES if video.with_suffix(s).is_file()]
        if len(files) > 1:
            both = f"{files[0].name} and {files[1].name}"
            raise DataError(f"`{video}` must have one action file, got {both}. Keep one.")
        if files:
            found[video], header = _read_actions(files[0])
            names = header or names
    if not found:
        return ActionSpace("none"), {}
    if len(found) < len(videos):
        without = next(video for video in videos if video not in found)
        raise DataError(
            f"`folder` must hold actions for every video or for none, got none for {without.name}. "
            f"Add {without.stem}.csv, .npy or .json, or import it apart."
        )
    space = _read_space(folder / "action_space.json") or _infer_space(found, names)
    for video, values in found.items():
        try:
            found[video] = space.check(values.reshape(len(values), *space.shape))
        except (ActionError, ValueError) as error:
            raise DataError(f"`{video.name}` must have actions like the others, got: {error}") from None
    return space, found


def _read_actions(file: Path) -> tuple[np.ndarray, tuple[str, ...]]:
    """Read one action file into `[T]` or `[T, A]` numbers, and the names in its header if it has one."""
    names: tuple[str, ...] = ()
    try:
        if file.suffix == ".npy":
            array = np.load(file, allow_pickle=False)
        elif file.suffix == ".json":
            values = json.loads(file.read_text())
            array = np.asarray(values["actions"] if isinstance(values, dict) else values)
        else:
            rows = [row for row in csv.reader(file.read_text().splitlines()) if row]
            if rows and not _is_number(rows[0][0]):
                names, rows = tuple(cell.strip() for cell in rows[0]), rows[1:]
            array = np.asarray([[float(cell) for cell in row] for row in rows])
            array = array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array
            if not any("." in cell or "e" in cell.lower() for row in rows for cell in row):
                array = array.astype(np.int64)
        if array.ndim not in (1, 2) or array.dtype.kind not in "iufb" or not array.size:
            raise ValueError(f"{array.dtype} {list(array.shape)}")
    except (ValueError, KeyError, OSError) as error:
        raise DataError(
            f"`{file}` must hold one row of numbers per action, got {error}. "
            "See the head of worldling/data/formats/video.py."
        ) from None
    return array, names


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _read_space(file: Path) -> ActionSpace | None:
    if not file.is_file():
        return None
    try:
        return from_dict(ActionSpace, json.loads(file.read_text()), "action_space")
    except (ValueError, ConfigError) as error:
        raise DataError(f"`{file}` must describe an action space, got {error}. See ActionSpace.") from None


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
        return ActionSpace("discrete", (int(high) + 1,))
    if np.max(high) <= 1:
        return ActionSpace("multi_binary", (2,) * values.shape[1], names=names)
    return ActionSpace("multi_discrete", tuple(int(n) + 1 for n in high), names=names)
