"""The horizon suite: what is left of a scene after 1, 10, 100, 1 000 dreamed frames, and does the drift alarm notice.

Long true episodes of every scene are simulated under a hand that pushes and rests, and dreamed from their first
frames under the same actions. Four things are followed: whether red and yellow are still there, where they are,
where in the picture motion happens (after Physics-IQ, arXiv 2501.09038), and how fast they move.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from worldling.alarm import reconstruct
from worldling.judge.case import Case
from worldling.judge.horizon.alarm import alarm_plays, judge_alarm
from worldling.judge.horizon.page import page
from worldling.judge.measures.bootstrap import Bootstrap
from worldling.judge.measures.motion_mask import motion_masks, spatial_iou, spatiotemporal_iou
from worldling.judge.measures.permanence import IN_ONE_PIECE, SENSIBLE, VISIBLE, Found, find, is_there, sensible_area
from worldling.judge.self_check import ANCHORS
from worldling.judge.truth.episodes import JOLT, Film, Play, draw_play, film_all
from worldling.judge.truth.exam import chosen_scenes
from worldling.progress import Progress
from worldling.protocol import WorldModel
from worldling.report.sections import Anchored, Section

HORIZONS = (1, 5, 10, 25, 50, 100, 200, 500, 1000)
#: Motion is looked at over this many frames up to the horizon, or over all there are.
WINDOW = 10
EPISODES = 4  # of each scene
#: The simulator, jolted or under other pushes, is followed no further than this (long before, it has nothing in common with the truth
#: but its things), nor is the broken world.
JOLTED_TO, BROKEN_TO = 200, 100
_SOON = 10  # frames ahead at which the self-check looks at motion: the jolted simulator is still close to the truth
WORKERS = min(2, os.cpu_count() or 1)


@dataclass
class Looked:
    """What was read in one condition's films `[n, L, H, W, 3]`: things, and motion masks `[n, W, H, W]` by horizon."""

    found: Found
    masks: dict[int, np.ndarray]


def run(case: Case) -> Section:
    """Dream `EPISODES` episodes of every scene for 1 000 frames. Cost: about 2 minutes on two cores, half of it simulation."""
    begun = time.monotonic()
    scenes, ahead, last = chosen_scenes(case), frames_ahead(HORIZONS), case.context - 1
    from worldling.scenes.trial import FPS

    plays = _plays(case, scenes, ahead)
    n = len(plays)
    jolted = [play.jolted(last, last + min(JOLTED_TO, ahead[-1])) for play in plays]
    spare = alarm_plays(case.settings.seed, scenes, last)
    others = [play.under_other_pushes(last, len(again.actions)) for play, again in zip(plays, jolted)]
    films = film_all([*plays, *jolted, *others, *spare], case.world.size_px, WORKERS, case.quiet)
    truth = films[:n]
    made = {
        "truth": _pictures(truth, last),
        "simulator": _pictures(films[n : 2 * n], last),
        "others": _pictures(films[2 * n : 3 * n], last),
    }
    made["reencoded"] = reconstruct(case.world, made["truth"])
    made["world"] = dream(case, case.world, plays, truth, ahead)
    made["copy_last"] = np.broadcast_to(made["truth"][:, :1], made["truth"].shape)
    if case.broken is not None:
        made["broken"] = dream(case, case.broken, plays, truth, [t for t in ahead if t <= BROKEN_TO])
    looked = {name: look(frames, ahead) for name, frames in made.items()}
    found = {name: item.found for name, item in looked.items()}
    seen = np.stack([film.seen for film in truth])
    boot = Bootstrap(np.arange(n), np.zeros(n), case.settings.seed, case.settings.resamples)
    both = Bootstrap(np.repeat(np.arange(n), 2), np.zeros(2 * n), case.settings.seed, case.settings.resamples)
    kept, read = permanence(found, seen, ahead)
    values = {
        "n": n,
        "episodes_per_scene": EPISODES,
        "scenes": scenes,
        "horizons": list(HORIZONS),
        "fps": FPS,
        "jolt": JOLT,
        "window": WINDOW,
        "intervals": boot.about(),
        "permanence": {"definition": _definition(), "read_in_truth": _row(read, both.share), "kept": _kept(kept, both)},
        "place_error": _place_errors(found, seen, ahead, both),
        "motion": _motion(looked, boot),
        "kinetic": _kinetic(found, ahead, both),
        "energy_joules": _row(np.stack([f.energy for f in truth]), boot.mean),
    }
    values["alarm"], alarm_timing = judge_alarm(case, films[3 * n :], made, kept, ahead, HORIZONS)
    section = page(values, {"seconds": time.monotonic() - begun, **alarm_timing}, _strips(plays, made, ahead))
    there, moved = values["permanence"]["kept"], values["motion"]["spatiotemporal_iou"]
    section.anchors = [
        Anchored(
            f"things still there after {BROKEN_TO} frames",
            {name: there[name]["both"][BROKEN_TO] for name in ANCHORS if name in there},
            "top",
        ),
        Anchored(
            f"where things move up to frame {_SOON}",
            {name: moved[name][_SOON] for name in ANCHORS if name in moved},
            "below",
            unit="",
        ),
    ]
    return section


