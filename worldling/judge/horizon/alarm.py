"""The drift alarm put to the test: how often it rings on real frames, on faults made on purpose, and on dreams gone wrong."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from worldling.alarm import FILE, DriftAlarm, reconstruct
from worldling.judge.case import Case
from worldling.judge.measures.bootstrap import Bootstrap
from worldling.judge.measures.permanence import VISIBLE
from worldling.judge.readers.scene import cover
from worldling.judge.truth.episodes import Film, Play, draw_play

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


def judge_alarm(
    case: Case,
    films: Sequence[Film],
    made: dict[str, np.ndarray],
    kept: dict[str, np.ndarray],
    ahead: Sequence[int],
    horizons: Sequence[int],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Fit the alarm, keep it beside the world, and test it; returns values and timing for the report.

    films: of `alarm_plays`; made: films `[n, L, H, W, 3]` by condition, the first L of the frames `ahead`; kept
    `[n, horizons, 2]` by condition: which things are there, NaN where there should be none.
    """
    real = np.stack([film.frames for film in films])
    fitting = np.arange(len(real)) % (FIT + HELD_OUT) < FIT
    alarm = DriftAlarm.fit(case.world, real[fitting], STEPS)
    held_out, visible = real[~fitting], np.stack([film.seen for film in films])[~fitting, :, :, 2] >= VISIBLE
    drawn = reconstruct(case.world, held_out)
    short, long = _rings(alarm, drawn, STEPS), _rings(alarm, made["reencoded"], ahead)
    watched = {"world": made["world"], "simulator": reconstruct(case.world, made["simulator"])}
    if "broken" in made:  # it too was shown real frames, and these are what it is compared with
        watched["broken"] = np.concatenate([made["world"][:, :1], made["broken"][:, 1:]], 1)
    dreams = {name: _picked(_rings(alarm, films, ahead), ahead, horizons) for name, films in watched.items()}
    values = {
        "rate": alarm.rate,
        "promised": (int(fitting.sum()) + 1) * alarm.rate >= 1,
        "fitted_on": int(fitting.sum()) * (len(STEPS) - 1),
        "false_alarms": {
            "all": _rate(case, short, long),
            "held_out": _rate(case, short),
            "long": _rate(case, long),
            "as_they_are": _rate(case, _rings(alarm, held_out, STEPS)),
        },
        "spans": {"held_out": STEPS[-1], "long": ahead[-1]},
        "faults": {
            name: _rate(case, np.where(there, _rings(alarm, np.concatenate([drawn[:, :1], frames], 1)), np.nan))
            for name, (frames, there) in faults(drawn[:, 1:], visible[:, 1:], case.settings.seed).items()
        },
        **_on_dreams(case, dreams, kept, horizons),
    }
    return values, {**_cost(case, alarm, held_out[0]), "alarm_kept": _keep(case, alarm)}


def faults(frames: np.ndarray, visible: np.ndarray, seed: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Spoil real frames uint8 `[n, T, H, W, 3]`: by name the spoilt frames, and bool `[n, T]`, where the fault can be seen at all.

    visible `[n, T, 2]`: where red and yellow are in the picture.
    """
    always, noise = np.ones(frames.shape[:2], bool), np.random.default_rng(seed).normal(0, _NOISE, frames.shape)
    return {
        "red gone": (_painted_over(frames, 0), visible[..., 0]),
        "yellow gone": (_painted_over(frames, 1), visible[..., 1]),
        "blurred": (_blurred(frames), always),
        "noise": (np.clip(frames + noise, 0, 255).astype(np.uint8), always),
    }


def _painted_over(frames: np.ndarray, thing: int) -> np.ndarray:
    """Paint what is red (0) or yellow (1), and a rim of 2 pixels around it, with the frame's median colour."""
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
    """Say where the alarm rings in films `[n, T, H, W, 3]`: `[n, T - 1]` of 0 and 1. Without steps frames do not follow each other."""
    steps = 2 * np.arange(films.shape[1]) if steps is None else steps
    return (alarm.scores(films, steps) > 1).astype(float)


def _picked(rings: np.ndarray, ahead: Sequence[int], horizons: Sequence[int]) -> np.ndarray:
    """Pick the horizons' columns: `[n, horizons]`, NaN where none was drawn."""
    drawn = list(ahead[1 : rings.shape[1] + 1])
    return np.stack([rings[:, drawn.index(h)] if h in drawn else np.full(len(rings), np.nan) for h in horizons], 1)


def _rate(case: Case, *rings: np.ndarray) -> dict[str, Any]:
    """Return the share of 1 among 0 and 1, `[n, T]` each, with its interval over the n episodes of all of them."""
    flat = np.concatenate([r.ravel() for r in rings])
    rows = np.concatenate([np.repeat(np.arange(len(r)), r.shape[1]) + 10_000 * i for i, r in enumerate(rings)])
    return Bootstrap(rows, np.zeros(len(rows)), case.settings.seed, case.settings.resamples).share(flat)


def _on_dreams(
    case: Case, dreams: dict[str, np.ndarray], kept: dict[str, np.ndarray], horizons: Sequence[int]
) -> dict[str, Any]:
    """Lay where the alarm rings on the world's dreams beside where a thing is lost, at each horizon and over all."""
    rings, things = dreams["world"], kept["world"]
    counted = np.isfinite(things).any(axis=2)
    lost = counted & (things == 0).any(axis=2)
    whole = counted & ~lost
    rows = {
        "rings_where_lost": np.where(lost, rings, np.nan),
        "rings_where_whole": np.where(whole, rings, np.nan),
        "lost": np.where(counted, lost, np.nan),
        **{f"rings_{name}": values for name, values in dreams.items()},
    }
    return {
        "dreams": {
            key: {h: _rate(case, values[:, [j]]) for j, h in enumerate(horizons)} for key, values in rows.items()
        },
        "recall": _rate(case, rows["rings_where_lost"]),
        "precision": _rate(case, np.where(counted & (rings == 1), lost, np.nan)),
    }


def _cost(case: Case, alarm: DriftAlarm, clip: np.ndarray) -> dict[str, float]:
    """Time one look, and beside it one frame made alone by the world, in ms."""
    context, space = case.context, case.world.action_space
    shown, rest = np.repeat(clip[:1], context, axis=0), np.stack([space.noop] * max(1, context - 1))[: context - 1]
    monitor, state = alarm.monitor(case.world, clip[:1]), case.world.start(shown[None], rest[None])
    times: dict[str, list[float]] = {"look": [], "frame": []}
    for _ in range(_TIMED):
        before = time.perf_counter()
        frame = case.world.step(state, space.noop[None]).frame
        between = time.perf_counter()
        monitor.update(frame[0])
        times["frame"].append(between - before)
        times["look"].append(time.perf_counter() - between)
    look, frame = (1000 * float(np.median(times[name])) for name in ("look", "frame"))
    return {"look_ms": look, "frame_ms": frame, "look_share": look / frame}


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
