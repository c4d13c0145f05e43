"""The control suite: does the dream do what its actions say, and how soon?

    counterfactuals    four true futures of one state, four dreams of it: is each dream nearest to its own? (chance 25 %)
    inverse dynamics   which way red was pushed, told by a readout fitted on real clips, asked about dreams
    latency            frames from the push until red answers, in the dream and in the engine

The futures are made by the engine from the very same state (`control_forks`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from worldling.judge.baselines import CopyLast
from worldling.judge.case import Case
from worldling.judge.control.page import page
from worldling.judge.control.scores import ANSWERED, NEVER, Measured, Reference
from worldling.judge.measures.bootstrap import Bootstrap
from worldling.judge.measures.readout import Readout
from worldling.judge.self_check import ANCHORS
from worldling.judge.truth.exam import chosen_scenes
from worldling.judge.truth.forks import ANSWERS, APART, HORIZON, JUDGED, LATEST, Fork, checksum, fork_scene
from worldling.judge.truth.processes import in_processes
from worldling.progress import Progress
from worldling.protocol import WorldModel
from worldling.report.sections import Anchored, Section

#: Who makes the futures, in the words of the report. All but the truth and the world are anchors.
DREAMERS = {
    "truth": "what really happened",
    "world": "the world",
    "simulator": "the engine, velocities jolted by 0.1 %",
    "reencoded": "true frames, encoded and decoded by the world",
    "copy_last": "last given frame held still",
    "broken": "the same networks, random weights",
}
#: Forks per scene; the anchors are measured on the first half of them.
FORKS = 12
FOLDS = 4  # of inverse dynamics: fitted on the other forks' real clips

Dreamer = Callable[[Sequence[Fork]], np.ndarray]
T = TypeVar("T")


def run(case: Case, forks: int = FORKS) -> Section:
    """Judge control, on so many forks of every scene (8 in all or more, for the readout).

    Cost: 80 frames drawn and 75 dreamed per fork, 7 500 of each by default; 45 seconds on 2 cores.
    """
    scenarios = chosen_scenes(case)
    begun = time.monotonic()
    from worldling.scenes.labels import OBSERVED  # only now: it needs MuJoCo, which `chosen_scenes` asks for
    from worldling.scenes.trial import FPS

    anchored, dreamers = -(-forks // 2), _dreamers(case)
    by_scene: dict[str, dict[str, Measured]] = {}
    films, checksums, tried = {}, {}, {}
    with Progress("control", forks * len(scenarios), "forks", case.quiet) as progress:
        jobs = [(scenario, forks, anchored, case.world.size_px, case.settings.seed) for scenario in scenarios]
        for number, (ours, simulated) in in_processes(fork_scene, jobs):
            scenario, reference = scenarios[number], Reference(ours)
            measured = {"truth": reference.measure(reference.truth), "simulator": reference.measure(simulated)}
            for name, dream in dreamers.items():
                frames = dream(ours if name == "world" else ours[:anchored])
                measured[name] = reference.measure(frames)
                if name == "world":
                    films[scenario] = _film(ours[0], frames[0])
            by_scene[scenario], checksums[scenario], tried[scenario] = (
                measured,
                checksum(ours),
                sum(fork.tried for fork in ours),
            )
            progress.update(len(by_scene) * forks)
    names = [name for name in DREAMERS if name in by_scene[scenarios[0]]]
    measured = {name: {scenario: by_scene[scenario][name] for scenario in scenarios} for name in names}
    told = inverse_dynamics(measured)
    boot = Redraws(case.settings.seed, case.settings.resamples)
    values = {
        "forks": forks * len(scenarios),
        "forks_per_scene": forks,
        "anchor_forks_per_scene": anchored,
        "frames": HORIZON,
        "judged_frames": JUDGED,
        "latest_push": LATEST,
        "shown_frames": OBSERVED,
        "fps": FPS,
        "apart": APART,
        "answered": ANSWERED,
        "chance": 1 / (len(ANSWERS) - 1),
        "majority": 1 / len(ANSWERS),
        "anchors_missing": [name for name in DREAMERS if name not in measured],
        "intervals": boot.over(np.zeros((forks, 1))).about("forks"),
        "counterfactuals": {name: _counterfactuals(boot, by) for name, by in measured.items() if name != "truth"},
        "inverse_dynamics": {name: _told(boot, by) for name, by in told.items()},
        "latency": {name: _latency(boot, by, measured["truth"]) for name, by in measured.items()},
        "set": {"checksums": _in_order(checksums, scenarios), "tried": _in_order(tried, scenarios)},
    }
    section = page(values, _in_order(films, scenarios), DREAMERS, {"seconds": time.monotonic() - begun})
    section.anchors = [
        Anchored(
            "dreams nearest to their own future",
            _means(values["counterfactuals"], "pictures"),
            "guess",
            values["chance"],
        ),
        Anchored("pushes told from the dream", _means(values["inverse_dynamics"]), "guess", values["majority"]),
    ]
    return section


def _means(table: dict[str, Any], measure: str = "") -> dict[str, Any]:
    """Pick the interval over all scenes of each dreamer."""
    return {name: (by[measure] if measure else by)["mean"] for name, by in table.items() if name in ANCHORS}


def _dreamers(case: Case) -> dict[str, Dreamer]:
    """Say how each dreamer makes futures uint8 `[n, 5, HORIZON, H, W, 3]` of n forks."""

    def dreaming(world: WorldModel) -> Dreamer:
        return lambda forks: dream_forks(world, forks, case.settings.seed)

    def reencoding(forks: Sequence[Fork]) -> np.ndarray:
        return case.world.decode(case.world.encode(np.stack([fork.truth for fork in forks])))

    return {
        "world": dreaming(case.world),
        "reencoded": reencoding,
        "copy_last": dreaming(CopyLast(case.world)),
        **({} if case.broken is None else {"broken": dreaming(case.broken)}),
    }


def _in_order(by: dict[str, T], scenarios: Sequence[str]) -> dict[str, T]:
    """Return what came in the order in which scenes got done in that of the scenes."""
    return {scenario: by[scenario] for scenario in scenarios}


def dream_forks(world: WorldModel, forks: Sequence[Fork], seed: int, at_once: int = 12) -> np.ndarray:
    """Let a world dream the five futures of every fork: uint8 `[n, 5, HORIZON, H, W, 3]`.

    The futures of one fork share their seed, so that in a world of chance too only the actions differ. at_once: forks in a batch.
    """
    futures, parts = len(ANSWERS), []
    for first in range(0, len(forks), at_once):
        some = forks[first : first + at_once]
        shown = np.repeat(np.stack([fork.shown for fork in some]), futures, axis=0)
        past = np.zeros((len(shown), shown.shape[1] - 1, 2), np.float32)
        seeds = np.repeat(seed + first + np.arange(len(some)), futures).tolist()
        dream = world.rollout(world.start(shown, past, seed=seeds), np.concatenate([fork.actions for fork in some]))
        parts.append(dream.reshape(len(some), futures, *dream.shape[1:]))
    return np.concatenate(parts)


class Redraws:
    """Redraws whole forks: what was measured on the same fork belongs together."""

    def __init__(self, seed: int, resamples: int) -> None:
        self.seed, self.resamples = seed, resamples

    def over(self, items: np.ndarray) -> Bootstrap:
        """Return the bootstrap for items `[n forks, k]`, taken row by row."""
        forks = np.repeat(np.arange(len(items)), items.shape[1])
        return Bootstrap(forks, np.zeros(len(forks)), self.seed, self.resamples)

    def table(
        self, parts: dict[str, np.ndarray], statistic: Callable[[Bootstrap, np.ndarray], dict[str, Any]]
    ) -> dict[str, Any]:
        """Sum up parts `{scene: [n, k]}`: `{"mean": over all forks, "scenes": {scene: ...}}`."""

        def summed(items: np.ndarray) -> dict[str, Any]:
            return statistic(self.over(items), items.ravel())

        return {
            "mean": summed(np.concatenate(list(parts.values()))),
            "scenes": {scene: summed(items) for scene, items in parts.items()},
        }

    def curve(self, items: np.ndarray) -> dict[str, list[float]]:
        """Sum up shares `[n, k, K]` frame by frame: value, low and high, each `[K]`; NaN items are not counted."""
        boot = self.over(items)
        points = [boot.share(items[..., at].ravel()) for at in range(items.shape[-1])]
        return {key: [point[key] for point in points] for key in ("value", "low", "high")}


def _counterfactuals(redraws: Redraws, by: dict[str, Measured]) -> dict[str, Any]:
    """Sum up how often a dream is nearest to its own true future, by pictures and by red's place."""
    joined = Measured.join(list(by.values()))
    return {
        **{
            name: redraws.table({s: getattr(m, name)[..., -1] for s, m in by.items()}, Bootstrap.share)
            for name in ("pictures", "places")
        },
        "lead_db": redraws.table({s: m.lead_db for s, m in by.items()}, Bootstrap.mean),
        "curve": {name: redraws.curve(getattr(joined, name)) for name in ("pictures", "places")},
    }


