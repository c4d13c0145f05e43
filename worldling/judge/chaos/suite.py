"""The chaos suite: for how long does the dream of a chaotic environment stay true, counted in Lyapunov times?

In a chaotic system any error grows e-fold in a Lyapunov time, so no world predicts for ever, and nor does a simulator whose
state is a little off. Dreams are laid beside the truth under the same actions, and beside simulators jolted by known
shares of the state's spread: the one at 0.1 %, less than a picture shows, is the ceiling. Protocol after Pathak et
al. (Phys. Rev. Lett. 120, 024102, 2018): valid until the normalised error exceeds 0.4. Ours is taken on blurred frames,
and normalised by the variance that the actions leave open, since a steered system is partly told where to be.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from worldling.judge.baselines import CopyLast
from worldling.judge.case import Case
from worldling.judge.chaos.page import page
from worldling.judge.measures.bootstrap import Bootstrap
from worldling.judge.measures.chaos_error import (
    BLUR,
    LOST,
    blurred,
    grey,
    growth,
    share_for,
    spectrum_error,
    squared,
    valid_at,
    valid_frames,
    variance,
    vrmse,
)
from worldling.judge.readers.chaos import outline, overlap, read_lorenz
from worldling.judge.self_check import ANCHORS
from worldling.judge.truth.chaos_clips import SHARES, SHOWN, Clips, make_clips
from worldling.progress import Progress
from worldling.report.sections import Anchored, Section

#: What is laid beside the truth, in the words of the report.
CONDITIONS = {
    "world": "the world",
    **{str(share): f"simulator, off by {share * 100:g} %" for share in SHARES},
    "copy_last": "last frame held still",
    "broken": "the same networks, random weights",
    "other": "another real run, same actions",
}
CEILING = str(SHARES[0])
_BATCH = 16
_BROKEN_STARTS = 16  # a broken world is lost at once: a few starts tell
_EYE_EVERY = 20  # frames between those that are encoded and decoded
_LOOK_EVERY = 4  # frames between those whose spectrum is taken
_FREE_FRAMES = 400  # without a hand, on which Lorenz's exponents are measured
_FILM_MOMENTS = 8


@dataclass
class Seen:
    """What is kept of n starts, T frames ahead, by condition; NaN where a condition was not run.

    apart `[n, T]`: squared error of blurred frames; vrmse `[n, T]`; spectrum `[n]`; state `[n, T]`: squared error of what
    is read from the frames, in spreads (Lorenz); overlap `[n, T]`: of the cloth's outline; jolted `[n]`: squared error in the very
    frame of the jolt; eye `[n]`: of true frames encoded and decoded; parted `[n, 1 + T]`: squared distance of states.
    """

    shape: tuple[int, int]
    apart: dict[str, np.ndarray] = field(default_factory=dict)
    vrmse: dict[str, np.ndarray] = field(default_factory=dict)
    spectrum: dict[str, np.ndarray] = field(default_factory=dict)
    state: dict[str, np.ndarray] = field(default_factory=dict)
    overlap: dict[str, np.ndarray] = field(default_factory=dict)
    jolted: dict[str, np.ndarray] = field(default_factory=dict)
    eye: dict[str, np.ndarray] = field(default_factory=dict)
    parted: dict[str, np.ndarray] = field(default_factory=dict)
    films: dict[str, np.ndarray] = field(default_factory=dict)

    def note(self, what: str, name: str, rows: range, values: np.ndarray) -> None:
        """Write values `[rows, ...]` of one condition into the table `what`."""
        table = getattr(self, what)
        if name not in table:
            table[name] = np.full((self.shape[0], *values.shape[1:]), np.nan)
        table[name][rows.start : rows.stop] = values


def run(case: Case) -> Section:
    """Judge valid-prediction time. Cost: a dream of 80 to 220 frames from each of 12 to 64 starts, and five simulations of it, made once."""
    settings = case.settings
    clips = make_clips(
        settings.chaos, case.env_id, settings.starts, case.world.size_px, settings.seed, quiet=case.quiet
    )
    begun = time.monotonic()
    try:
        boot = Bootstrap(np.arange(clips.count), np.zeros(clips.count), settings.seed, settings.resamples)
        seen = Seen((clips.count, clips.system.ahead))
        with Progress("chaos", clips.count, "starts", case.quiet) as progress:
            for first in range(0, clips.count, _BATCH):
                rows = range(first, min(first + _BATCH, clips.count))
                films = _films(case, clips, rows, case.broken if first < _BROKEN_STARTS else None)
                _measure(case, clips, rows, films, seen)
                progress.update(rows.stop)
        values = _values(case, clips, seen, _lyapunov(clips, seen, boot), boot)
    finally:
        clips.close()
    moments = np.linspace(0, clips.system.ahead - 1, _FILM_MOMENTS).round().astype(int)
    strips = {name: seen.films[name][moments] for name in ("truth", *CONDITIONS) if name in seen.films}
    section = page(values, strips, moments + 1, CONDITIONS, {"seconds": time.monotonic() - begun})
    rows = {name: values["valid_frames"].get(CEILING if name == "simulator" else name) for name in ANCHORS}
    section.anchors = [Anchored("frames until the dream is lost", rows, "below", unit="frames")]
    return section


def _films(case: Case, clips: Clips, rows: range, broken: Any) -> dict[str, np.ndarray]:
    """Return frames from the start on, uint8 `[rows, 1 + T, H, W, 3]`: the truth, the simulations, and the dreams."""
    world, shown = case.world, min(case.context, SHOWN)
    whole = np.stack([clips.frames(row, "truth") for row in rows])
    actions = np.stack([clips.actions(row) for row in rows])
    given = whole[:, SHOWN - shown : SHOWN]
    films = {"truth": whole[:, SHOWN - 1 :]}
    for kind in (*map(str, SHARES), "other"):
        films[kind] = np.stack([clips.frames(row, kind) for row in rows])
    for name, dreamer in (("world", world), ("copy_last", CopyLast(world)), ("broken", broken)):
        if dreamer is not None:
            seeds = [case.settings.seed + row for row in rows]
            state = dreamer.start(given, actions[:, SHOWN - shown : SHOWN - 1], seed=seeds)
            films[name] = np.concatenate([given[:, -1:], dreamer.rollout(state, actions[:, SHOWN - 1 :])], 1)
    return films


def _measure(case: Case, clips: Clips, rows: range, films: dict[str, np.ndarray], seen: Seen) -> None:
    """Write how far every film is from the truth into `seen`."""
    from worldling.scenes.lorenz import LorenzEnv

    lorenz, cloth = clips.env_id.endswith("Lorenz-v0"), clips.env_id.endswith("Cloth-v0")
    truth, late = films["truth"], slice(1 + seen.shape[1] // 2, None, _LOOK_EVERY)
    soft, grey_truth, real = blurred(truth), grey(truth), np.stack([clips.state(row, "truth") for row in rows])
    mask = outline(truth) if cloth else None
    for name in CONDITIONS:
        if name not in films:
            continue
        frames = films[name]
        apart = squared(soft, blurred(frames))
        seen.note("apart", name, rows, apart[:, 1:])
        seen.note("jolted", name, rows, apart[:, 0])
        grey_frames = grey(frames)
        seen.note("vrmse", name, rows, vrmse(grey_truth[:, 1:], grey_frames[:, 1:]))
        seen.note("spectrum", name, rows, spectrum_error(grey_truth[:, late], grey_frames[:, late]))
        if lorenz:
            seen.note(
                "state", name, rows, squared(real / LorenzEnv.spread, read_lorenz(frames) / LorenzEnv.spread)[:, 1:]
            )
        if cloth:
            seen.note("overlap", name, rows, overlap(mask, outline(frames))[:, 1:])
    for kind in (CEILING, "other"):
        seen.note("parted", kind, rows, squared(real, np.stack([clips.state(row, kind) for row in rows])))
    some = truth[:, ::_EYE_EVERY]
    seen.note(
        "eye",
        "world",
        rows,
        squared(soft[:, ::_EYE_EVERY], blurred(case.world.decode(case.world.encode(some)))).mean(1),
    )
    if rows.start == 0:
        seen.films = {name: frames[0, 1:] for name, frames in films.items()}


def _lyapunov(clips: Clips, seen: Seen, boot: Bootstrap) -> dict[str, Any]:
    """Say how long a Lyapunov time is, in frames, and what that rests on."""
    parted = np.sqrt(seen.parted[CEILING] / variance(seen.parted["other"][:, 1:]))
    fit = growth(parted, boot)
    found: dict[str, Any] = {"growth_per_frame": fit}
    if not clips.env_id.endswith("Lorenz-v0"):
        rate = fit["value"]
        return {"frames": 1.0 / rate if rate > 0 else None, "source": "measured: growth of the jolted copies", **found}
    from worldling.scenes import lorenz

    starts = np.stack([clips.state(row, "truth")[0] for row in range(clips.count)])
    actions = np.stack([clips.actions(row) for row in range(clips.count)])[:, SHOWN - 1 :].astype(float)
    free = lorenz.exponents(starts, np.zeros((clips.count, _FREE_FRAMES, 2)))
    steered = lorenz.exponents(starts, actions)
    return {
        "frames": 1.0 / (lorenz.EXPONENT * lorenz.FRAME_TIME),
        "source": "literature: 0.9056 per unit of time",
        "literature": lorenz.EXPONENT,
        "free": boot.mean(free[:, 0]),
        "steered": boot.mean(steered[:, 0]),
        "sum_of_exponents": float(free.sum(1).mean()),
        "sum_known": -(lorenz.SIGMA + 1.0 + lorenz.BETA),
        "frame_time": lorenz.FRAME_TIME,
        **found,
    }


def _values(case: Case, clips: Clips, seen: Seen, lyapunov: dict[str, Any], boot: Bootstrap) -> dict[str, Any]:
    """Sum up: valid times, their ratio to the ceiling, curves, and the second opinions."""
    open_variance, fps = variance(seen.apart["other"]), clips.dataset.meta.fps
    names = list(seen.apart)
    errors = {name: np.sqrt(apart / open_variance) for name, apart in seen.apart.items()}
    valid = {name: _valid(error) for name, error in errors.items()}
    shares, ladder = np.array(SHARES), np.array([valid[str(share)].mean() for share in SHARES])
    jolts = np.array([np.sqrt(seen.jolted[str(share)].mean() / open_variance) for share in SHARES])
    eye = float(np.sqrt(seen.eye["world"].mean() / open_variance))
    eye_share = float(np.exp(np.interp(np.log(max(eye, 1e-9)), np.log(jolts), np.log(shares))))
    eye_valid = valid_at(eye_share, shares, ladder)
    mean_valid = float(valid["world"].mean())
    values: dict[str, Any] = {
        "n": clips.count,
        "env_id": clips.env_id,
        "frames_ahead": clips.system.ahead,
        "fps": fps,
        "limit": LOST,
        "blur": BLUR,
        "seed": case.settings.seed,
        "context": min(case.context, SHOWN),
        "intervals": boot.about("starts"),
        "lyapunov": lyapunov,
        "open_variance": open_variance,
        "valid_frames": {name: boot.mean(valid[name]) for name in names},
        "never_lost": {
            name: boot.share(np.where(np.isnan(valid[name]), np.nan, valid[name] >= clips.system.ahead))
            for name in names
        },
        "of_ceiling": boot.ratio(valid["world"], valid[CEILING]),
        "eye": {
            "error": eye,
            "share": eye_share,
            "valid_frames": eye_valid,
            "reached": mean_valid / eye_valid if eye_valid else None,
        },
        "jolt_errors": dict(zip(map(str, SHARES), jolts)),
        "as_good_as_off_by": share_for(mean_valid, shares, ladder),
        "curve": {
            "frame": list(range(1, clips.system.ahead + 1)),
            **{name: _curve(seen.apart[name] / open_variance, boot) for name in names},
        },
        "vrmse": _at(seen.vrmse, boot, clips.system.ahead),
        "spectrum": {name: boot.mean(seen.spectrum[name]) for name in names},
    }
    if seen.state:
        open_state = variance(seen.state["other"])
        known = {name: _valid(np.sqrt(s / open_state), seen.apart[name]) for name, s in seen.state.items()}
        values["state"] = {
            "valid_frames": {name: boot.mean(known[name]) for name in names},
            "of_ceiling": boot.ratio(known["world"], known[CEILING]),
        }
    if seen.overlap:
        values["overlap"] = _at(seen.overlap, boot, clips.system.ahead)
    return values


def _valid(error: np.ndarray, ran: np.ndarray | None = None) -> np.ndarray:
    """Valid frames `[n]`; NaN for starts that were not run (their every value in `ran` is NaN)."""
    return np.where(np.isnan(error if ran is None else ran).all(1), np.nan, valid_frames(error))


def _curve(squares: np.ndarray, boot: Bootstrap) -> dict[str, list[float | None]]:
    """Root of the mean square over the starts, with its interval, at every frame."""
    points = [boot.mean(column) for column in squares.T]
    return {
        key: [None if p[key] is None else float(np.sqrt(p[key])) for p in points] for key in ("value", "low", "high")
    }


def _at(table: dict[str, np.ndarray], boot: Bootstrap, ahead: int) -> dict[str, dict[int, Any]]:
    """Means of `[n, T]` at some frames."""
    moments = [t for t in (1, 5, 10, 20, 40, 80, 160) if t <= ahead]
    return {name: {t: boot.mean(values[:, t - 1]) for t in moments} for name, values in table.items()}
