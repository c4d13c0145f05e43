"""The drift alarm: says when a dream no longer looks like what the world was shown.

    alarm = DriftAlarm.fit(world, clips)                  # real clips; or DriftAlarm.load(world.path)
    state = world.start(frames, actions)
    watch = alarm.watch(world, frames)
    look = watch.look(world.step(state, action).frame)    # look.rings, look.score

It knows colours, edges and change, not things. From real clips it learns how far each of them strays from where it
was at the start: red that covered this much then has covered between so and so much since, in the real clips in which
red covered about as much. What strays further rings: things that vanish or multiply, melting, noise, flicker, and
standing still where real frames never do. The limit is set so that at most a wanted share of real frames rings, on
average over new clips: conformal prediction for groups (Dunn et al., arXiv 1809.07441; Lee et al., arXiv
2306.06342), since frames of one clip resemble each other; ours leaves out one clip at a time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from worldling.errors import CheckpointError, ShapeError
from worldling.protocol import WorldModel
from worldling.types import check_frames

#: Share of real frames on which it is meant to ring at most.
RATE = 0.005
FILE = "alarm.safetensors"
_FORMAT = "worldling-alarm-1"
_BITS = 4  # of each of R, G, B that are looked at
_HUES, _GREYS = 6, 3
_SEAM = 0.17  # half width of the seam between two hues, where a colour counts partly for each
_LITTLE = 1e-3  # share of the picture that is as good as nothing
_STILL = 1e-4  # change as good as none, of a range of 1
_ALIKE = 32  # real clips that a start is compared with, colour by colour
_USUAL = 0.25  # their usual range lies between this quantile and its mirror
_SPREAD, _RARE = 0.02, 0.005  # quantiles of the spread of all that strays, and of change
_WIDE = 0.7  # a spread from which on all colours count alike
_LEAST = 0.05  # excess that never rings, were real frames to show none
_LARGEST_PX = 64  # larger frames are looked at through a grid of about this many points a side
FEWEST_CLIPS = 8
#: Clips drawn from a data set, and the most frames of each that are spanned.
CLIPS, CLIP_FRAMES = 256, 64


@dataclass(frozen=True)
class Look:
    """What the alarm says of a frame, or of each of B: score, above 1 where it rings; rings."""

    score: Any
    rings: Any


class DriftAlarm:
    """A fitted alarm; it never changes. Make it with `fit` or `load`.

    starts `[E, F]`: what E real clips looked like at their start; strays `[E, T, F]`: how far they strayed since;
    change `[2]`: the range of change from a frame to the next; limit: of the excess over the usual ranges;
    rate: share of real frames that it is meant to ring on at most. All in logarithms.
    """

    def __init__(self, starts: np.ndarray, strays: np.ndarray, change: np.ndarray, limit: float, rate: float) -> None:
        self.starts, self.strays, self.change, self.limit, self.rate = starts, strays, change, limit, rate
        low, high = np.quantile(strays, (_SPREAD, 1 - _SPREAD), axis=(0, 1))
        self._unit = np.clip((high - low) / _WIDE, 1e-3, 1.0)  # what hardly ever strays counts sooner

    @classmethod
    def fit(
        cls,
        world: WorldModel,
        clips: Sequence[np.ndarray] | np.ndarray,
        steps: Sequence[int] | np.ndarray | None = None,
        rate: float = RATE,
    ) -> "DriftAlarm":
        """Learn from real clips uint8 `[E, T, H, W, 3]`, each from its start on.

        clips: at least `FEWEST_CLIPS`, better 2 / rate; steps `[T]`: the number of each frame, if not all of a clip are
        given; rate: share of real frames to ring on at most. The frames are compared as the world decodes them. Cost:
        encoding and decoding them. Raises `ShapeError`.
        """
        films = check_frames(clips, "clips", ndim=(5,))
        if len(films) < FEWEST_CLIPS or films.shape[1] < 2:
            raise ShapeError(
                f"`clips` must be at least {FEWEST_CLIPS} clips of at least 2 frames, got {list(films.shape)}. "
                "Record more."
            )
        sights, changes = _films(through(world, films), steps)
        known = changes[np.isfinite(changes)]
        change = np.quantile(known, (_RARE, 1 - _RARE)) if len(known) else np.array([np.log(_STILL), 0.0])
        alarm = cls(sights[:, 0], sights[:, 1:] - sights[:, :1], change, 1.0, rate)
        own = [
            alarm._excess(alarm.strays[e], *alarm._ranges(alarm.starts[e], without=e), changes[e])
            for e in range(len(films))
        ]
        alarm.limit = max(conformal_limit(np.stack(own), rate), _LEAST)
        return alarm

    @classmethod
    def fit_on(cls, world: WorldModel, data: str | Path, rate: float = RATE, seed: int = 0) -> "DriftAlarm":
        """Learn from `CLIPS` clips drawn at random from the data set in folder `data`, as the world was trained on.

        Raises `DatasetError`, or `ShapeError` if its frames have another size than the world's.
        """
        from worldling.data.store import open_dataset

        dataset = open_dataset(data)
        try:
            if dataset.meta.size_px != world.size_px:
                raise ShapeError(
                    f"`data` must hold {world.size_px} px frames for this world, got {dataset.meta.size_px} px "
                    f"in {data}. Record with --size-px {world.size_px}."
                )
            clips, steps = _draw_clips(dataset, np.random.default_rng(seed))
        finally:
            dataset.close()
        return cls.fit(world, clips, steps, rate)

    def watch(self, world: WorldModel, frames: np.ndarray) -> "Watch":
        """Begin to watch a roll-out that starts from real frames uint8 `[T, H, W, 3]`, or B from `[B, T, H, W, 3]`."""
        frames = check_frames(frames)
        return Watch(self, through(world, frames[..., -1, :, :, :]))

    def scores(self, films: np.ndarray, steps: Sequence[int] | None = None) -> np.ndarray:
        """Look at whole films uint8 `[n, T, H, W, 3]`, the first frame of each being its start: scores `[n, T - 1]`.

        steps `[T]`: the number of each frame, if not all were drawn; change is looked at only where they follow
        each other. Above 1 it rings.
        """
        sights, changes = _films(check_frames(films, "films", ndim=(5,)), steps)
        return np.stack(
            [
                self._excess(sight[1:] - sight[0], *self._ranges(sight[0]), change) / self.limit
                for sight, change in zip(sights, changes)
            ]
        )

    def save(self, folder: str | Path) -> Path:
        """Write `FILE` into a world's folder; it is bound to the weights that lie there."""
        import torch

        from worldling.checkpoint import write_tensors

        path = Path(folder) / FILE
        tensors = {
            name: torch.from_numpy(np.asarray(getattr(self, name), np.float32))
            for name in ("starts", "strays", "change")
        }
        write_tensors(
            path, tensors, {"format": _FORMAT, "limit": self.limit, "rate": self.rate, "weights": _weights(folder)}
        )
        return path

    @classmethod
    def load(cls, folder: str | Path) -> "DriftAlarm":
        """Read the alarm of the world in `folder`.

        Raises `CheckpointError` if there is none, or it belongs to other weights.
        """
        import torch

        from worldling.checkpoint import read_tensors

        path = Path(folder) / FILE
        todo = f"Fit it with `worldling judge {folder} --suite horizon`, or on recorded frames with --alarm DATA."
        if not path.exists():
            raise CheckpointError(
                f"`alarm` must be fitted before it can be switched on, got no {FILE} in {folder}. {todo}"
            )
        tensors, meta = read_tensors(path, inside=Path(folder))
        if meta.get("format") != _FORMAT or meta.get("weights") != _weights(folder):
            raise CheckpointError(f"`{path}` must have been fitted to the weights beside it, got one of others. {todo}")
        found = [tensors.get(name, torch.zeros(0)).float() for name in ("starts", "strays", "change")]
        starts, strays, change = (tensor.numpy() for tensor in found)
        count, features, numbers = len(starts), _HUES + _GREYS + 1, [meta.get("limit"), meta.get("rate")]
        fits = starts.shape == (count, features) and strays.ndim == 3 and change.shape == (2,)
        fits = fits and strays.shape == (count, strays.shape[1], features) and strays.size > 0
        fits = fits and all(np.isfinite(array).all() for array in (starts, strays, change))
        if not fits or not all(type(n) in (int, float) and 0 < n < 1e6 for n in numbers):
            raise CheckpointError(f"`{path}` must hold a fitted alarm, got a damaged or foreign one. {todo}")
        return cls(starts, strays, change, numbers[0], numbers[1])

    def _ranges(self, start: np.ndarray, without: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return the usual range, low and high `[F]`, of how far what looked like `start` `[F]` strays.

        without: a clip left out.
        """
        away = np.abs(self.starts - start)
        if without is not None:
            away[without] = np.inf
        count = min(_ALIKE, len(away) - (without is not None))
        alike = np.argpartition(away, count - 1, axis=0)[:count]
        near = np.take_along_axis(self.strays, alike[:, None], axis=0)
        low, high = np.quantile(near, (_USUAL, 1 - _USUAL), axis=(0, 1))
        return low, high

    def _excess(self, stray: np.ndarray, low: np.ndarray, high: np.ndarray, change: np.ndarray) -> np.ndarray:
        """Return how far frames are outside the usual ranges, at least 0.

        stray `[..., F]`; change `[...]`, NaN if not known.
        """
        outside = (np.maximum(low - stray, stray - high) / self._unit).max(axis=-1)
        jump = np.maximum(self.change[0] - change, change - self.change[1])
        return np.fmax(np.maximum(outside, 0.0), jump)


class Watch:
    """Watches one dream, or B in a batch: made by `DriftAlarm.watch`, and all that it remembers is the frame before."""

    def __init__(self, alarm: DriftAlarm, start: np.ndarray) -> None:
        self.alarm = alarm
        self._start, self._before = sight(start), brightness(start)
        starts = np.atleast_2d(self._start)
        low, high = zip(*(alarm._ranges(row) for row in starts))
        self._low, self._high = (np.stack(side).reshape(self._start.shape) for side in (low, high))

    def look(self, frame: np.ndarray) -> Look:
        """Look at the next frame uint8 `[H, W, 3]`, or `[B, H, W, 3]`. Cost: about 0.1 ms at 64 px."""
        now = brightness(frame)
        change = np.full(now.shape[:-2], np.nan) if self._before is None else _change(self._before, now)
        self._before = now
        score = self.alarm._excess(sight(frame) - self._start, self._low, self._high, change) / self.alarm.limit
        return Look(float(score), bool(score > 1)) if np.ndim(score) == 0 else Look(score, score > 1)

    def cut(self) -> None:
        """Say that the next frame does not follow the one before: its change then counts for nothing."""
        self._before = None


def through(world: WorldModel, frames: np.ndarray) -> np.ndarray:
    """Return real frames as the world draws them, so that only drift tells a dream from them."""
    return world.decode(world.encode(frames))


def _draw_clips(dataset: Any, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw `CLIPS` clips, each of another episode while there are, and of each some pairs of frames.

    Returns the clips and the numbers of their frames.
    """
    length = min(CLIP_FRAMES, max(dataset.lengths))
    pairs = np.linspace(0, length - 2, min(5, length - 1)).astype(int)
    steps = np.unique([pairs, pairs + 1])
    clips = []
    for episode in np.resize(rng.permutation([i for i, held in enumerate(dataset.lengths) if held >= length]), CLIPS):
        first = int(rng.integers(dataset.lengths[episode] - length + 1))
        clips.append(dataset.frames(int(episode), first, first + length)[steps])
    return np.stack(clips), steps


def conformal_limit(scores: np.ndarray, rate: float) -> float:
    """Return the limit that a share `rate` at most of the scores of one more clip is above, on average over such clips.

    scores `[E, T]`, of E clips. The clip to come counts as wholly above, so with fewer than 1 / rate clips nothing can
    be promised and the largest score is returned.
    """
    clips, frames = scores.shape
    above = int(((clips + 1) * rate - 1) * frames + 1e-9)
    return float(np.sort(scores, axis=None)[-1 - max(above, 0)])


def sight(frames: np.ndarray) -> np.ndarray:
    """Describe frames uint8 `[..., H, W, 3]` by logarithms `[..., F]`: shares of hues and greys, sharpness of edges."""
    points = _points(frames)
    lead, count = points.shape[:-3], points.shape[-3] * points.shape[-2]
    levels = points >> 8 - _BITS
    codes = (levels[..., 0].astype(np.intp) << 2 * _BITS) | (levels[..., 1] << _BITS) | levels[..., 2]
    codes, wheel = codes.reshape(-1, count), _wheel()
    codes += np.arange(len(codes))[:, None] * len(wheel)
    tally = np.bincount(codes.ravel(), minlength=len(codes) * len(wheel)).reshape(len(codes), -1)
    shares = tally.astype(np.float32) @ wheel / count
    bright = brightness(frames)
    edges = _mean(np.abs(bright[..., 1:] - bright[..., :-1])) + _mean(np.abs(bright[..., 1:, :] - bright[..., :-1, :]))
    shares = np.concatenate([shares.reshape(*lead, -1), edges[..., None] / 255], -1)
    return np.log(shares + _LITTLE).astype(np.float32)


def brightness(frames: np.ndarray) -> np.ndarray:
    """Return the green, for brightness, of the sampled points of frames `[..., H, W, 3]`: int16 `[..., h, w]`."""
    return _points(frames)[..., 1].astype(np.int16)


def _points(frames: np.ndarray) -> np.ndarray:
    stride = max(1, round(frames.shape[-2] / _LARGEST_PX))
    return frames[..., ::stride, ::stride, :]


def _mean(pictures: np.ndarray) -> np.ndarray:
    return pictures.sum(axis=(-2, -1), dtype=np.int64) / (pictures.shape[-2] * pictures.shape[-1])


def _change(before: np.ndarray, now: np.ndarray) -> np.ndarray:
    """Logarithm of the mean change in brightness between pictures `[..., H, W]`: `[...]`."""
    return np.log(_mean(np.abs(now - before)) / 255 + _STILL)


def _films(films: np.ndarray, steps: Sequence[int] | None) -> tuple[np.ndarray, np.ndarray]:
    """Return sights `[n, T, F]` of films, and changes `[n, T - 1]`, NaN where frames do not follow each other."""
    numbers = np.arange(films.shape[1]) if steps is None else np.asarray(steps)[: films.shape[1]]
    sights = np.stack([sight(film) for film in films])
    changes = np.stack([_change(film[:-1], film[1:]) for film in map(brightness, films)])
    return sights, np.where(np.diff(numbers) == 1, changes, np.nan)


@cache
def _wheel() -> np.ndarray:
    """Return how much each colour is of each hue and grey, summing to 1: `[8**_BITS, _HUES + _GREYS]`."""
    levels = 2**_BITS
    r, g, b = (np.indices((levels,) * 3).reshape(3, -1) + 0.5) / levels
    top, bottom = np.maximum(np.maximum(r, g), b), np.minimum(np.minimum(r, g), b)
    span = np.maximum(top - bottom, 1e-9)
    hue = np.where(top == r, (g - b) / span % 6, np.where(top == g, (b - r) / span + 2, (r - g) / span + 4)) / 6 * _HUES
    grey = (0.3 * r + 0.59 * g + 0.11 * b) * (_GREYS - 1)
    colourful = np.clip(((top - bottom) / np.maximum(top, 0.2) - 0.2) / 0.3, 0.0, 1.0)
    apart = np.abs((hue[:, None] - np.arange(_HUES) + _HUES / 2) % _HUES - _HUES / 2)
    hues = np.clip((0.5 + _SEAM - apart) / (2 * _SEAM), 0.0, 1.0)
    greys = np.clip(1 - np.abs(grey[:, None] - np.arange(_GREYS)), 0.0, 1.0)
    return np.concatenate([hues * colourful[:, None], greys * (1 - colourful)[:, None]], 1).astype(np.float32)


def _weights(folder: str | Path) -> str:
    """Fingerprint of the weights in a world's folder; empty if there are none."""
    path = Path(folder) / "weights.safetensors"
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