def _latency(redraws: Redraws, by: dict[str, Measured], truth: dict[str, Measured]) -> dict[str, Any]:
    """Sum up when red answers a push, where it really does; a dream that never answers counts as one frame past the last."""
    answer = {s: np.where(truth[s].answer[: len(m.answer)] < NEVER, m.answer, np.nan) for s, m in by.items()}
    behind = {s: found - truth[s].answer[: len(found)] for s, found in answer.items()}
    joined = np.concatenate(list(answer.values()))
    by_then = joined[..., None] <= np.arange(1, NEVER)

    def share(parts: dict[str, np.ndarray]) -> dict[str, Any]:
        return redraws.table(
            {s: np.where(np.isnan(answer[s]), np.nan, part) for s, part in parts.items()}, Bootstrap.share
        )

    def median(boot: Bootstrap, items: np.ndarray) -> dict[str, Any]:
        return boot.quantile(items, 0.5)

    return {
        "frames": redraws.table(answer, median),
        "behind": redraws.table(behind, median),
        "within_1": share({s: (np.abs(late) <= 1) & (answer[s] < NEVER) for s, late in behind.items()}),
        "never": share({s: found == NEVER for s, found in answer.items()}),
        "curve": redraws.curve(np.where(np.isnan(joined)[..., None], np.nan, by_then)),
    }


