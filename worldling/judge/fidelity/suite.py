"""The fidelity suite: dreams from held-out starts under the true actions, beside what really happened."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from worldling.frame_error import PSNR_LIMIT_DB, psnr
from worldling.judge.case import Case, Starts
from worldling.judge.fidelity.page import page
from worldling.judge.measures.bootstrap import Bootstrap
from worldling.judge.measures.ssim import ssim
from worldling.judge.readers.reader import Reader, Reading, reader_for
from worldling.progress import Progress
from worldling.report.sections import Section

#: What is held against the truth, and the words for it.
CONDITIONS = {
    "world": "the world",
    "shuffled_actions": "the world, actions of another start",
    "copy_last": "last given frame held still",
    "mean_frame": "mean frame",
    "reencoded": "true frame, encoded and decoded",
}
_EXAMPLES = 4
_BATCH_BYTES = 2**28


def run(case: Case) -> Section:
    """Judge fidelity: PSNR and SSIM, the use made of the actions, and the state that readers see.

    Cost: two roll-outs of the furthest horizon per start, with decoding.
    """
    begun = time.monotonic()
    steps = case.settings.horizons[-1]
    starts = case.choose_starts(steps, case.settings.starts)
    frames, state = case.sample_frames()
    mean_frame, mean_source = _mean_frame(case, frames)
    reader = reader_for(case.data.meta.env_id, frames[::2], {k: v[::2] for k, v in state.items()})
    errors = reader.own_error(frames[1::2], {k: v[1::2] for k, v in state.items()})
    seen = _roll_out(case, starts, reader, mean_frame)
    boot = Bootstrap(starts.episode, starts.last, case.settings.seed, case.settings.resamples)
    values = {
        "n": len(starts),
        "asked": case.settings.starts,
        "episodes": int(len(np.unique(starts.episode))),
        "seed": case.settings.seed,
        "context": case.context,
        "intervals": boot.about(),
        "mean_frame": mean_source,
        "psnr_limit_db": PSNR_LIMIT_DB,
        **_pictures(seen, boot, case.settings.horizons),
        "state": {
            "reader": reader.name,
            "about": reader.about,
            "headlines": reader.headlines,
            "own_error": [vars(error) for error in errors],
            "scores": _scores(case, starts, reader, seen, boot),
        },
    }
    seconds = {"seconds": time.monotonic() - begun}
    return page(case, values, seen["examples"], CONDITIONS, seconds)


def _mean_frame(case: Case, sample: np.ndarray) -> tuple[np.ndarray, str]:
    held = case.world.mean_frame
    if held is not None:
        return np.asarray(held, np.uint8), "mean of the training frames, kept by the world"
    mean = sample.mean(axis=0, dtype=np.float64).round().astype(np.uint8)
    return mean, "mean of the judged data's own frames, because the world keeps none of its training frames"


def _roll_out(case: Case, starts: Starts, reader: Reader, mean_frame: np.ndarray) -> dict[str, Any]:
    """Dream from every start, in batches, and keep the figures of each start but not the frames.

    Returns psnr `{condition: [n, steps]}`, ssim `{condition: [n, horizons]}`, readings
    `{condition: {horizon: Reading}}` (horizon 0 of "truth" is the last given frame) and example frames.
    """
    horizons, size = case.settings.horizons, case.data.meta.size_px
    n, steps, columns = len(starts), horizons[-1], np.asarray(horizons) - 1
    acting = case.world.action_space.kind != "none"
    names = [name for name in CONDITIONS if acting or name != "shuffled_actions"]
    clips_at_once = max(1, min(64, _BATCH_BYTES // (size * size * 3 * (case.context + 3 * steps))))
    picked = np.sort(np.random.default_rng([case.settings.seed, 2]).choice(n, min(_EXAMPLES, n), replace=False))
    actions = [case.data.actions(e, t, t + steps) for e, t in zip(starts.episode, starts.last)]
    others = _other_starts(n, case.settings.seed)
    seen: dict[str, Any] = {
        "psnr": {name: np.full((n, steps if name != "reencoded" else len(horizons)), np.nan) for name in names},
        "ssim": {name: np.full((n, len(horizons)), np.nan) for name in names},
        "readings": {name: {h: [] for h in horizons} for name in ("truth", *names) if name != "mean_frame"},
        "examples": {},
    }
    seen["readings"]["truth"][0] = []
    with Progress("fidelity", n, "starts", case.quiet) as progress:
        for first in range(0, n, clips_at_once):
            rows = range(first, min(first + clips_at_once, n))
            clips = [case.clip(int(starts.episode[i]), int(starts.last[i]), steps) for i in rows]
            frames = np.stack([clip[0] for clip in clips])
            given, truth = frames[:, : case.context], frames[:, case.context :]
            past = np.stack([clip[1] for clip in clips])[:, : case.context - 1]
            seeds = [case.settings.seed + row for row in rows]
            made = {"copy_last": given[:, -1:], "mean_frame": mean_frame[None, None]}
            if acting:
                swapped = np.stack([actions[others[i]] for i in rows])
                made["shuffled_actions"] = case.world.rollout(case.world.start(given, past, seeds), swapped)
            taken = np.stack([actions[i] for i in rows])
            made["world"] = case.world.rollout(case.world.start(given, past, seeds), taken)
            made["reencoded"] = case.world.decode(case.world.encode(truth[:, columns]))
            _note(seen, rows, truth, given[:, -1], made, horizons, reader)
            for i in set(rows) & set(picked.tolist()):
                seen["examples"][i] = {
                    "truth": np.concatenate([given[i - first, -1:], truth[i - first, columns]]),
                    **{
                        name: np.concatenate([given[i - first, -1:], made[name][i - first, columns]])
                        for name in ("world", "shuffled_actions")
                        if name in made
                    },
                }
            progress.update(rows.stop)
    return seen


def _note(
    seen: dict[str, Any],
    rows: range,
    truth: np.ndarray,
    last: np.ndarray,
    made: dict[str, np.ndarray],
    horizons: tuple[int, ...],
    reader: Reader,
) -> None:
    """Write the figures of one batch of starts into `seen`."""
    place, columns, readings = slice(rows.start, rows.stop), np.asarray(horizons) - 1, seen["readings"]
    held, aims = reader.read(last), truth[:, columns]
    readings["truth"][0].append(held)
    for j, horizon in enumerate(horizons):
        readings["truth"][horizon].append(reader.read(aims[:, j]))
    for name, frames in made.items():
        # Still pictures have one frame that stands for all; the encoded truth was only made at the horizons.
        chosen = frames if name in ("copy_last", "mean_frame", "reencoded") else frames[:, columns]
        seen["psnr"][name][place] = psnr(aims if name == "reencoded" else truth, frames)
        seen["ssim"][name][place] = ssim(aims, chosen)
        if name != "mean_frame":
            for j, horizon in enumerate(horizons):
                readings[name][horizon].append(held if name == "copy_last" else reader.read(chosen[:, j]))


def _other_starts(n: int, seed: int) -> np.ndarray:
    """For each start another one, each used once, none its own: `[n]`."""
    order = np.random.default_rng([seed, 3]).permutation(n)
    other = np.empty(n, int)
    other[order] = np.roll(order, 1)
    return other


def _pictures(seen: dict[str, Any], boot: Bootstrap, horizons: tuple[int, ...]) -> dict[str, Any]:
    """Sum up PSNR and SSIM: at the horizons, at every step, and the world's lead over each comparison."""
    at = {
        name: values if name == "reencoded" else values[:, np.asarray(horizons) - 1]
        for name, values in seen["psnr"].items()
    }

    def table(values: np.ndarray) -> dict[int, Any]:
        return {h: boot.mean(values[:, j]) for j, h in enumerate(horizons)}

    curves = {}
    for name, values in seen["psnr"].items():
        if name != "reencoded":
            points = [boot.mean(values[:, j]) for j in range(values.shape[1])]
            curves[name] = {key: [point[key] for point in points] for key in ("value", "low", "high")}
    return {
        "psnr_db": {name: table(values) for name, values in at.items()},
        "ssim": {name: table(values) for name, values in seen["ssim"].items()},
        "lead_db": {
            name: table(at["world"] - at[name])
            for name in at
            if name in ("copy_last", "mean_frame", "shuffled_actions")
        },
        "psnr_curve_db": {"step": list(range(1, horizons[-1] + 1)), **curves},
    }


