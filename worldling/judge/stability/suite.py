"""The stability suite: very long dreams, watched for drift, freezing, washing out and growing cost."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from worldling.errors import JudgeError
from worldling.judge.case import Case, Starts
from worldling.judge.measures.bootstrap import Bootstrap
from worldling.judge.stability.page import page
from worldling.progress import Progress
from worldling.report.sections import Section

#: A dream leaves the data's range outside these quantiles, widened by this share of their distance.
QUANTILES, WIDENED = (0.001, 0.999), 0.1
#: A dream is frozen if in its last frames it moves less than this share of what the data move.
FROZEN_SHARE = 0.1
#: Pictures are made and looked at every so many frames; latents at every frame.
LOOK_EVERY = 50
#: Frames at each end over which time, motion and spread are averaged.
END_FRAMES = 1000
FILM_AT = (0, 100, 1000, 2500, 5000, 10000)
_FILMS = 4
_CLIPS, _CLIP_FRAMES = 40, 51


def run(case: Case) -> Section:
    """Dream `settings.rollouts` times for the longest of `settings.lengths` frames, in one batch.

    Cost: that many steps without decoding, and one decoding in 50.
    """
    begun = time.monotonic()
    real = _real_range(case)
    dream = _dream(case)
    starts = dream["starts"]
    boot = Bootstrap(starts.episode, starts.last, case.settings.seed, case.settings.resamples)
    values = {
        "n": len(starts),
        "seed": case.settings.seed,
        "intervals": boot.about(),
        "data": real,
        "definitions": _definitions(),
        "lengths": {length: _at_length(dream, real, length, boot) for length in case.settings.lengths},
        "curve": _curve(dream, real),
    }
    timing = {"seconds": time.monotonic() - begun, **_costs(dream)}
    return page(case, values, timing, dream["films"])


def _definitions() -> dict[str, str]:
    low, high = (f"{q * 100:g} %" for q in QUANTILES)
    return {
        "out_of_range": "latent std, or mean brightness of a frame (looked at every "
        f"{LOOK_EVERY} frames, for all since), outside the data's {low} to {high} quantiles "
        f"widened by {WIDENED * 100:g} %",
        "frozen": f"mean motion of the latents over the last {END_FRAMES} frames below "
        f"{FROZEN_SHARE * 100:g} % of the data's",
    }


def _real_range(case: Case) -> dict[str, Any]:
    """Measure latents and brightness of real clips: means, motion per frame, and the usual range."""
    clip_frames = min(_CLIP_FRAMES, max(case.data.lengths))
    long_enough = [i for i, length in enumerate(case.data.lengths) if length >= clip_frames]
    rng = np.random.default_rng([case.settings.seed, 4])
    means, stds, motions, bright = [], [], [], []
    for episode in rng.choice(long_enough, size=_CLIPS):
        first = int(rng.integers(case.data.lengths[episode] - clip_frames + 1))
        frames = case.data.frames(int(episode), first, first + clip_frames)
        latents = _array(case.world.encode(frames))
        means.append(latents.mean(axis=(1, 2)))
        stds.append(latents.std(axis=(1, 2)))
        motions.append(np.abs(np.diff(latents, axis=0)).mean(axis=(1, 2)))
        bright.append(frames.mean(axis=(1, 2, 3)))
    mean, std, motion, brightness = (np.concatenate(v) for v in (means, stds, motions, bright))

    def widened(values: np.ndarray) -> list[float]:
        low, high = np.quantile(values, QUANTILES)
        return [float(low - WIDENED * (high - low)), float(high + WIDENED * (high - low))]

    return {
        "latent_mean": float(mean.mean()),
        "latent_std": float(std.mean()),
        "motion": float(motion.mean()),
        "range": {"latent_std": widened(std), "frame_mean": widened(brightness)},
    }


def _dream(case: Case) -> dict[str, Any]:
    """Roll out all starts together; returns per-frame figures `[frames, n]`, films, times and memory."""
    total = case.settings.lengths[-1]
    starts = case.choose_starts(1, case.settings.rollouts, salt=5)
    n = len(starts)
    clips = [case.clip(int(e), int(t), 1) for e, t in zip(starts.episode, starts.last)]
    given = np.stack([frames[: case.context] for frames, _ in clips])
    past = np.stack([actions[: case.context - 1] for _, actions in clips])
    actions = _long_actions(case, starts, total)
    state = case.world.start(given, past, seed=[case.settings.seed + row for row in range(n)])
    previous = _array(case.world.encode(given[:, -1]))
    mean, std, motion = (np.full((total, n), np.nan, np.float32) for _ in range(3))
    bright, films, seconds, memory = {}, {0: given[:_FILMS, -1]}, np.zeros(total), {}
    film_at = {*FILM_AT, total}
    with Progress("stability", total, "frames", case.quiet) as progress:
        for t in range(total):
            before = time.perf_counter()
            step = case.world.step(state, actions[:, t], decode=False)
            latent = _array(step.latent).copy()
            seconds[t] = time.perf_counter() - before
            mean[t], std[t] = latent.mean(axis=(1, 2)), latent.std(axis=(1, 2))
            motion[t] = np.abs(latent - previous).mean(axis=(1, 2))
            previous = latent
            if (t + 1) % LOOK_EVERY == 0 or t + 1 in film_at:
                frames = case.world.decode(step.latent)
                bright[t] = frames.mean(axis=(1, 2, 3))
                if t + 1 in film_at:
                    films[t + 1] = frames[:_FILMS]
            if t + 1 in (END_FRAMES, total):
                memory[t + 1] = _memory_mb()
            progress.update(t + 1)
    return {
        "starts": starts,
        "latent_mean": mean,
        "latent_std": std,
        "motion": motion,
        "frame_mean": bright,
        "films": films,
        "seconds": seconds,
        "memory": memory,
    }


def _long_actions(case: Case, starts: Starts, total: int) -> np.ndarray:
    """Real action sequences of whole episodes drawn at random, put one after the other: `[n, total, ...]`."""
    rng = np.random.default_rng([case.settings.seed, 6])
    rows = []
    for episode, last in zip(starts.episode, starts.last):
        parts = [case.data.actions(int(episode), int(last))]
        while sum(map(len, parts)) < total:
            parts.append(case.data.actions(int(rng.integers(len(case.data)))))
        rows.append(np.concatenate(parts)[:total])
    return np.stack(rows)


def _at_length(dream: dict[str, Any], real: dict[str, Any], length: int, boot: Bootstrap) -> dict[str, Any]:
    """Sum up the first `length` frames of all dreams."""
    end = slice(max(0, length - END_FRAMES), length)
    std, motion = dream["latent_std"][:length], dream["motion"][:length]
    std_range, bright_range = real["range"]["latent_std"], real["range"]["frame_mean"]
    out = (std < std_range[0]) | (std > std_range[1])
    looked = -1  # what a look finds stands for all frames since the look before
    for t, bright in dream["frame_mean"].items():
        if t >= length:
            break
        out[looked + 1 : t + 1] |= (bright < bright_range[0]) | (bright > bright_range[1])
        looked = t
    broken = ~np.isfinite(std)
    frozen = motion[end].mean(axis=0) < FROZEN_SHARE * real["motion"]
    outside = (out | broken)[end].mean(axis=0) > 0.5
    return {
        "latent_std_ratio": boot.mean(std[end].mean(axis=0) / real["latent_std"]),
        "latent_mean_shift": boot.mean(
            (dream["latent_mean"][:length][end].mean(axis=0) - real["latent_mean"]) / real["latent_std"]
        ),
        "motion_ratio": boot.mean(motion[end].mean(axis=0) / max(real["motion"], 1e-12)),
        "not_a_number": boot.share(broken.any(axis=0).astype(float)),
        "frozen": boot.share(frozen.astype(float)),
        "left_range_ever": boot.share((out | broken).any(axis=0).astype(float)),
        "frames_out_of_range": boot.mean((out | broken).mean(axis=0)),
        "out_of_range_at_end": boot.share(outside.astype(float)),
        "bad_at_end": boot.share((broken.any(axis=0) | frozen | outside).astype(float)),
    }


def _curve(dream: dict[str, Any], real: dict[str, Any], points: int = 200) -> dict[str, list[float]]:
    """Latent std over the data's, in blocks of frames: median, lowest and highest of the dreams."""
    ratio = dream["latent_std"] / real["latent_std"]
    blocks = np.array_split(np.arange(len(ratio)), min(points, len(ratio)))
    means = np.stack([ratio[block].mean(axis=0) for block in blocks])
    return {
        "frame": [int(block[-1]) + 1 for block in blocks],
        "median": np.median(means, axis=1).tolist(),
        "lowest": means.min(axis=1).tolist(),
        "highest": means.max(axis=1).tolist(),
    }


def _costs(dream: dict[str, Any]) -> dict[str, Any]:
    """Time per frame and memory at both ends of the dream."""
    seconds, memory = dream["seconds"], dream["memory"]
    end = min(END_FRAMES, len(seconds))
    first, last = (float(np.median(part)) * 1000 for part in (seconds[:end], seconds[-end:]))
    return {
        "step_ms_first": first,
        "step_ms_last": last,
        "step_ms_ratio": last / first,
        "frames_compared": end,
        "memory_mb_first": memory.get(END_FRAMES),
        "memory_mb_last": memory[len(seconds)],
    }


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
    return (resident * resource.getpagesize() + held) / 2**20


def _array(latents: Any) -> np.ndarray:
    if not hasattr(latents, "detach"):
        raise JudgeError(
            f"`world` must give latents as tensors, got {type(latents).__name__}. Return [..., N, C] tensors."
        )
    return latents.detach().float().cpu().numpy()
