"""The stability suite: very long roll-outs, and whether they drift, freeze, wash out or grow slower."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np

from worldling.errors import JudgeError
from worldling.judge.case import Case, Starts
from worldling.judge.measures.bootstrap import Bootstrap, BootstrapMethod
from worldling.judge.results import Elapsed, SuiteResult
from worldling.progress import Progress
from worldling.report.values import HIDDEN, Interval

#: A roll-out leaves the data's range outside these quantiles, widened by this share of their distance.
QUANTILES, WIDENED = (0.001, 0.999), 0.1
#: A roll-out is frozen if in its last frames it moves less than this share of what the data move.
FROZEN_SHARE = 0.1
#: Frames are decoded and looked at every so many steps; latents at every step.
LOOK_EVERY = 50
#: Frames at each end over which time, motion and spread are averaged.
END_FRAMES = 1000
FILM_AT = (0, 100, 1000, 2500, 5000, 10000)
_FILMS = 4
_CLIPS, _CLIP_FRAMES = 40, 51


@dataclass(frozen=True)
class UsualRange:
    """The range (lowest, highest) of real clips: spread of the latents, and mean grey level of the frames."""

    latent_std: tuple[float, float]
    frame_mean: tuple[float, float]


@dataclass(frozen=True)
class RealClips:
    """What real clips are like, encoded.

    latent_mean, latent_std: of the latents; motion: mean absolute change of a latent from frame to frame.
    """

    latent_mean: float
    latent_std: float
    motion: float
    range: UsualRange


@dataclass(frozen=True)
class AtLength:
    """What became of the roll-outs up to a length.

    latent_std_ratio: spread of the latents over the data's; latent_mean_shift: of their mean, in spreads of the
    data; motion_ratio: motion over the data's; all three over the last END_FRAMES. Shares of the roll-outs:
    not_a_number, frozen, left_range_ever, out_of_range_at_end, bad_at_end (any of these at the end);
    frames_out_of_range: share of the frames.
    """

    latent_std_ratio: Interval
    latent_mean_shift: Interval
    motion_ratio: Interval
    not_a_number: Interval
    frozen: Interval
    left_range_ever: Interval
    frames_out_of_range: Interval
    out_of_range_at_end: Interval
    bad_at_end: Interval


@dataclass(frozen=True)
class SpreadCurve:
    """Spread of the latents over the data's, in blocks of frames that end with `frame`: over the roll-outs."""

    frame: list[int]
    median: list[float]
    lowest: list[float]
    highest: list[float]


@dataclass(frozen=True)
class Definitions:
    """What counts as out of range, and what as frozen, in words."""

    out_of_range: str
    frozen: str


@dataclass(frozen=True)
class StabilityTiming(Elapsed):
    """Time and memory at both ends of the roll-outs.

    step_ms_first, step_ms_last: median time of a step of all roll-outs over the first and last `frames_compared`,
    in milliseconds; memory_mb_first, memory_mb_last: resident memory after END_FRAMES and at the end, in MB, None if
    not measured.
    """

    step_ms_first: float
    step_ms_last: float
    step_ms_ratio: float
    frames_compared: int
    memory_mb_first: float | None
    memory_mb_last: float | None


@dataclass(frozen=True, kw_only=True)
class StabilityResult(SuiteResult):
    """What becomes of long roll-outs.

    n: roll-outs; data: what real clips are like; lengths: by frames; fps: frames per second of the recording;
    films: frames uint8 `[k, H, W, 3]` of a few roll-outs, by frames predicted.
    """

    n: int
    seed: int
    intervals: BootstrapMethod
    data: RealClips
    definitions: Definitions
    lengths: dict[int, AtLength]
    curve: SpreadCurve
    timing: StabilityTiming = field(metadata=HIDDEN)
    fps: float = field(metadata=HIDDEN)
    films: dict[int, np.ndarray] = field(metadata=HIDDEN)


@dataclass
class LongRollOut:
    """What is kept of n roll-outs of T frames.

    latent_mean, latent_std, motion `[T, n]`; frame_mean: mean grey levels `[n]` by the frames looked at; seconds
    `[T]` of each step; memory: resident MB by frames predicted.
    """

    starts: Starts
    latent_mean: np.ndarray
    latent_std: np.ndarray
    motion: np.ndarray
    frame_mean: dict[int, np.ndarray]
    films: dict[int, np.ndarray]
    seconds: np.ndarray
    memory: dict[int, float | None]


