"""The horizon suite: what is left of a scene after 1, 10, 100, 1 000 predicted frames, and does the drift alarm notice?

Long true episodes of every scene are simulated under random pushes, and predicted from their first frames under the
same actions. Four things are followed: whether red and yellow are still there, where they are, where in the picture
motion happens (after Physics-IQ, arXiv 2501.09038), and how fast they move.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from worldling.alarm import reconstruct
from worldling.judge.case import Case
from worldling.judge.horizon.alarm import AlarmResult, AlarmTiming, alarm_plays, judge_alarm
from worldling.judge.horizon.reading import WINDOW, Grid, Looked, kinetic, look, overlaps, permanence, place_errors
from worldling.judge.measures.bootstrap import Bootstrap, BootstrapMethod
from worldling.judge.measures.motion_mask import spatial_iou, spatiotemporal_iou
from worldling.judge.measures.permanence import IN_ONE_PIECE, SENSIBLE, VISIBLE, Found
from worldling.judge.results import Anchored, Elapsed, SuiteResult
from worldling.judge.truth.episodes import PERTURBATION, Film, Play, draw_play, film_all
from worldling.judge.truth.exam import chosen_scenes
from worldling.progress import Progress
from worldling.protocol import WorldModel
from worldling.report.values import Interval, hidden, spread

HORIZONS = (1, 5, 10, 25, 50, 100, 200, 500, 1000)
EPISODES = 4  # of each scene
#: The simulator, perturbed or under other pushes, is followed no further than this (long before, it has nothing in
#: common with the truth but its things), nor are random weights.
SIMULATED_TO, RANDOM_WEIGHTS_TO = 200, 100
_SOON = 10  # frames ahead at which the self-check looks at motion: the perturbed simulator is still close to the truth
WORKERS = min(2, os.cpu_count() or 1)
#: Figures by frames ahead.
ByHorizon = dict[int, Interval]


@dataclass(frozen=True)
class Kept:
    """Share of the things that should be there that are: of both, and of red and of yellow alone."""

    both: ByHorizon
    red: ByHorizon
    yellow: ByHorizon


@dataclass(frozen=True)
class Permanence:
    """Object permanence. definition: of being there; read_in_truth: share of things that the engine shows which pass
    in the true frame; kept: by condition."""

    definition: str
    read_in_truth: ByHorizon
    kept: dict[str, Kept]


@dataclass(frozen=True)
class PlaceError:
    """Distance of things from where they are, in % of the picture's side: median, and what 9 in 10 lie below."""

    median: ByHorizon
    p90: ByHorizon


@dataclass(frozen=True)
class MotionOverlap:
    """Intersection over union of the pixels that move with the truth's, by condition.

    spatial: anywhere in the window; spatiotemporal: frame by frame; of_simulator: as a share of what the perturbed
    simulator reaches.
    """

    spatial_iou: dict[str, ByHorizon]
    spatial_iou_of_simulator: dict[str, ByHorizon]
    spatiotemporal_iou: dict[str, ByHorizon]
    spatiotemporal_iou_of_simulator: dict[str, ByHorizon]


@dataclass(frozen=True)
class HorizonTiming(Elapsed):
    """Time of the suite, and of the alarm."""

    alarm: AlarmTiming = spread()


@dataclass(frozen=True, kw_only=True)
class HorizonResult(SuiteResult):
    """What is left of scenes after many predicted frames.

    n: episodes; fps: frames per second; perturbation: standard deviation of the simulator's velocities, in shares;
    window: frames up to the horizon over which motion is read; kinetic: mean squared speed over the truth's, by
    condition; energy_joules: the truth's, kinetic and potential. strips: frames uint8 `[1 + horizons, H, W, 3]` of the
    first episode of every scene, "truth" and "world".
    """

    n: int
    episodes_per_scene: int
    scenes: list[str]
    horizons: tuple[int, ...]
    fps: float
    perturbation: float
    window: int
    intervals: BootstrapMethod
    permanence: Permanence
    place_error: dict[str, PlaceError]
    motion: MotionOverlap
    kinetic: dict[str, ByHorizon]
    energy_joules: ByHorizon
    alarm: AlarmResult
    timing: HorizonTiming = hidden()
    strips: dict[str, dict[str, np.ndarray]] = hidden()