def frames_ahead(horizons: Sequence[int]) -> list[int]:
    """Return the frames that are looked at, counted from the last one shown (0): each horizon and the window before it."""
    return sorted({t for h in horizons for t in window_of(h)})


def window_of(horizon: int) -> range:
    """Return the frames of the window that ends at a horizon, one more than the moves in it."""
    return range(max(0, horizon - WINDOW), horizon + 1)


def _plays(case: Case, scenarios: Sequence[str], ahead: Sequence[int]) -> list[Play]:
    """Draw the episodes; all frames shown are drawn, and the engine is asked at the horizons."""
    last = case.context - 1
    looked, marked = [*range(last), *(last + t for t in ahead)], [last + h for h in HORIZONS]
    return [
        draw_play(scenario, [case.settings.seed, 10, k], looked, marked)
        for scenario in scenarios
        for k in range(EPISODES)
    ]


def _pictures(films: Sequence[Film], first: int) -> np.ndarray:
    return np.stack([film.frames[first:] for film in films])


def dream(
    case: Case, world: WorldModel, plays: Sequence[Play], truth: Sequence[Film], ahead: Sequence[int]
) -> np.ndarray:
    """Dream on from the frames shown, under each play's actions; returns uint8 `[n, L, H, W, 3]` at the frames `ahead`.

    Frame 0, the last one shown, is given as the world itself draws it, so that nothing seems to move only because
    the world's drawing sets in.
    """
    last = case.context - 1
    shown = np.stack([film.frames[: last + 1] for film in truth])
    actions = np.stack([play.actions for play in plays])
    state = world.start(shown, actions[:, :last], seed=[case.settings.seed + row for row in range(len(plays))])
    column, total = {t: i for i, t in enumerate(ahead)}, ahead[-1]
    frames = np.empty((len(plays), len(ahead), *shown.shape[2:]), np.uint8)
    frames[:, 0] = reconstruct(world, shown[:, -1])
    with Progress("horizon", total, "frames", case.quiet) as progress:
        for t in range(1, total + 1):
            step = world.step(state, actions[:, last + t - 1], decode=t in column)
            if t in column:
                frames[:, column[t]] = step.frame
            progress.update(t)
    return frames


def at_horizons(values: np.ndarray, ahead: Sequence[int]) -> np.ndarray:
    """Pick the horizons' columns of `[n, L, ...]`, of which the first L of `ahead` were looked at: float `[n, horizons, ...]`,
    NaN where none was."""
    drawn = list(ahead[: values.shape[1]])
    picked = np.full((len(values), len(HORIZONS), *values.shape[2:]), np.nan)
    for j, horizon in enumerate(HORIZONS):
        if horizon in drawn:
            picked[:, j] = values[:, drawn.index(horizon)]
    return picked


def look(frames: np.ndarray, ahead: Sequence[int]) -> Looked:
    """Read things in films `[n, L, H, W, 3]`, of which the first L of `ahead` were drawn, and motion in every window."""
    drawn = list(ahead[: frames.shape[1]])
    windows = {h: [drawn.index(t) for t in window_of(h)] for h in HORIZONS if h in drawn}
    return Looked(find(frames), {h: motion_masks(frames[:, columns]) for h, columns in windows.items()})