def run(case: Case) -> StabilityResult:
    """Roll out `settings.rollouts` times for the longest of `settings.lengths` frames, in one batch.

    Cost: that many steps without decoding, and one decoding in 50.
    """
    begun = time.monotonic()
    real = _real_clips(case)
    long = _roll_out(case)
    boot = Bootstrap(long.starts.episode, long.starts.last, case.settings.seed, case.settings.resamples)
    return StabilityResult(
        n=len(long.starts),
        seed=case.settings.seed,
        intervals=boot.about(),
        data=real,
        definitions=_definitions(),
        lengths={length: _at_length(long, real, length, boot) for length in case.settings.lengths},
        curve=_curve(long, real),
        timing=_timing(long, begun),
        fps=case.dataset.meta.fps,
        films=long.films,
    )


def _definitions() -> Definitions:
    low, high = (f"{q * 100:g} %" for q in QUANTILES)
    return Definitions(
        out_of_range="latent std, or mean brightness of a frame (looked at every "
        f"{LOOK_EVERY} frames, for all since), outside the data's {low} to {high} quantiles "
        f"widened by {WIDENED * 100:g} %",
        frozen=f"mean motion of the latents over the last {END_FRAMES} frames below "
        f"{FROZEN_SHARE * 100:g} % of the data's",
    )


def _real_clips(case: Case) -> RealClips:
    """Measure latents and brightness of real clips: means, motion per frame, and the usual range."""
    clip_frames = min(_CLIP_FRAMES, max(case.dataset.lengths))
    long_enough = [i for i, length in enumerate(case.dataset.lengths) if length >= clip_frames]
    rng = np.random.default_rng([case.settings.seed, 4])
    means, stds, motions, bright = [], [], [], []
    for episode in rng.choice(long_enough, size=_CLIPS):
        first = int(rng.integers(case.dataset.lengths[episode] - clip_frames + 1))
        frames = case.dataset.frames(int(episode), first, first + clip_frames)
        latents = _array(case.world.encode(frames))
        means.append(latents.mean(axis=(1, 2)))
        stds.append(latents.std(axis=(1, 2)))
        motions.append(np.abs(np.diff(latents, axis=0)).mean(axis=(1, 2)))
        bright.append(frames.mean(axis=(1, 2, 3)))
    mean, std, motion, brightness = (np.concatenate(v) for v in (means, stds, motions, bright))

    def widened(values: np.ndarray) -> tuple[float, float]:
        low, high = np.quantile(values, QUANTILES)
        return float(low - WIDENED * (high - low)), float(high + WIDENED * (high - low))

    return RealClips(
        latent_mean=float(mean.mean()),
        latent_std=float(std.mean()),
        motion=float(motion.mean()),
        range=UsualRange(latent_std=widened(std), frame_mean=widened(brightness)),
    )


def _roll_out(case: Case) -> LongRollOut:
    """Roll out all starts together."""
    total = case.settings.lengths[-1]
    starts = case.choose_starts(1, case.settings.rollouts, salt=5)
    n = len(starts)
    clips = [case.clip(int(e), int(t), 1) for e, t in zip(starts.episode, starts.last, strict=True)]
    given = np.stack([frames[: case.context] for frames, _ in clips])
    past = np.stack([actions[: case.context - 1] for _, actions in clips])
    actions = _long_actions(case, starts, total)
    state = case.world.start(given, past, seed=[case.settings.seed + row for row in range(n)])
    previous = _array(case.world.encode(given[:, -1]))
    mean, std, motion = (np.full((total, n), np.nan, np.float32) for _ in range(3))
    long = LongRollOut(starts, mean, std, motion, {}, {0: given[:_FILMS, -1]}, np.zeros(total), {})
    film_at = {*FILM_AT, total}
    with Progress("stability", total, "frames", case.quiet) as progress:
        for t in range(total):
            before = time.perf_counter()
            step = case.world.step(state, actions[:, t], decode=False)
            latent = _array(step.latent).copy()
            long.seconds[t] = time.perf_counter() - before
            mean[t], std[t] = latent.mean(axis=(1, 2)), latent.std(axis=(1, 2))
            motion[t] = np.abs(latent - previous).mean(axis=(1, 2))
            previous = latent
            if (t + 1) % LOOK_EVERY == 0 or t + 1 in film_at:
                frames = case.world.decode(step.latent)
                long.frame_mean[t] = frames.mean(axis=(1, 2, 3))
                if t + 1 in film_at:
                    long.films[t + 1] = frames[:_FILMS]
            if t + 1 in (END_FRAMES, total):
                long.memory[t + 1] = _memory_mb()
            progress.update(t + 1)
    return long