def run(case: Case) -> HorizonResult:
    """Predict `EPISODES` episodes of every scene for 1 000 frames.

    Cost: about 2 minutes on two cores, half of it simulation.
    """
    begun = time.monotonic()
    scenes, grid, last = chosen_scenes(case), Grid(HORIZONS), case.context - 1
    from worldling.scenes.trial import FPS

    plays = _plays(case, scenes, grid)
    n = len(plays)
    perturbed = [play.perturbed(last, last + min(SIMULATED_TO, grid.ahead[-1])) for play in plays]
    others = [play.under_other_pushes(last, len(again.actions)) for play, again in zip(plays, perturbed)]
    spare = alarm_plays(case.settings.seed, scenes, last)
    films = film_all([*plays, *perturbed, *others, *spare], case.world.size_px, WORKERS, case.quiet)
    truth = films[:n]
    made = _frames(case, plays, films, grid)
    looked = {name: look(frames, grid) for name, frames in made.items()}
    found = {name: item.found for name, item in looked.items()}
    seen = np.stack([film.seen for film in truth])
    boot = Bootstrap(np.arange(n), np.zeros(n), case.settings.seed, case.settings.resamples)
    both = Bootstrap(np.repeat(np.arange(n), 2), np.zeros(2 * n), case.settings.seed, case.settings.resamples)
    kept, read = permanence(found, seen, grid)
    alarm, alarm_timing = judge_alarm(case, films[3 * n :], made, kept, grid)
    there, motion = _kept(kept, both, grid), _motion(looked, boot, grid)
    return HorizonResult(
        n=n,
        episodes_per_scene=EPISODES,
        scenes=scenes,
        horizons=grid.horizons,
        fps=FPS,
        perturbation=PERTURBATION,
        window=WINDOW,
        intervals=boot.about(),
        permanence=Permanence(_definition(), _row(read, both.share, grid), there),
        place_error=_place_errors(found, seen, both, grid),
        motion=motion,
        kinetic=_kinetic(found, both, grid),
        energy_joules=_row(np.stack([film.energy for film in truth]), boot.mean, grid),
        alarm=alarm,
        strips=_strips(plays, made, grid),
        timing=HorizonTiming(time.monotonic() - begun, alarm_timing),
        anchored=(
            Anchored.of(
                f"things still there after {RANDOM_WEIGHTS_TO} frames",
                {name: shares.both[RANDOM_WEIGHTS_TO] for name, shares in there.items()},
                "top",
            ),
            Anchored.of(
                f"where things move up to frame {_SOON}",
                {name: by[_SOON] for name, by in motion.spatiotemporal_iou.items()},
                "below",
                unit="",
            ),
        ),
    )


def _plays(case: Case, scenarios: Sequence[str], grid: Grid) -> list[Play]:
    """Draw the episodes; all frames shown are drawn, and the engine is asked at the horizons."""
    last = case.context - 1
    looked, marked = [*range(last), *(last + t for t in grid.ahead)], [last + h for h in grid.horizons]
    return [
        draw_play(scenario, [case.settings.seed, 10, k], looked, marked)
        for scenario in scenarios
        for k in range(EPISODES)
    ]


def _frames(case: Case, plays: Sequence[Play], films: Sequence[Film], grid: Grid) -> dict[str, np.ndarray]:
    """Return frames uint8 `[n, L, H, W, 3]` by condition, at the first L frames of the grid.

    films: of the plays, then perturbed, then under other pushes.
    """
    n, first = len(plays), case.context - 1
    truth, simulator, others = (
        np.stack([film.frames[first:] for film in films[i * n : (i + 1) * n]]) for i in range(3)
    )
    made = {
        "truth": truth,
        "simulator": simulator,
        "others": others,
        "reencoded": reconstruct(case.world, truth),
        "world": predict(case, case.world, plays, films[:n], grid.ahead),
        "copy_last": np.broadcast_to(truth[:, :1], truth.shape),
    }
    if case.random_weights is not None:
        ahead = [t for t in grid.ahead if t <= RANDOM_WEIGHTS_TO]
        made["random_weights"] = predict(case, case.random_weights, plays, films[:n], ahead)
    return made


