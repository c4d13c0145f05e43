"""The drift alarm under test: how often it rings on real frames, on spoilt frames, and on roll-outs that drift."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from worldling.alarm import FILE, DriftAlarm, reconstruct
from worldling.judge.case import Case
from worldling.judge.horizon.reading import Grid
from worldling.judge.measures.bootstrap import Bootstrap
from worldling.judge.measures.permanence import VISIBLE
from worldling.judge.truth.episodes import Film, Play, draw_play
from worldling.report.values import Interval
from worldling.scenes.seen import cover
from worldling.timing.steps import time_steps

#: Real episodes of each scene that the alarm learns from, and others that it is tested on.
FIT, HELD_OUT = 32, 12
#: Frames ahead at which they are looked at, in pairs, so that the change from frame to frame is seen too.
STEPS = (0, 1, 5, 6, 12, 13, 25, 26, 50, 51)
_NOISE = 25.0  # grey levels of the fault "noise"
_TIMED = 200  # looks, and frames made, that are timed


def alarm_plays(seed: int, scenarios: Sequence[str], last: int) -> list[Play]:
    """Draw the real episodes for the alarm, `FIT` and then `HELD_OUT` of each scene; last: the last frame shown."""
    looked = [last + t for t in STEPS]
    return [draw_play(scenario, [seed, 11, k], looked, looked) for scenario in scenarios for k in range(FIT + HELD_OUT)]


@dataclass(frozen=True)
class FalseAlarms:
    """Share of real frames that ring.

    all: of all; held_out: of short clips not learnt from; long: of the long true episodes; as_they_are: of the held-out
    clips without encoding and decoding.
    """

    all: Interval
    held_out: Interval
    long: Interval
    as_they_are: Interval


@dataclass(frozen=True)
class Spans:
    """Frames after the start up to which false alarms were counted."""

    held_out: int
    long: int


@dataclass(frozen=True)
class AlarmResult:
    """How the drift alarm does.

    rate: share of real frames on which it may ring; promised: whether it learnt from enough to promise that; fitted_on:
    real frames; faults: share of spoilt frames that ring, by fault; rollouts: shares of the frames at each horizon, by
    what is counted; recall, precision: over all horizons, of frames that have lost a thing.
    """

    rate: float
    promised: bool
    fitted_on: int
    false_alarms: FalseAlarms
    spans: Spans
    faults: dict[str, Interval]
    rollouts: dict[str, dict[int, Interval]]
    recall: Interval
    precision: Interval


@dataclass(frozen=True)
class AlarmTiming:
    """What the alarm costs: time of one look and of one frame predicted alone, in ms; whether it was kept."""

    look_ms: float
    frame_ms: float
    look_share: float
    alarm_kept: bool


def judge_alarm(
    case: Case, films: Sequence[Film], made: Mapping[str, np.ndarray], kept: Mapping[str, np.ndarray], grid: Grid
) -> tuple[AlarmResult, AlarmTiming]:
    """Fit the alarm, keep it beside the world, and test it.

    films: of `alarm_plays`; made: films `[n, L, H, W, 3]` by condition, the first L frames of the grid; kept
    `[n, horizons, 2]` by condition: which things are there, NaN where there should be none.
    """
    real = np.stack([film.frames for film in films])
    fitting = np.arange(len(real)) % (FIT + HELD_OUT) < FIT
    alarm = DriftAlarm.fit(case.world, real[fitting], STEPS)
    held_out, visible = real[~fitting], np.stack([film.seen for film in films])[~fitting, :, :, 2] >= VISIBLE
    drawn = reconstruct(case.world, held_out)
    short, long = _rings(alarm, drawn, STEPS), _rings(alarm, made["reencoded"], grid.ahead)
    monitored = {"world": made["world"], "simulator": reconstruct(case.world, made["simulator"])}
    if "random_weights" in made:  # it too was shown real frames, and these are what it is compared with
        monitored["random_weights"] = np.concatenate([made["world"][:, :1], made["random_weights"][:, 1:]], 1)
    rings = {name: _picked(_rings(alarm, films, grid.ahead), grid) for name, films in monitored.items()}
    rows = _rows(rings, kept["world"])
    lost = np.where(rings["world"] == 1, rows["lost"], np.nan)
    result = AlarmResult(
        rate=alarm.rate,
        promised=(int(fitting.sum()) + 1) * alarm.rate >= 1,
        fitted_on=int(fitting.sum()) * (len(STEPS) - 1),
        false_alarms=FalseAlarms(
            all=_rate(case, short, long),
            held_out=_rate(case, short),
            long=_rate(case, long),
            as_they_are=_rate(case, _rings(alarm, held_out, STEPS)),
        ),
        spans=Spans(held_out=STEPS[-1], long=grid.ahead[-1]),
        faults={
            name: _rate(case, np.where(there, _rings(alarm, np.concatenate([drawn[:, :1], frames], 1)), np.nan))
            for name, (frames, there) in faults(drawn[:, 1:], visible[:, 1:], case.settings.seed).items()
        },
        rollouts={
            key: {h: _rate(case, values[:, [j]]) for j, h in enumerate(grid.horizons)} for key, values in rows.items()
        },
        recall=_rate(case, rows["rings_where_lost"]),
        precision=_rate(case, lost),
    )
    look_ms, frame_ms = _times(case, alarm, held_out[0])
    return result, AlarmTiming(look_ms, frame_ms, look_ms / frame_ms, _keep(case, alarm))


def _rows(rings: Mapping[str, np.ndarray], things: np.ndarray) -> dict[str, np.ndarray]:
    """Compare where the alarm rings with where the world has lost a thing: `[n, horizons]` by what is counted."""
    counted = np.isfinite(things).any(axis=2)
    lost = counted & (things == 0).any(axis=2)
    return {
        "rings_where_lost": np.where(lost, rings["world"], np.nan),
        "rings_where_whole": np.where(counted & ~lost, rings["world"], np.nan),
        "lost": np.where(counted, lost, np.nan),
        **{f"rings_{name}": values for name, values in rings.items()},
    }


def faults(frames: np.ndarray, visible: np.ndarray, seed: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Spoil real frames uint8 `[n, T, H, W, 3]`: by name the spoilt frames, and where the fault can be seen at all.

    The latter is bool `[n, T]`. visible `[n, T, 2]`: where red and yellow are in the picture.
    """
    always, noise = np.ones(frames.shape[:2], bool), np.random.default_rng(seed).normal(0, _NOISE, frames.shape)
    return {
        "red gone": (_overpainted(frames, 0), visible[..., 0]),
        "yellow gone": (_overpainted(frames, 1), visible[..., 1]),
        "blurred": (_blurred(frames), always),
        "noise": (np.clip(frames + noise, 0, 255).astype(np.uint8), always),
    }