def _scores(
    case: Case, starts: Starts, reader: Reader, seen: dict[str, Any], boot: Bootstrap
) -> dict[str, dict[str, Any]]:
    """Sum up what the reader saw: `{score: {label, unit, statistic, condition: {horizon: interval}}}`."""
    joined = {
        name: {h: _join(parts) for h, parts in by_horizon.items()} for name, by_horizon in seen["readings"].items()
    }
    truth, scores = joined.pop("truth"), {}
    for horizon in case.settings.horizons:
        unbroken = _unbroken(case, starts, reader, horizon)
        for name, by_horizon in joined.items():
            for score in reader.score(truth[0], truth[horizon], by_horizon[horizon], unbroken):
                entry = scores.setdefault(
                    score.key, {"label": score.label, "unit": score.unit, "statistic": score.statistic}
                )
                if score.statistic == "share":
                    interval = boot.share(score.values)
                else:
                    interval = boot.quantile(score.values, {"median": 0.5, "p90": 0.9}[score.statistic])
                entry.setdefault(name, {})[horizon] = {**interval, "eligible": score.eligible}
    return scores


def _join(parts: list[Reading]) -> Reading:
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


def _unbroken(case: Case, starts: Starts, reader: Reader, horizon: int) -> np.ndarray:
    """Say for each start whether the engine had everything in play from it to the horizon: bool `[n]`."""
    unbroken = np.ones(len(starts), bool)
    for episode in np.unique(starts.episode):
        state = {name: case.data.column(f"state/{name}", int(episode)) for name in case.data.state_names}
        in_play = reader.in_play(state)
        if in_play is not None:
            mine = np.flatnonzero(starts.episode == episode)
            unbroken[mine] = [in_play[t : t + horizon + 1].all() for t in starts.last[mine]]
    return unbroken
