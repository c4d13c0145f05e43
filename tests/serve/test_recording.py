"""Films decode to what was seen."""

import io

import numpy as np
import pytest
from PIL import Image

from worldling.errors import ServeError
from worldling.serve.history import StoredFrame
from worldling.serve.messages import encode_jpeg
from worldling.serve.recording import GAP_PX, compose, write_gif, write_mp4


def stored_frames(num, size_px=64, real=False):
    rows = np.arange(size_px)[:, None, None]
    frames = []
    for i in range(num):
        frame = np.broadcast_to((rows * 2 + 4 * i) % 256, (size_px, size_px, 3)).astype(np.uint8)
        frames.append(StoredFrame(i, encode_jpeg(frame), real_jpeg=encode_jpeg(255 - frame) if real else None))
    return frames


@pytest.mark.parametrize(
    "size_px, real, shape",
    [
        (64, False, (256, 256)),
        (64, True, (256, 512 + GAP_PX)),
        (256, False, (256, 256)),
        (300, False, (300, 300)),
        (99, False, (298, 298)),
    ],
)
def test_a_picture_is_large_enough_and_even(size_px, real, shape):
    assert compose(stored_frames(1, size_px, real)[0]).shape == (*shape, 3)


def test_mp4():
    av = pytest.importorskip("av")
    with av.open(io.BytesIO(write_mp4(stored_frames(12, real=True), fps=12.5))) as film:
        stream = film.streams.video[0]
        assert stream.codec_context.name == "h264" and float(stream.average_rate) == 12.5
        frames = [frame.to_ndarray(format="rgb24") for frame in film.decode(stream)]
    error = np.abs(frames[5].astype(int) - compose(stored_frames(12, real=True)[5])).mean()
    assert len(frames) == 12 and error < 6


@pytest.mark.parametrize("fps, frames, seconds", [(15.0, 30, 2.0), (120.0, 10, 0.25)])
def test_gif(fps, frames, seconds):
    film = Image.open(io.BytesIO(write_gif(stored_frames(30), fps)))
    durations = []
    for i in range(film.n_frames):
        film.seek(i)
        durations.append(film.info["duration"])
    assert film.n_frames == frames and film.size == (256, 256)
    assert sum(durations) == pytest.approx(1000 * seconds, abs=10)


@pytest.mark.parametrize("write", [write_mp4, write_gif])
def test_nothing_to_record(write):
    with pytest.raises(ServeError, match="at least one frame"):
        write([], 10)


@pytest.mark.parametrize("write", [write_mp4, write_gif])
def test_a_server_that_stops_does_not_wait_for_the_film(write):
    asked = []

    def stopped():
        asked.append(1)
        return len(asked) > 12

    with pytest.raises(ServeError, match="before the server stops"):
        write(stored_frames(30), 10, stopped)
    assert len(asked) == 13