def _long_actions(case: Case, starts: Starts, total: int) -> np.ndarray:
    """Real action sequences of whole episodes drawn at random, put one after the other: `[n, total, ...]`."""
    rng = np.random.default_rng([case.settings.seed, 6])
    rows = []
    for episode, last in zip(starts.episode, starts.last, strict=True):
        parts = [case.dataset.actions(int(episode), int(last))]
        while sum(map(len, parts)) < total:
            parts.append(case.dataset.actions(int(rng.integers(len(case.dataset)))))
        rows.append(np.concatenate(parts)[:total])
    return np.stack(rows)


def _at_length(long: LongRollOut, real: RealClips, length: int, boot: Bootstrap) -> AtLength:
    """Sum up the first `length` frames of all roll-outs."""
    end = slice(max(0, length - END_FRAMES), length)
    mean, std, motion = (values[:length] for values in (long.latent_mean, long.latent_std, long.motion))
    out = (std < real.range.latent_std[0]) | (std > real.range.latent_std[1])
    darkest, brightest = real.range.frame_mean
    looked = -1  # what a look finds stands for all frames since the look before
    for t, bright in long.frame_mean.items():
        if t >= length:
            break
        out[looked + 1 : t + 1] |= (bright < darkest) | (bright > brightest)
        looked = t
    broken = ~np.isfinite(std)
    frozen = motion[end].mean(axis=0) < FROZEN_SHARE * real.motion
    outside = (out | broken)[end].mean(axis=0) > 0.5
    return AtLength(
        latent_std_ratio=boot.mean(std[end].mean(axis=0) / real.latent_std),
        latent_mean_shift=boot.mean((mean[end].mean(axis=0) - real.latent_mean) / real.latent_std),
        motion_ratio=boot.mean(motion[end].mean(axis=0) / max(real.motion, 1e-12)),
        not_a_number=boot.share(broken.any(axis=0).astype(float)),
        frozen=boot.share(frozen.astype(float)),
        left_range_ever=boot.share((out | broken).any(axis=0).astype(float)),
        frames_out_of_range=boot.mean((out | broken).mean(axis=0)),
        out_of_range_at_end=boot.share(outside.astype(float)),
        bad_at_end=boot.share((broken.any(axis=0) | frozen | outside).astype(float)),
    )


def _curve(long: LongRollOut, real: RealClips, points: int = 200) -> SpreadCurve:
    """Sum up the spread of the latents in blocks of frames."""
    ratio = long.latent_std / real.latent_std
    blocks = np.array_split(np.arange(len(ratio)), min(points, len(ratio)))
    means = np.stack([ratio[block].mean(axis=0) for block in blocks])
    return SpreadCurve(
        frame=[int(block[-1]) + 1 for block in blocks],
        median=np.median(means, axis=1).tolist(),
        lowest=means.min(axis=1).tolist(),
        highest=means.max(axis=1).tolist(),
    )


def _timing(long: LongRollOut, begun: float) -> StabilityTiming:
    """Sum up time per step and memory at both ends."""
    seconds, memory = long.seconds, long.memory
    end = min(END_FRAMES, len(seconds))
    first, last = (float(np.median(part)) * 1000 for part in (seconds[:end], seconds[-end:]))
    return StabilityTiming(
        seconds=time.monotonic() - begun,
        step_ms_first=first,
        step_ms_last=last,
        step_ms_ratio=last / first,
        frames_compared=end,
        memory_mb_first=memory.get(END_FRAMES),
        memory_mb_last=memory[len(seconds)],
    )


def _memory_mb() -> float | None:
    """Resident memory of this process plus what torch holds on a GPU, in MB; None where it cannot be read."""
    import torch

    try:
        with open("/proc/self/statm") as file:
            resident = int(file.read().split()[1])
    except OSError:
        return None
    import resource

    held = torch.cuda.memory_allocated() if torch.cuda.is_available() else 0
    return (resident * resource.getpagesize() + held) / 1e6


def _array(latents: object) -> np.ndarray:
    if not hasattr(latents, "detach"):
        raise JudgeError(
            f"`world` must give latents as tensors, got {type(latents).__name__}. Return [..., N, C] tensors."
        )
    array: np.ndarray = latents.detach().float().cpu().numpy()
    return array