def _overpainted(frames: np.ndarray, thing: int) -> np.ndarray:
    """Fill what is red (0) or yellow (1), and a rim of 2 pixels around it, with the frame's median colour."""
    flat = frames.reshape(-1, *frames.shape[2:])
    tinted = (cover(torch.from_numpy(flat))[:, thing : thing + 1] > 0.05).float()
    where = F.max_pool2d(tinted, 5, 1, 2)[:, 0].numpy() > 0
    ground = np.median(flat, axis=(1, 2), keepdims=True).astype(np.uint8)
    return np.where(where[..., None], ground, flat).reshape(frames.shape)


def _blurred(frames: np.ndarray) -> np.ndarray:
    images = torch.from_numpy(frames.reshape(-1, *frames.shape[2:])).movedim(-1, 1).float()
    smooth = F.avg_pool2d(F.pad(images, (2, 2, 2, 2), mode="replicate"), 5, 1)
    return smooth.round().byte().movedim(1, -1).numpy().reshape(frames.shape)


def _rings(alarm: DriftAlarm, films: np.ndarray, steps: Sequence[int] | None = None) -> np.ndarray:
    """Say where the alarm rings in films `[n, T, H, W, 3]`: `[n, T - 1]` of 0 and 1.

    Without steps frames do not follow each other.
    """
    follow = range(0, 2 * films.shape[1], 2) if steps is None else steps
    return (alarm.scores(films, follow) > 1).astype(float)


def _picked(rings: np.ndarray, grid: Grid) -> np.ndarray:
    """Pick the horizons' columns of `[n, L - 1]`, of the frames after the first: `[n, horizons]`, NaN beyond."""
    return grid.at_horizons(np.concatenate([np.zeros((len(rings), 1)), rings], 1))


def _rate(case: Case, *rings: np.ndarray) -> Interval:
    """Return the share of 1 among 0 and 1, `[n, T]` each, with its interval over the n episodes of all of them."""
    flat = np.concatenate([r.ravel() for r in rings])
    rows = np.concatenate([np.repeat(np.arange(len(r)), r.shape[1]) + 10_000 * i for i, r in enumerate(rings)])
    return Bootstrap(rows, np.zeros(len(rows)), case.settings.seed, case.settings.resamples).share(flat)


def _times(case: Case, alarm: DriftAlarm, clip: np.ndarray) -> tuple[float, float]:
    """Time one look, and one frame predicted alone by the world, in ms."""
    context, space = case.context, case.world.action_space
    shown, rest = np.repeat(clip[:1], context, axis=0), np.stack([space.noop] * max(1, context - 1))[: context - 1]
    monitor, state = alarm.monitor(case.world, clip[:1]), case.world.start(shown[None], rest[None])
    frames: list[np.ndarray] = []

    def make(_: int) -> None:
        frame = case.world.step(state, space.noop[None]).frame
        assert frame is not None, "frames are decoded unless it is said otherwise"
        frames.append(frame)

    made = time_steps(make, 0.0, 0.0, least_steps=_TIMED)
    looks = time_steps(lambda i: monitor.update(frames[i % len(frames)][0]), 0.0, 0.0, least_steps=_TIMED)
    return looks.percentile_ms(50), made.percentile_ms(50)


def _keep(case: Case, alarm: DriftAlarm) -> bool:
    """Write the alarm into the world's folder if it has one that can be written, and say whether it is there now.

    Learnt from some scenes only, it leaves the one that is there.
    """
    if case.world.path is None or (case.settings.scenes and (case.world.path / FILE).exists()):
        return False
    try:
        alarm.save(case.world.path)
    except OSError:
        return False
    return True
