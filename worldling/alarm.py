"""The drift alarm: detects roll-outs that no longer look like real clips.

    alarm = DriftAlarm.fit(world, clips)                  # real clips; or DriftAlarm.load(world.path)
    state = world.start(frames, actions)
    monitor = alarm.monitor(world, frames)
    found = monitor.update(world.step(state, action).frame)    # found.raised, found.score

The features of a frame are its shares of each hue and grey, its edges, and its change from the frame before; there is
no notion of objects. The alarm compares them with the start of the roll-out. From the real clips with the most similar
start it learns how far each feature usually deviates from the start. A frame outside that range raises the alarm:
objects that vanish or multiply, blur, noise, flicker, and standing still where real frames never do. The limit bounds
the share of real frames with a false alarm, on average over new clips, by conformal prediction for groups (Dunn et al.,
arXiv 1809.07441; Lee et al., arXiv 2306.06342), since frames of one clip are not independent; here one clip is left
out at a time.
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

#: Largest share of real frames with a false alarm.
FALSE_ALARM_RATE = 0.005
FILE = "alarm.safetensors"
_FORMAT = "worldling-alarm-1"
_BITS = 4  # kept of each of R, G, B
_HUES, _GREYS = 6, 3
_HUE_BLEND = 0.17  # half width of the border between two hues, where a colour counts partly for each
_SHARE_EPSILON = 1e-3  # added to shares of the picture before the logarithm
_CHANGE_EPSILON = 1e-4  # added to changes, which are from 0 to 1, before the logarithm
_NEIGHBORS = 32  # real clips with the most similar start, for each feature on its own
_RANGE_QUANTILE = 0.25  # their usual range: from this quantile to one minus it
_DEVIATION_TAIL, _CHANGE_TAIL = 0.02, 0.005  # quantiles: of the spread of the deviations of all clips, of change
_WIDE_SPREAD = 0.7  # features with this spread or more have the same weight
_MIN_LIMIT = 0.05  # the limit is never below this excess
_MAX_POINTS = 64  # larger frames are subsampled to about this many points a side
MIN_CLIPS = 8
#: Clips drawn from a data set to fit on, and the largest length of each in frames.
FIT_CLIPS, CLIP_FRAMES = 256, 64


@dataclass(frozen=True)
class Detection:
    """The result for one frame, or arrays `[B]` for a batch: score; raised, where the score is above 1."""

    score: Any
    raised: Any


class DriftAlarm:
    """A fitted alarm; it never changes. Make it with `fit` or `load`.

    starts `[E, F]`: features of the first frames of E real clips; deviations `[E, T, F]`: of their later frames from
    these; change `[2]`: usual range of the change from a frame to the next; limit: of the excess over the usual
    ranges; rate: largest share of real frames with a false alarm. All but the rate in logarithms.
    """

    def __init__(
        self, starts: np.ndarray, deviations: np.ndarray, change: np.ndarray, limit: float, rate: float
    ) -> None:
        self.starts, self.deviations, self.change, self.limit, self.rate = starts, deviations, change, limit, rate
        low, high = np.quantile(deviations, (_DEVIATION_TAIL, 1 - _DEVIATION_TAIL), axis=(0, 1))
        self._unit = np.clip((high - low) / _WIDE_SPREAD, 1e-3, 1.0)  # features that hardly vary weigh more

    @classmethod
    def fit(
        cls,
        world: WorldModel,
        clips: Sequence[np.ndarray] | np.ndarray,
        steps: Sequence[int] | np.ndarray | None = None,
        rate: float = FALSE_ALARM_RATE,
    ) -> DriftAlarm:
        """Learn from real clips uint8 `[E, T, H, W, 3]`, each from its start on.

        clips: at least `MIN_CLIPS`, better 2 / rate; steps `[T]`: the number of each frame, if not all of a clip are
        given; rate: largest share of real frames with a false alarm. The frames are encoded and decoded first, which
        is the cost. Raises `ShapeError`.
        """
        clips = check_frames(clips, "clips", ndim=(5,))
        if len(clips) < MIN_CLIPS or clips.shape[1] < 2:
            raise ShapeError(
                f"`clips` must be at least {MIN_CLIPS} clips of at least 2 frames, got {list(clips.shape)}. "
                "Record more."
            )
        return cls.fit_features(*clip_features(reconstruct(world, clips), steps), rate)

    @classmethod
    def fit_features(
        cls, features: np.ndarray, changes: np.ndarray, rate: float = FALSE_ALARM_RATE, by_clip: bool = False
    ) -> DriftAlarm:
        """Learn from features `[E, T, F]` and changes `[E, T - 1]` of real clips, see `clip_features`.

        rate: largest share of real frames with a false alarm, or by_clip: of real clips with one in any frame.
        """
        known = changes[np.isfinite(changes)]
        change = (
            np.quantile(known, (_CHANGE_TAIL, 1 - _CHANGE_TAIL))
            if len(known)
            else np.array([np.log(_CHANGE_EPSILON), 0.0])
        )
        alarm = cls(features[:, 0], features[:, 1:] - features[:, :1], change, 1.0, rate)
        excess = alarm.left_out(features, changes)
        alarm.limit = max(conformal_limit(excess.max(axis=1, keepdims=True) if by_clip else excess, rate), _MIN_LIMIT)
        return alarm

    def left_out(self, features: np.ndarray, changes: np.ndarray) -> np.ndarray:
        """Return how far clips are outside the usual ranges, each compared with all clips that were fitted but its own.

        features `[E, T, F]`, changes `[E, T - 1]`: of clips that begin as those that were fitted: `[E, T - 1]`. The
        alarm is raised above `limit`.
        """
        rows = [
            self._excess(clip[1:] - clip[0], *self._ranges(self.starts[e], without=e), change)
            for e, (clip, change) in enumerate(zip(features, changes, strict=True))
        ]
        return np.stack(rows)

    @classmethod
    def fit_on(cls, world: WorldModel, data: str | Path, rate: float = FALSE_ALARM_RATE, seed: int = 0) -> DriftAlarm:
        """Learn from `FIT_CLIPS` clips drawn at random from the data set in folder `data`, as the world was trained on.

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

    def monitor(self, world: WorldModel, frames: np.ndarray) -> Monitor:
        """Return a monitor of a roll-out from real frames uint8 `[T, H, W, 3]`, or of B from `[B, T, H, W, 3]`."""
        frames = check_frames(frames)
        return Monitor(self, reconstruct(world, frames[..., -1, :, :, :]))

    def scores(self, clips: np.ndarray, steps: Sequence[int] | None = None) -> np.ndarray:
        """Score whole clips uint8 `[n, T, H, W, 3]`, the first frame of each being its start: scores `[n, T - 1]`.

        steps `[T]`: the number of each frame, if not all are given; change counts only between consecutive ones.
        The alarm is raised above 1.
        """
        features, changes = clip_features(check_frames(clips, "clips", ndim=(5,)), steps)
        return np.stack(
            [
                self._excess(rows[1:] - rows[0], *self._ranges(rows[0]), change) / self.limit
                for rows, change in zip(features, changes, strict=False)
            ]
        )

    def save(self, folder: str | Path) -> Path:
        """Write `FILE` into a world's folder; it is valid only for the weights in it."""
        import torch

        from worldling.checkpoint import write_tensors

        path = Path(folder) / FILE
        arrays = {"starts": self.starts, "strays": self.deviations, "change": self.change}
        tensors = {name: torch.from_numpy(np.asarray(array, np.float32)) for name, array in arrays.items()}
        write_tensors(
            path, tensors, {"format": _FORMAT, "limit": self.limit, "rate": self.rate, "weights": _weights(folder)}
        )
        return path

    @classmethod
    def load(cls, folder: str | Path) -> DriftAlarm:
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
            raise CheckpointError(
                f"`{path}` must have been fitted to the weights beside it, got one for other weights. {todo}"
            )
        found = [tensors.get(name, torch.zeros(0)).float() for name in ("starts", "strays", "change")]
        starts, deviations, change = (tensor.numpy() for tensor in found)
        count, features = len(starts), _HUES + _GREYS + 1
        numbers: list[Any] = [meta.get("limit"), meta.get("rate")]
        fits = starts.shape == (count, features) and deviations.ndim == 3 and change.shape == (2,)
        fits = fits and deviations.shape == (count, deviations.shape[1], features) and deviations.size > 0
        fits = fits and all(np.isfinite(array).all() for array in (starts, deviations, change))
        if not fits or not all(type(n) in (int, float) and 0 < n < 1e6 for n in numbers):
            raise CheckpointError(f"`{path}` must hold a fitted alarm, got a damaged or foreign one. {todo}")
        return cls(starts, deviations, change, numbers[0], numbers[1])

    def _ranges(self, start: np.ndarray, without: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return the usual range, low and high `[F]`, of the deviation from a start with features `start` `[F]`.

        without: a clip left out.
        """
        away = np.abs(self.starts - start)
        if without is not None:
            away[without] = np.inf
        count = min(_NEIGHBORS, len(away) - (without is not None))
        alike = np.argpartition(away, count - 1, axis=0)[:count]
        near = np.take_along_axis(self.deviations, alike[:, None], axis=0)
        low, high = np.quantile(near, (_RANGE_QUANTILE, 1 - _RANGE_QUANTILE), axis=(0, 1))
        return low, high

    def _excess(self, deviation: np.ndarray, low: np.ndarray, high: np.ndarray, change: np.ndarray) -> np.ndarray:
        """Return how far frames are outside the usual ranges, at least 0.

        deviation `[..., F]`; change `[...]`, NaN if not known.
        """
        outside = (np.maximum(low - deviation, deviation - high) / self._unit).max(axis=-1)
        jump = np.maximum(self.change[0] - change, change - self.change[1])
        return np.fmax(np.maximum(outside, 0.0), jump)


class Monitor:
    """Checks one roll-out, or B in a batch, frame by frame. Made by `DriftAlarm.monitor`; keeps only the last frame."""

    def __init__(self, alarm: DriftAlarm, start: np.ndarray) -> None:
        self.alarm = alarm
        self._start = frame_features(start)
        self._previous: np.ndarray | None = brightness(start)
        starts = np.atleast_2d(self._start)
        low, high = zip(*(alarm._ranges(row) for row in starts), strict=False)
        self._low, self._high = (np.stack(side).reshape(self._start.shape) for side in (low, high))

    def update(self, frame: np.ndarray) -> Detection:
        """Check the next frame uint8 `[H, W, 3]`, or `[B, H, W, 3]`. Cost: about 0.1 ms at 64 px."""
        now = brightness(frame)
        change = np.full(now.shape[:-2], np.nan) if self._previous is None else change_of(self._previous, now)
        self._previous = now
        score = (
            self.alarm._excess(frame_features(frame) - self._start, self._low, self._high, change) / self.alarm.limit
        )
        return Detection(float(score), bool(score > 1)) if np.ndim(score) == 0 else Detection(score, score > 1)

    def forget_previous(self) -> None:
        """Tell that the next frame does not follow the last one, so that its change is not checked."""
        self._previous = None


def reconstruct(world: WorldModel, frames: np.ndarray) -> np.ndarray:
    """Encode and decode real frames, so that they differ from a roll-out by drift alone."""
    return world.decode(world.encode(frames))


def _draw_clips(dataset: Any, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw `FIT_CLIPS` clips, from different episodes as far as possible, and of each some pairs of consecutive frames.

    Returns the clips and the numbers of their frames.
    """
    length = min(CLIP_FRAMES, max(dataset.lengths))
    pairs = np.linspace(0, length - 2, min(5, length - 1)).astype(int)
    steps = np.unique([pairs, pairs + 1])
    clips = []
    for episode in np.resize(
        rng.permutation([i for i, held in enumerate(dataset.lengths) if held >= length]), FIT_CLIPS
    ):
        first = int(rng.integers(dataset.lengths[episode] - length + 1))
        clips.append(dataset.frames(int(episode), first, first + length)[steps])
    return np.stack(clips), steps


def conformal_limit(scores: np.ndarray, rate: float) -> float:
    """Return the limit that a share `rate` at most of the scores of one more clip is above, on average over such clips.

    scores `[E, T]`, of E clips. The new clip counts as wholly above, so with fewer than 1 / rate clips there is no
    guarantee and the largest score is returned.
    """
    clips, frames = scores.shape
    above = int(((clips + 1) * rate - 1) * frames + 1e-9)
    return float(np.sort(scores, axis=None)[-1 - max(above, 0)])


def frame_features(frames: np.ndarray) -> np.ndarray:
    """Describe frames uint8 `[..., H, W, 3]` by logarithms `[..., F]`: shares of hues and greys, sharpness of edges."""
    points = _subsample(frames)
    lead, count = points.shape[:-3], points.shape[-3] * points.shape[-2]
    levels = points >> 8 - _BITS
    codes = (levels[..., 0].astype(np.intp) << 2 * _BITS) | (levels[..., 1] << _BITS) | levels[..., 2]
    codes, weights = codes.reshape(-1, count), _color_weights()
    codes += np.arange(len(codes))[:, None] * len(weights)
    tally = np.bincount(codes.ravel(), minlength=len(codes) * len(weights)).reshape(len(codes), -1)
    shares = tally.astype(np.float32) @ weights / count
    bright = brightness(frames)
    edges = _mean(np.abs(bright[..., 1:] - bright[..., :-1])) + _mean(np.abs(bright[..., 1:, :] - bright[..., :-1, :]))
    shares = np.concatenate([shares.reshape(*lead, -1), edges[..., None] / 255], -1)
    return np.log(shares + _SHARE_EPSILON).astype(np.float32)


def brightness(frames: np.ndarray) -> np.ndarray:
    """Return the green, for brightness, of the sampled points of frames `[..., H, W, 3]`: int16 `[..., h, w]`."""
    return _subsample(frames)[..., 1].astype(np.int16)


def _subsample(frames: np.ndarray) -> np.ndarray:
    stride = max(1, round(frames.shape[-2] / _MAX_POINTS))
    return frames[..., ::stride, ::stride, :]


def _mean(pictures: np.ndarray) -> np.ndarray:
    return pictures.sum(axis=(-2, -1), dtype=np.int64) / (pictures.shape[-2] * pictures.shape[-1])


def change_of(before: np.ndarray, now: np.ndarray) -> np.ndarray:
    """Logarithm of the mean change in brightness between pictures `[..., H, W]`: `[...]`."""
    return np.log(_mean(np.abs(now - before)) / 255 + _CHANGE_EPSILON)


def clip_features(clips: np.ndarray, steps: Sequence[int] | np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return features `[n, T, F]` of clips, and changes `[n, T - 1]`, NaN where frames are not consecutive."""
    numbers = np.arange(clips.shape[1]) if steps is None else np.asarray(steps)[: clips.shape[1]]
    features = np.stack([frame_features(clip) for clip in clips])
    changes = np.stack([change_of(clip[:-1], clip[1:]) for clip in map(brightness, clips)])
    return features, np.where(np.diff(numbers) == 1, changes, np.nan)


@cache
def _color_weights() -> np.ndarray:
    """Return how much each colour is of each hue and grey, summing to 1: `[8**_BITS, _HUES + _GREYS]`."""
    levels = 2**_BITS
    r, g, b = (np.indices((levels,) * 3).reshape(3, -1) + 0.5) / levels
    top, bottom = np.maximum(np.maximum(r, g), b), np.minimum(np.minimum(r, g), b)
    span = np.maximum(top - bottom, 1e-9)
    hue = np.where(top == r, (g - b) / span % 6, np.where(top == g, (b - r) / span + 2, (r - g) / span + 4)) / 6 * _HUES
    grey = (0.3 * r + 0.59 * g + 0.11 * b) * (_GREYS - 1)
    colourful = np.clip(((top - bottom) / np.maximum(top, 0.2) - 0.2) / 0.3, 0.0, 1.0)
    apart = np.abs((hue[:, None] - np.arange(_HUES) + _HUES / 2) % _HUES - _HUES / 2)
    hues = np.clip((0.5 + _HUE_BLEND - apart) / (2 * _HUE_BLEND), 0.0, 1.0)
    greys = np.clip(1 - np.abs(grey[:, None] - np.arange(_GREYS)), 0.0, 1.0)
    return np.concatenate([hues * colourful[:, None], greys * (1 - colourful)[:, None]], 1).astype(np.float32)


def _weights(folder: str | Path) -> str:
    """Fingerprint of the weights in a world's folder; empty if there are none."""
    path = Path(folder) / "weights.safetensors"
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