def permanence(
    found: dict[str, Found], seen: np.ndarray, ahead: Sequence[int]
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Say which things that should be there at each horizon are: by condition, `[n, horizons, 2]`, NaN where none should.

    seen `[n, horizons, 2, 3]`: what the engine says. A thing should be there if the engine sees it and the true frame
    passes the same test, so that truth scores 1. Also returned: whether it passes, where the engine sees it.
    """
    sensible = sensible_area(found["truth"])
    there = {name: at_horizons(is_there(item, sensible), ahead) for name, item in found.items()}
    visible = seen[..., 2] >= VISIBLE
    should = visible & (there["truth"] == 1)
    return {name: np.where(should, is_, np.nan) for name, is_ in there.items()}, np.where(
        visible, there["truth"], np.nan
    )


def place_errors(found: dict[str, Found], seen: np.ndarray, ahead: Sequence[int]) -> dict[str, np.ndarray]:
    """Return by condition how far each thing is read from where the engine has it, in % of the picture: `[n, horizons, 2]`,
    NaN where it is hidden in either."""
    where = np.where(seen[..., 2:] >= VISIBLE, seen[..., :2], np.nan)
    return {
        name: 100.0 * np.linalg.norm(at_horizons(item.place, ahead) - where, axis=-1) for name, item in found.items()
    }


def kinetic(found: Found, ahead: Sequence[int]) -> np.ndarray:
    """Return the mean squared speed of each thing over the window before each horizon, in (% of the picture a frame) squared:
    `[n, horizons, 2]`, NaN where it was hidden in all of it. What of energy can be read from pictures alone."""
    drawn = list(ahead[: found.area.shape[1]])
    speeds = np.full((len(found.area), len(HORIZONS), 2), np.nan)
    for j, horizon in enumerate(HORIZONS):
        if horizon in drawn:
            places = 100.0 * found.place[:, [drawn.index(t) for t in window_of(horizon)]]
            squared = np.square(np.diff(places, axis=1)).sum(-1)
            counted = np.isfinite(squared).sum(1)
            speeds[:, j] = np.where(counted > 0, np.nansum(squared, axis=1) / np.maximum(counted, 1), np.nan)
    return speeds


def _row(values: np.ndarray, statistic: Callable[[np.ndarray], dict[str, Any]]) -> dict[int, Any]:
    """Sum up `[n, horizons, ...]` at each horizon."""
    return {h: statistic(values[:, j].ravel()) for j, h in enumerate(HORIZONS)}


def _kept(kept: dict[str, np.ndarray], both: Bootstrap) -> dict[str, Any]:
    table = {}
    for name, values in kept.items():
        only = [np.where(np.arange(2) == k, values, np.nan) for k in range(2)]
        table[name] = {
            "both": _row(values, both.share),
            "red": _row(only[0], both.share),
            "yellow": _row(only[1], both.share),
        }
    return table


def _place_errors(found: dict[str, Found], seen: np.ndarray, ahead: Sequence[int], both: Bootstrap) -> dict[str, Any]:
    return {
        name: {"median": _row(e, lambda v: both.quantile(v, 0.5)), "p90": _row(e, lambda v: both.quantile(v, 0.9))}
        for name, e in place_errors(found, seen, ahead).items()
    }


def _motion(looked: dict[str, Looked], boot: Bootstrap) -> dict[str, Any]:
    """Compare every condition's motion masks with the truth's; also as a share of what the jolted simulator reaches."""
    truth = looked["truth"].masks
    table: dict[str, Any] = {}
    for key, measure in (("spatial_iou", spatial_iou), ("spatiotemporal_iou", spatiotemporal_iou)):
        agree = {
            name: np.stack(
                [
                    measure(item.masks[h], truth[h]) if h in item.masks else np.full(len(truth[h]), np.nan)
                    for h in HORIZONS
                ],
                1,
            )
            for name, item in looked.items()
            if name != "truth"
        }
        table[key] = {name: _row(values, boot.mean) for name, values in agree.items()}
        table[f"{key}_of_simulator"] = {
            name: {h: boot.ratio(values[:, j], agree["simulator"][:, j]) for j, h in enumerate(HORIZONS)}
            for name, values in agree.items()
            if name != "simulator"
        }
    return table


def _kinetic(found: dict[str, Found], ahead: Sequence[int], both: Bootstrap) -> dict[str, Any]:
    speeds = {name: kinetic(item, ahead) for name, item in found.items()}
    return {
        name: {h: both.ratio(values[:, j].ravel(), speeds["truth"][:, j].ravel()) for j, h in enumerate(HORIZONS)}
        for name, values in speeds.items()
        if name != "truth"
    }


def _definition() -> str:
    return (
        f"there: at least 2 pixels of 64 x 64, no less than {SENSIBLE[0]:g} and no more than {SENSIBLE[1]:g} times what the thing "
        "covers in the true episode (its smallest and largest tenth left out), and "
        f"{IN_ONE_PIECE * 100:.0f} % of it in one piece; should be there: the engine shows at least {VISIBLE * 64**2:.0f} pixels of it, and the true "
        "frame passes the same test"
    )


def _strips(
    plays: Sequence[Play], made: dict[str, np.ndarray], ahead: Sequence[int]
) -> dict[str, dict[str, np.ndarray]]:
    """Pick the first episode of every scene: films `[horizons + 1, H, W, 3]` of truth and dream, the last frame shown first."""
    columns = [list(ahead).index(t) for t in (0, *HORIZONS)]
    return {
        plays[i].scenario: {name: made[name][i, columns] for name in ("truth", "world")}
        for i in range(0, len(plays), EPISODES)
    }
