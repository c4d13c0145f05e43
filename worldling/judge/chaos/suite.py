"""The chaos suite: for how long is the prediction of a chaotic environment valid, counted in Lyapunov times?

In a chaotic system any error grows e-fold in a Lyapunov time, so no world predicts for ever, and nor does a simulator
whose state is a little off. Predictions are compared with the truth under the same actions, and so are simulators whose
state is perturbed by known shares of its spread: the one at 0.1 %, less than a picture shows, is the ceiling. Protocol
after Pathak et al. (Phys. Rev. Lett. 120, 024102, 2018): valid until the normalised error exceeds 0.4. Ours is taken on
blurred frames, and normalised by the variance that the actions leave open, since a steered system is partly told where
to be.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from worldling.judge.baselines import CopyLast
from worldling.judge.case import Case
from worldling.judge.chaos.result import (
    ChaosCurves,
    ChaosResult,
    LorenzExponents,
    LyapunovTime,
    StateReading,
    TokenizerError,
)
from worldling.judge.measures.bootstrap import Bootstrap
from worldling.judge.measures.chaos_error import (
    BLUR,
    ERROR_LIMIT,
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
from worldling.judge.results import Anchored, Elapsed
from worldling.judge.truth.chaos_clips import SHARES, SHOWN, Clips, make_clips
from worldling.progress import Progress
from worldling.report.values import Curve, Interval

#: What is compared with the truth, in the order of the report.
CONDITIONS = ("world", *map(str, SHARES), "copy_last", "random_weights", "other")
CEILING = str(SHARES[0])
_BATCH = 16
_RANDOM_WEIGHTS_STARTS = 16  # random weights are off at once: a few starts tell
_REENCODED_EVERY = 20  # frames between those that are encoded and decoded
_LOOK_EVERY = 4  # frames between those whose spectrum is taken
_FREE_FRAMES = 400  # without actions, on which Lorenz's exponents are measured
_FILM_MOMENTS = 8


@dataclass
class Seen:
    """What is kept of n starts, T frames ahead, by condition; NaN where a condition was not run.

    apart `[n, T]`: squared error of blurred frames; vrmse `[n, T]`; spectrum `[n]`; state `[n, T]`: squared error of
    what is read from the frames, in spreads (Lorenz); overlap `[n, T]`: of the cloth's outline; at_start `[n]`:
    squared error in the very frame of the perturbation; reencoded `[n]`: of true frames encoded and decoded; parted
    `[n, 1 + T]`: squared distance of states.
    """

    shape: tuple[int, int]
    apart: dict[str, np.ndarray] = field(default_factory=dict)
    vrmse: dict[str, np.ndarray] = field(default_factory=dict)
    spectrum: dict[str, np.ndarray] = field(default_factory=dict)
    state: dict[str, np.ndarray] = field(default_factory=dict)
    overlap: dict[str, np.ndarray] = field(default_factory=dict)
    at_start: dict[str, np.ndarray] = field(default_factory=dict)
    reencoded: dict[str, np.ndarray] = field(default_factory=dict)
    parted: dict[str, np.ndarray] = field(default_factory=dict)
    films: dict[str, np.ndarray] = field(default_factory=dict)

    def note(self, what: str, name: str, rows: range, values: np.ndarray) -> None:
        """Write values `[rows, ...]` of one condition into the table `what`."""
        table = getattr(self, what)
        if name not in table:
            table[name] = np.full((self.shape[0], *values.shape[1:]), np.nan)
        table[name][rows.start : rows.stop] = values


def run(case: Case) -> ChaosResult:
    """Judge valid-prediction time.

    Cost: a roll-out of 80 to 220 frames from each of 12 to 64 starts, and five simulations of it, made once.
    """
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
                _measure(case, clips, rows, _films(case, clips, rows), seen)
                progress.update(rows.stop)
        return _result(case, clips, seen, _lyapunov(clips, seen, boot), boot, begun)
    finally:
        clips.close()


def _films(case: Case, clips: Clips, rows: range) -> dict[str, np.ndarray]:
    """Return frames from the start on, uint8 `[rows, 1 + T, H, W, 3]`: the truth, the simulations, the predictions."""
    shown = min(case.context, SHOWN)
    whole = np.stack([clips.frames(row, "truth") for row in rows])
    actions = np.stack([clips.actions(row) for row in rows])
    given = whole[:, SHOWN - shown : SHOWN]
    films = {"truth": whole[:, SHOWN - 1 :]}
    for kind in (*map(str, SHARES), "other"):
        films[kind] = np.stack([clips.frames(row, kind) for row in rows])
    predictors = {"world": case.world, "copy_last": CopyLast(case.world)}
    if case.random_weights is not None and rows.start < _RANDOM_WEIGHTS_STARTS:
        predictors["random_weights"] = case.random_weights
    for name, world in predictors.items():
        seeds = [case.settings.seed + row for row in rows]
        state = world.start(given, actions[:, SHOWN - shown : SHOWN - 1], seed=seeds)
        films[name] = np.concatenate([given[:, -1:], world.rollout(state, actions[:, SHOWN - 1 :])], 1)
    return films


def _measure(case: Case, clips: Clips, rows: range, films: dict[str, np.ndarray], seen: Seen) -> None:
    """Write how far every film is from the truth into `seen`."""
    from worldling.scenes.lorenz import LorenzEnv

    lorenz, cloth = clips.env_id.endswith("Lorenz-v0"), clips.env_id.endswith("Cloth-v0")
    truth, late = films["truth"], slice(1 + seen.shape[1] // 2, None, _LOOK_EVERY)
    soft, grey_truth, real = blurred(truth), grey(truth), np.stack([clips.state(row, "truth") for row in rows])
    for name in CONDITIONS:
        if name not in films:
            continue
        frames = films[name]
        apart = squared(soft, blurred(frames))
        seen.note("apart", name, rows, apart[:, 1:])
        seen.note("at_start", name, rows, apart[:, 0])
        grey_frames = grey(frames)
        seen.note("vrmse", name, rows, vrmse(grey_truth[:, 1:], grey_frames[:, 1:]))
        seen.note("spectrum", name, rows, spectrum_error(grey_truth[:, late], grey_frames[:, late]))
        if lorenz:
            seen.note(
                "state", name, rows, squared(real / LorenzEnv.spread, read_lorenz(frames) / LorenzEnv.spread)[:, 1:]
            )
        if cloth:
            seen.note("overlap", name, rows, overlap(outline(truth), outline(frames))[:, 1:])
    for kind in (CEILING, "other"):
        seen.note("parted", kind, rows, squared(real, np.stack([clips.state(row, kind) for row in rows])))
    some = truth[:, ::_REENCODED_EVERY]
    seen.note(
        "reencoded",
        "world",
        rows,
        squared(soft[:, ::_REENCODED_EVERY], blurred(case.world.decode(case.world.encode(some)))).mean(1),
    )
    if rows.start == 0:
        seen.films = {name: frames[0, 1:] for name, frames in films.items()}


def _lyapunov(clips: Clips, seen: Seen, boot: Bootstrap) -> LyapunovTime:
    """Say how long a Lyapunov time is, and what that rests on."""
    parted = np.sqrt(seen.parted[CEILING] / variance(seen.parted["other"][:, 1:]))
    fit = growth(parted, boot)
    if not clips.env_id.endswith("Lorenz-v0"):
        rate = fit.value or 0.0
        source = "measured: growth of the perturbed copies"
        return LyapunovTime(1.0 / rate if rate > 0 else None, source, fit)
    from worldling.scenes import lorenz

    starts = np.stack([clips.state(row, "truth")[0] for row in range(clips.count)])
    actions = np.stack([clips.actions(row) for row in range(clips.count)])[:, SHOWN - 1 :].astype(float)
    free = lorenz.exponents(starts, np.zeros((clips.count, _FREE_FRAMES, 2)))
    steered = lorenz.exponents(starts, actions)
    return LyapunovTime(
        frames=1.0 / (lorenz.EXPONENT * lorenz.FRAME_TIME),
        source="literature: 0.9056 per unit of time",
        growth_per_frame=fit,
        exponents=LorenzExponents(
            literature=lorenz.EXPONENT,
            free=boot.mean(free[:, 0]),
            steered=boot.mean(steered[:, 0]),
            sum_of_exponents=float(free.sum(1).mean()),
            sum_known=-(lorenz.SIGMA + 1.0 + lorenz.BETA),
            frame_time=lorenz.FRAME_TIME,
        ),
    )


def _result(case: Case, clips: Clips, seen: Seen, lyapunov: LyapunovTime, boot: Bootstrap, begun: float) -> ChaosResult:
    """Sum up: valid times, their ratio to the ceiling, curves, and the second opinions."""
    open_variance, ahead = variance(seen.apart["other"]), clips.system.ahead
    names = [name for name in CONDITIONS if name in seen.apart]
    valid = {name: _valid(np.sqrt(seen.apart[name] / open_variance)) for name in names}
    shares, ladder = np.array(SHARES), np.array([valid[str(share)].mean() for share in SHARES])
    errors = np.array([np.sqrt(seen.at_start[str(share)].mean() / open_variance) for share in SHARES])
    valid_means = {name: boot.mean(valid[name]) for name in names}
    moments = np.linspace(0, ahead - 1, _FILM_MOMENTS).round().astype(int)
    overlaps = _at({name: seen.overlap[name] for name in names}, boot, ahead) if seen.overlap else None
    return ChaosResult(
        n=clips.count,
        env_id=clips.env_id,
        frames_ahead=ahead,
        fps=clips.dataset.meta.fps,
        limit=ERROR_LIMIT,
        blur=BLUR,
        seed=case.settings.seed,
        context=min(case.context, SHOWN),
        intervals=boot.about("starts"),
        lyapunov=lyapunov,
        open_variance=open_variance,
        valid_frames=valid_means,
        never_lost={name: boot.share(np.where(np.isnan(valid[name]), np.nan, valid[name] >= ahead)) for name in names},
        of_ceiling=boot.ratio(valid["world"], valid[CEILING]),
        tokenizer=_tokenizer_error(seen, open_variance, float(valid["world"].mean()), errors, ladder),
        perturbation_errors=dict(zip(map(str, SHARES), errors.tolist(), strict=True)),
        as_good_as_off_by=share_for(float(valid["world"].mean()), shares, ladder),
        curve=ChaosCurves(
            list(range(1, ahead + 1)), {name: _curve(seen.apart[name] / open_variance, boot) for name in names}
        ),
        vrmse=_at({name: seen.vrmse[name] for name in names}, boot, ahead),
        spectrum={name: boot.mean(seen.spectrum[name]) for name in names},
        state=_state(seen, boot) if seen.state else None,
        overlap=overlaps,
        film_frames=[int(moment) + 1 for moment in moments],
        films={name: seen.films[name][moments] for name in ("truth", *names)},
        timing=Elapsed(time.monotonic() - begun),
        anchored=(
            Anchored.of(
                "frames until the prediction is off",
                {**valid_means, "simulator": valid_means[CEILING]},
                "below",
                unit="frames",
            ),
        ),
    )


def _tokenizer_error(
    seen: Seen, open_variance: float, mean_valid: float, errors: np.ndarray, ladder: np.ndarray
) -> TokenizerError:
    """Say what the tokenizer alone costs.

    errors: at the start, of the simulators off by SHARES; ladder: their valid frames.
    """
    shares = np.array(SHARES)
    error = float(np.sqrt(seen.reencoded["world"].mean() / open_variance))
    share = share_for(float(np.log(max(error, 1e-9))), shares, np.log(errors))
    valid = valid_at(share, shares, ladder)
    return TokenizerError(error, share, valid, mean_valid / valid if valid else None)


def _state(seen: Seen, boot: Bootstrap) -> StateReading:
    """Sum up valid times by what is read from the frames."""
    open_state = variance(seen.state["other"])
    names = [name for name in CONDITIONS if name in seen.state]
    known = {name: _valid(np.sqrt(seen.state[name] / open_state), seen.apart[name]) for name in names}
    return StateReading(
        {name: boot.mean(times) for name, times in known.items()}, boot.ratio(known["world"], known[CEILING])
    )


def _valid(error: np.ndarray, ran: np.ndarray | None = None) -> np.ndarray:
    """Valid frames `[n]`; NaN for starts that were not run (their every value in `ran` is NaN)."""
    return np.where(np.isnan(error if ran is None else ran).all(1), np.nan, valid_frames(error))


def _curve(squares: np.ndarray, boot: Bootstrap) -> Curve:
    """Root of the mean square over the starts, with its interval, at every frame."""
    points = [boot.mean(column) for column in squares.T]

    def roots(key: str) -> list[float | None]:
        squares = [getattr(point, key) for point in points]
        return [None if square is None else float(np.sqrt(square)) for square in squares]

    return Curve(roots("value"), roots("low"), roots("high"))


def _at(table: Mapping[str, np.ndarray], boot: Bootstrap, ahead: int) -> dict[str, dict[int, Interval]]:
    """Means of `[n, T]` at some frames."""
    moments = [t for t in (1, 5, 10, 20, 40, 80, 160) if t <= ahead]
    return {name: {t: boot.mean(values[:, t - 1]) for t in moments} for name, values in table.items()}
