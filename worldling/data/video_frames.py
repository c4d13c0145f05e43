"""Decode a video as a player shows it: upright, with square pixels, each frame at its time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from worldling.errors import DataError

#: Frames are evenly spaced if no gap differs from the usual one by more than this share of it.
UNEVEN = 0.5
#: A gap is a pause if it is this many times the usual one, and this many seconds.
PAUSE_TIMES, PAUSE_S = 10.0, 1.0


@dataclass(frozen=True)
class Timing:
    """When the frames of a video are shown.

    fps: frames per second, pauses left out; even: whether they are evenly spaced between pauses; pauses: how many;
    pause_s: gaps longer than this are pauses; longest_s, longest_at_s: the longest gap, and where it begins.
    """

    fps: float
    even: bool = True
    pauses: int = 0
    pause_s: float = float("inf")
    longest_s: float = 0.0
    longest_at_s: float = 0.0


def timing(video: Path) -> Timing:
    """Read the times of all frames of a video, without decoding them. Raises `DataError` if it cannot be read."""
    import av

    try:
        with _opened(video) as container:
            stream = container.streams.video[0]
            said = float(stream.average_rate or 0)
            times = np.asarray(
                sorted(float(p.pts * p.time_base) for p in container.demux(stream) if p.pts is not None and p.size)
            )
    except (av.error.FFmpegError, IndexError, OSError) as error:
        raise undecodable(video, error) from None
    gaps = np.diff(times)
    if len(gaps) < 2 or not (gaps > 0).any():
        return Timing(said)  # of containers that keep no times
    usual = float(np.median(gaps[gaps > 0]))
    pause_s = max(PAUSE_S, PAUSE_TIMES * usual)
    is_pause = gaps > pause_s
    between = gaps[~is_pause]
    if not between.sum():
        return Timing(said)
    fps = float(f"{len(between) / float(between.sum()):.9g}")
    even = bool((np.abs(between - usual) <= UNEVEN * usual).all())
    if even and abs(fps - said) <= 1e-3 * said:
        fps = said  # exactly, such as 30000 / 1001
    longest = int(gaps.argmax())
    first = float(times[0])
    return Timing(fps, even, int(is_pause.sum()), pause_s, float(gaps[longest]), float(times[longest]) - first)


def pictures(video: Path, timed: Timing) -> Iterator[np.ndarray | None]:
    """Yield a video's frames uint8 `[H, W, 3]`, and None where a pause lies between two.

    If they are not evenly spaced, each picture is the frame that is shown at that time, at `timed.fps`.
    Raises `DataError` if the video cannot be decoded.
    """
    if timed.even and not timed.pauses:
        yield from (picture for _, picture in _decoded(video))
        return
    period, due, last, before = 1 / timed.fps, 0.0, None, 0.0
    for time, picture in _decoded(video):
        if last is None:
            due = time
        elif time - before > timed.pause_s:
            yield last
            yield None
            due = time
        while last is not None and due + period / 4 < time:
            yield last
            due += period
        last, before = picture, time
    if last is not None:
        yield last


def undecodable(video: Path, error: Exception) -> DataError:
    """Build the error for a video that cannot be decoded."""
    if isinstance(error, (PermissionError, FileNotFoundError)):
        return DataError(f"`{video}` must be readable, got {error.strerror}. Change its rights, or copy it again.")
    return DataError(f"`{video}` must be a video that can be decoded, got {error}. Encode it again.")


def _opened(video: Path) -> Any:
    import av

    return av.open(str(video.absolute()))  # else what comes before a colon would be taken for a protocol


def _decoded(video: Path) -> Iterator[tuple[float, np.ndarray]]:
    """Yield the time and the picture of each frame."""
    import av

    try:
        with _opened(video) as container:
            shape = container.streams.video[0].sample_aspect_ratio
            for frame in container.decode(video=0):
                picture = frame.to_ndarray(format="rgb24", **_square(frame, shape))
                quarters = round(frame.rotation / 90)
                upright = np.rot90(picture, quarters) if quarters % 4 else picture
                yield float(frame.time or 0.0), upright
    except (av.error.FFmpegError, IndexError, OSError) as error:
        raise undecodable(video, error) from None


def _square(frame: Any, shape: Any) -> dict[str, int]:
    """Return the size to draw a frame at whose pixels are `shape` times as wide as high; no size if they are square."""
    if not shape or shape == 1:
        return {}
    if shape > 1:
        return {"width": round(frame.width * float(shape)), "height": frame.height}
    return {"width": frame.width, "height": round(frame.height / float(shape))}