def inverse_dynamics(measured: dict[str, dict[str, Measured]]) -> dict[str, dict[str, np.ndarray]]:
    """Say which of ANSWERS is told rightly, by dreamer and scene: float `[n, 5]`.

    The readout is fitted on the true futures of other forks than those it is asked about, real or dreamed.
    """
    truth = measured["truth"].values()
    features, fork = (
        np.concatenate([m.motion for m in truth]),
        np.concatenate([np.arange(len(m.motion)) for m in truth]),
    )
    answers, groups = np.broadcast_arrays(np.arange(len(ANSWERS)), np.arange(len(features))[:, None])
    right = {name: {s: np.full(m.motion.shape[:2], np.nan) for s, m in by.items()} for name, by in measured.items()}
    folds = min(FOLDS, int(fork.max()) + 1)
    for fold in range(folds):
        kept = fork % folds != fold
        readout = Readout(features[kept].reshape(-1, features.shape[-1]), answers[kept].ravel(), groups[kept].ravel())
        for name, by in measured.items():
            for scene, found in by.items():
                asked = slice(fold, None, folds)
                if len(found.motion[asked]):
                    told = readout(found.motion[asked].reshape(-1, features.shape[-1])).reshape(-1, len(ANSWERS))
                    right[name][scene][asked] = told == np.arange(len(ANSWERS))
    return right


def _told(redraws: Redraws, by: dict[str, np.ndarray]) -> dict[str, Any]:
    joined = np.concatenate(list(by.values()))
    boot = redraws.over(joined[:, :1])
    return {
        **redraws.table(by, Bootstrap.share),
        "answers": {answer: boot.share(joined[:, at]) for at, answer in enumerate(ANSWERS)},
    }


def _film(fork: Fork, dream: np.ndarray) -> dict[str, np.ndarray]:
    """The last frame shown, and the last frame judged of every pushed future: uint8 `[5, H, W, 3]` each."""
    last = fork.onset + JUDGED - 1
    return {
        name: np.concatenate([fork.shown[-1:], frames[1:, last]])
        for name, frames in (("truth", fork.truth), ("dream", dream))
    }