def predict(
    case: Case, world: WorldModel, plays: Sequence[Play], truth: Sequence[Film], ahead: Sequence[int]
) -> np.ndarray:
    """Predict on from the frames shown, under each play's actions.

    Returns uint8 `[n, L, H, W, 3]` at the frames `ahead`. Frame 0, the last one shown, is given encoded and
    decoded, so that nothing seems to move only because the world's decoder sets in.
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


def _row(values: np.ndarray, statistic: Callable[[np.ndarray], Interval], grid: Grid) -> ByHorizon:
    """Sum up `[n, horizons, ...]` at each horizon."""
    return {h: statistic(values[:, j].ravel()) for j, h in enumerate(grid.horizons)}


def _kept(kept: Mapping[str, np.ndarray], both: Bootstrap, grid: Grid) -> dict[str, Kept]:
    table = {}
    for name, values in kept.items():
        red, yellow = (np.where(np.arange(2) == k, values, np.nan) for k in range(2))
        table[name] = Kept(*(_row(part, both.share, grid) for part in (values, red, yellow)))
    return table


def _place_errors(found: Mapping[str, Found], seen: np.ndarray, both: Bootstrap, grid: Grid) -> dict[str, PlaceError]:
    return {
        name: PlaceError(*(_row(errors, lambda v, q=q: both.quantile(v, q), grid) for q in (0.5, 0.9)))
        for name, errors in place_errors(found, seen, grid).items()
    }


def _motion(looked: Mapping[str, Looked], boot: Bootstrap, grid: Grid) -> MotionOverlap:
    """Compare every condition's motion masks with the truth's; also as a share of what the simulator reaches."""
    tables: list[dict[str, ByHorizon]] = []
    for measure in (spatial_iou, spatiotemporal_iou):
        agree = overlaps(looked, measure, grid)
        tables.append({name: _row(values, boot.mean, grid) for name, values in agree.items()})
        tables.append(
            {
                name: {h: boot.ratio(values[:, j], agree["simulator"][:, j]) for j, h in enumerate(grid.horizons)}
                for name, values in agree.items()
                if name != "simulator"
            }
        )
    return MotionOverlap(*tables)


def _kinetic(found: Mapping[str, Found], both: Bootstrap, grid: Grid) -> dict[str, ByHorizon]:
    speeds = {name: kinetic(item, grid) for name, item in found.items()}
    truth = speeds.pop("truth")
    return {
        name: {h: both.ratio(values[:, j].ravel(), truth[:, j].ravel()) for j, h in enumerate(grid.horizons)}
        for name, values in speeds.items()
    }


def _definition() -> str:
    return (
        f"there: at least 2 pixels of 64 x 64, no less than {SENSIBLE[0]:g} and no more than {SENSIBLE[1]:g} times "
        "what the thing covers in the true episode (its smallest and largest tenth left out), and "
        f"{IN_ONE_PIECE * 100:.0f} % of it in one piece; should be there: the engine shows at least "
        f"{VISIBLE * 64**2:.0f} pixels of it, and the true frame passes the same test"
    )


def _strips(plays: Sequence[Play], made: Mapping[str, np.ndarray], grid: Grid) -> dict[str, dict[str, np.ndarray]]:
    """Pick the first episode of every scene, the last frame shown first."""
    columns = [grid.ahead.index(t) for t in (0, *grid.horizons)]
    return {
        plays[i].scenario: {name: made[name][i, columns] for name in ("truth", "world")}
        for i in range(0, len(plays), EPISODES)
    }
