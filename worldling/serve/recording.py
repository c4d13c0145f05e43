"""Write mp4 and GIF files of what a player saw: the dream, or the dream next to the real frames."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from itertools import chain

import numpy as np

from worldling.data.fit import resize
from worldling.errors import ServeError
from worldling.serve.history import StoredFrame
from worldling.serve.messages import decode_jpeg

MIN_SIDE_PX = 256
GAP_PX = 8
PALETTE_FRAMES = 8
SAME_SHAPE = 0.03  # share by which sides are rounded to whole pixels
GIF_MAX_FPS = 50  # browsers slow down delays below 20 ms


def compose(frame: StoredFrame, aspect: float = 0.0) -> np.ndarray:
    """Return the picture to record, uint8 `[H, W, 3]`, with even sides; small frames are enlarged by a whole factor.

    aspect: true width over height, for pictures that were squeezed; 0 takes them as they are.
    """
    pictures = [decode_jpeg(jpeg) for jpeg in (frame.jpeg, frame.real_jpeg) if jpeg]
    scale = -(-MIN_SIDE_PX // min(pictures[0].shape[:2]))
    pictures = [picture.repeat(scale, axis=0).repeat(scale, axis=1) for picture in pictures]
    height = pictures[0].shape[0]
    if aspect and abs(height * aspect / pictures[0].shape[1] - 1) > SAME_SHAPE:
        pictures = [resize(picture, round(height * aspect), height) for picture in pictures]
    gap = np.zeros((pictures[0].shape[0], GAP_PX, 3), np.uint8)
    joined = np.concatenate([pictures[0], gap, pictures[1]], axis=1) if pictures[1:] else pictures[0]
    height, width = joined.shape[:2]
    return np.pad(joined, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")


def write_mp4(
    frames: list[StoredFrame], fps: float, stopped: Callable[[], bool] = lambda: False, aspect: float = 0.0
) -> bytes:
    """Encode frames as an H.264 mp4 that plays everywhere, one picture in memory at a time.

    Raises `ServeError` if there are none, or as soon as `stopped` returns True.
    """
    import av

    pictures = _pictures(frames, stopped, aspect)
    first = next(pictures)
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as container:
        rate = Fraction(fps).limit_denominator(1000)
        stream = container.add_stream("libx264", rate=rate, options={"crf": "16", "preset": "veryfast"})
        stream.height, stream.width = first.shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.thread_count = 1  # the other cores are the players'
        for picture in chain([first], pictures):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return out.getvalue()


def write_gif(
    frames: list[StoredFrame], fps: float, stopped: Callable[[], bool] = lambda: False, aspect: float = 0.0
) -> bytes:
    """Encode frames as an endless GIF with one palette; keeps every k-th frame above 50 FPS.

    Raises `ServeError` as `write_mp4` does.
    """
    from PIL import Image

    every = max(1, -(-int(fps) // GIF_MAX_FPS))
    frames = frames[::every]
    # One palette from frames all over the clip: with a palette per frame, static areas would flicker.
    sample = frames[:: max(1, -(-len(frames) // PALETTE_FRAMES))]
    spread = [Image.fromarray(picture) for picture in _pictures(sample, stopped, aspect)]
    sheet = Image.new("RGB", (spread[0].width, spread[0].height * len(spread)))
    for row, image in enumerate(spread):
        sheet.paste(image, (0, row * image.height))
    palette = sheet.quantize(256, method=Image.Quantize.MEDIANCUT)
    images = (
        Image.fromarray(picture).quantize(palette=palette, dither=Image.Dither.NONE)
        for picture in _pictures(frames, stopped, aspect)
    )
    first = next(images)
    # GIF times are multiples of 10 ms: round each frame's end, not its length, or 15 FPS would play at 16.7.
    ends = [round(100 * every / fps * (i + 1)) * 10 for i in range(len(frames))]
    durations = [end - begin for begin, end in zip([0, *ends], ends, strict=False)]
    out = io.BytesIO()
    first.save(out, "GIF", save_all=True, append_images=images, duration=durations, loop=0)
    return out.getvalue()


def _pictures(frames: Iterable[StoredFrame], stopped: Callable[[], bool], aspect: float) -> Iterator[np.ndarray]:
    """Yield the pictures one by one. Raises `ServeError` if there is none, or once `stopped`."""
    empty = True
    for frame in frames:
        if stopped():
            raise ServeError(
                "`recording` must be encoded before the server stops, got a stop. Start the server and record again."
            )
        yield compose(frame, aspect)
        empty = False
    if empty:
        raise ServeError("`frames` must hold at least one frame, got none. Play before you save.")
