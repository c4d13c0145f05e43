"""The control suite: does the predicted future follow its actions, and how soon?

    counterfactuals    four true futures of one state, four predictions of it: is each nearest to its own? (chance 25 %)
    inverse dynamics   which way red was pushed, told by a readout fitted on real clips, asked about predictions
    latency            frames from the push until red responds, in the prediction and in the simulator

The futures are made by the simulator from the very same state (`truth.forks`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from worldling.judge.baselines import CopyLast
from worldling.judge.case import Case
from worldling.judge.control.scores import MOVED, NEVER, Measured, Reference
from worldling.judge.measures.bootstrap import Bootstrap, BootstrapMethod
from worldling.judge.measures.readout import Readout
from worldling.judge.results import Anchored, Elapsed, SuiteResult
from worldling.judge.truth.exam import chosen_scenes
from worldling.judge.truth.forks import ANSWERS, APART, HORIZON, JUDGED, LATEST, Fork, checksum, fork_scene
from worldling.judge.truth.processes import in_processes
from worldling.progress import Progress
from worldling.protocol import WorldModel
from worldling.report.values import HIDDEN, Curve, Interval, named

#: Whose futures are measured, in the words of the report. All but the truth and the world are baselines.
PREDICTORS = {
    "truth": "what really happened",
    "world": "the world",
    "simulator": "the simulator, velocities perturbed by 0.1 %",
    "reencoded": "true frames, encoded and decoded by the world",
    "copy_last": "last frame shown, repeated",
    "random_weights": "the same networks, random weights",
}
#: Forks per scene; the baselines are measured on the first half of them.
FORKS = 12
FOLDS = 4  # of inverse dynamics: fitted on the other forks' real clips

Predictor = Callable[[Sequence[Fork]], np.ndarray]
T = TypeVar("T")


@dataclass(frozen=True)
class ByScene:
    """A figure over all forks, and by scene."""

    mean: Interval
    scenes: dict[str, Interval]


@dataclass(frozen=True)
class RankingCurves:
    """Share of futures nearest to their own, by all frames of so many since the push."""

    pictures: Curve
    places: Curve


@dataclass(frozen=True)
class Ranking:
    """How often a future is nearest to the true one under the same actions.

    pictures: by squared difference of frames (share); places: by where red is (share); lead_db: how much nearer than
    to the next, in dB.
    """

    pictures: ByScene
    places: ByScene
    lead_db: ByScene
    curve: RankingCurves


@dataclass(frozen=True)
class InverseDynamics(ByScene):
    """Share of futures whose push the readout tells rightly. answers: by push."""

    answers: dict[str, Interval]


@dataclass(frozen=True)
class Latency:
    """When red responds to a push, where it really does.

    frames: from the push on, median; behind: later than in the simulator, in frames, median; within_1: share within one
    frame of the simulator; never: share that never responds; curve: share that has responded, by frames since the push.
    """

    frames: ByScene
    behind: ByScene
    within_1: ByScene
    never: ByScene
    curve: Curve


@dataclass(frozen=True)
class ForkSet:
    """The forks judged on, by scene: sha256 of their seeds, moments and actions, and how many were drawn for them."""

    checksums: dict[str, str]
    tried: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class ControlResult(SuiteResult):
    """How well predicted futures follow their actions.

    forks: in all; frames: of each future; judged_frames: from the push on; latest_push: frames before it at most;
    shown_frames: shown before; fps: frames per second; apart: least distance of the four pushed ends, in shares of the
    tray; moved: distance at which red has responded, in shares of the picture; chance, majority: what guessing gives
    in counterfactuals and in inverse dynamics; anchors_missing: baselines that could not be run. counterfactuals,
    inverse_dynamics, latency: by predictor; films: the last frame shown and the last judged of every pushed future,
    uint8 `[5, H, W, 3]`, "truth" and "world" by scene.
    """

    forks: int
    forks_per_scene: int
    anchor_forks_per_scene: int
    frames: int
    judged_frames: int
    latest_push: int
    shown_frames: int
    fps: float
    apart: float
    moved: float = field(metadata=named("answered"))
    chance: float
    majority: float
    anchors_missing: list[str]
    intervals: BootstrapMethod
    counterfactuals: dict[str, Ranking]
    inverse_dynamics: dict[str, InverseDynamics]
    latency: dict[str, Latency]
    fork_set: ForkSet = field(metadata=named("set"))
    films: dict[str, dict[str, np.ndarray]] = field(metadata=HIDDEN)


@dataclass(frozen=True)
class SceneForks:
    """What was measured on the forks of one scene: by predictor; the film, checksum and count of the first."""

    measured: dict[str, Measured]
    film: dict[str, np.ndarray]
    checksum: str
    tried: int


def run(case: Case, forks: int = FORKS) -> ControlResult:
    """Judge control, on so many forks of every scene (8 in all or more, for the readout).

    Cost: 80 frames drawn and 75 predicted per fork, 7 500 of each by default; 45 seconds on 2 cores.
    """
    scenarios = chosen_scenes(case)
    begun = time.monotonic()
    from worldling.scenes.labels import OBSERVED  # only now: it needs MuJoCo, which `chosen_scenes` asks for
    from worldling.scenes.trial import FPS

    anchored = -(-forks // 2)
    found = _measure(case, scenarios, forks, anchored)
    names = [name for name in PREDICTORS if name in found[scenarios[0]].measured]
    measured = {name: {scene: found[scene].measured[name] for scene in scenarios} for name in names}
    boot = ForkBootstrap(case.settings.seed, case.settings.resamples)
    ranked = {name: _ranking(boot, by) for name, by in measured.items() if name != "truth"}
    told = {name: _told(boot, by) for name, by in inverse_dynamics(measured).items()}
    chance, majority = 1 / (len(ANSWERS) - 1), 1 / len(ANSWERS)
    pictures = {name: by.pictures.mean for name, by in ranked.items()}
    pushes = {name: by.mean for name, by in told.items()}
    return ControlResult(
        forks=forks * len(scenarios),
        forks_per_scene=forks,
        anchor_forks_per_scene=anchored,
        frames=HORIZON,
        judged_frames=JUDGED,
        latest_push=LATEST,
        shown_frames=OBSERVED,
        fps=FPS,
        apart=APART,
        moved=MOVED,
        chance=chance,
        majority=majority,
        anchors_missing=[name for name in PREDICTORS if name not in measured],
        intervals=boot.over(np.zeros((forks, 1))).about("forks"),
        counterfactuals=ranked,
        inverse_dynamics=told,
        latency={name: _latency(boot, by, measured["truth"]) for name, by in measured.items()},
        fork_set=ForkSet(
            {scene: found[scene].checksum for scene in scenarios}, {scene: found[scene].tried for scene in scenarios}
        ),
        films={scene: found[scene].film for scene in scenarios},
        timing=Elapsed(time.monotonic() - begun),
        anchored=(
            Anchored.of("futures nearest to their own", pictures, "guess", chance),
            Anchored.of("pushes told from the prediction", pushes, "guess", majority),
        ),
    )


def _measure(case: Case, scenarios: Sequence[str], forks: int, anchored: int) -> dict[str, SceneForks]:
    """Fork every scene, let everybody predict, and measure; anchored: forks of each scene that baselines predict."""
    predictors, found = _predictors(case), {}
    with Progress("control", forks * len(scenarios), "forks", case.quiet) as progress:
        jobs = [(scenario, forks, anchored, case.world.size_px, case.settings.seed) for scenario in scenarios]
        for number, (ours, simulated) in in_processes(fork_scene, jobs):
            reference = Reference(ours)
            measured = {"truth": reference.measure(reference.truth), "simulator": reference.measure(simulated)}
            film: dict[str, np.ndarray] = {}
            for name, predict in predictors.items():
                frames = predict(ours if name == "world" else ours[:anchored])
                measured[name] = reference.measure(frames)
                if name == "world":
                    film = _film(ours[0], frames[0])
            tried = sum(fork.tried for fork in ours)
            found[scenarios[number]] = SceneForks(measured, film, checksum(ours), tried)
            progress.update(len(found) * forks)
    return found


def _predictors(case: Case) -> dict[str, Predictor]:
    """Say how each predictor makes futures uint8 `[n, 5, HORIZON, H, W, 3]` of n forks."""

    def predicting(world: WorldModel) -> Predictor:
        return lambda forks: predict_forks(world, forks, case.settings.seed)

    def reencoding(forks: Sequence[Fork]) -> np.ndarray:
        return case.world.decode(case.world.encode(np.stack([fork.truth for fork in forks])))

    return {
        "world": predicting(case.world),
        "reencoded": reencoding,
        "copy_last": predicting(CopyLast(case.world)),
        **({} if case.random_weights is None else {"random_weights": predicting(case.random_weights)}),
    }


def predict_forks(world: WorldModel, forks: Sequence[Fork], seed: int, at_once: int = 12) -> np.ndarray:
    """Let a world predict the five futures of every fork: uint8 `[n, 5, HORIZON, H, W, 3]`.

    The futures of one fork share their seed, so that in a stochastic world too only the actions differ. at_once: forks
    in a batch.
    """
    futures, parts = len(ANSWERS), []
    for first in range(0, len(forks), at_once):
        some = forks[first : first + at_once]
        shown = np.repeat(np.stack([fork.shown for fork in some]), futures, axis=0)
        past = np.zeros((len(shown), shown.shape[1] - 1, 2), np.float32)
        seeds = np.repeat(seed + first + np.arange(len(some)), futures).tolist()
        predicted = world.rollout(world.start(shown, past, seed=seeds), np.concatenate([fork.actions for fork in some]))
        parts.append(predicted.reshape(len(some), futures, *predicted.shape[1:]))
    return np.concatenate(parts)


class ForkBootstrap:
    """Resamples whole forks: what was measured on the same fork belongs together."""

    def __init__(self, seed: int, resamples: int) -> None:
        self.seed, self.resamples = seed, resamples

    def over(self, items: np.ndarray) -> Bootstrap:
        """Return the bootstrap for items `[n forks, k]`, taken row by row."""
        forks = np.repeat(np.arange(len(items)), items.shape[1])
        return Bootstrap(forks, np.zeros(len(forks)), self.seed, self.resamples)

    def table(self, parts: Mapping[str, np.ndarray], statistic: Callable[[Bootstrap, np.ndarray], Interval]) -> ByScene:
        """Sum up parts `{scene: [n, k]}`, over all forks and by scene."""

        def summed(items: np.ndarray) -> Interval:
            return statistic(self.over(items), items.ravel())

        return ByScene(
            summed(np.concatenate(list(parts.values()))), {scene: summed(items) for scene, items in parts.items()}
        )

    def curve(self, items: np.ndarray) -> Curve:
        """Sum up shares `[n, k, K]` frame by frame; NaN items are not counted."""
        boot = self.over(items)
        return Curve.of([boot.share(items[..., at].ravel()) for at in range(items.shape[-1])])


def _ranking(boot: ForkBootstrap, by: Mapping[str, Measured]) -> Ranking:
    """Sum up how often a future is nearest to its own true one, by pictures and by red's place."""
    joined = Measured.join(list(by.values()))

    def shares(name: str) -> ByScene:
        return boot.table({scene: getattr(m, name)[..., -1] for scene, m in by.items()}, Bootstrap.share)

    return Ranking(
        pictures=shares("pictures"),
        places=shares("places"),
        lead_db=boot.table({scene: m.lead_db for scene, m in by.items()}, Bootstrap.mean),
        curve=RankingCurves(boot.curve(joined.pictures), boot.curve(joined.places)),
    )


def _latency(boot: ForkBootstrap, by: Mapping[str, Measured], truth: Mapping[str, Measured]) -> Latency:
    """Sum up when red responds to a push, where it really does; never responding counts as one frame past the last."""
    answer = {s: np.where(truth[s].answer[: len(m.answer)] < NEVER, m.answer, np.nan) for s, m in by.items()}
    behind = {s: found - truth[s].answer[: len(found)] for s, found in answer.items()}
    joined = np.concatenate(list(answer.values()))
    by_then = joined[..., None] <= np.arange(1, NEVER)

    def share(parts: Mapping[str, np.ndarray]) -> ByScene:
        known = {s: np.where(np.isnan(answer[s]), np.nan, part) for s, part in parts.items()}
        return boot.table(known, Bootstrap.share)

    def median(items: Bootstrap, values: np.ndarray) -> Interval:
        return items.quantile(values, 0.5)

    return Latency(
        frames=boot.table(answer, median),
        behind=boot.table(behind, median),
        within_1=share({s: (np.abs(late) <= 1) & (answer[s] < NEVER) for s, late in behind.items()}),
        never=share({s: found == NEVER for s, found in answer.items()}),
        curve=boot.curve(np.where(np.isnan(joined)[..., None], np.nan, by_then)),
    )


def inverse_dynamics(measured: dict[str, dict[str, Measured]]) -> dict[str, dict[str, np.ndarray]]:
    """Say which of ANSWERS is told rightly, by predictor and scene: float `[n, 5]`.

    The readout is fitted on the true futures of other forks than those it is asked about, real or predicted.
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


def _told(boot: ForkBootstrap, by: Mapping[str, np.ndarray]) -> InverseDynamics:
    joined = np.concatenate(list(by.values()))
    shares, over = boot.table(by, Bootstrap.share), boot.over(joined[:, :1])
    answers = {answer: over.share(joined[:, at]) for at, answer in enumerate(ANSWERS)}
    return InverseDynamics(shares.mean, shares.scenes, answers)


def _film(fork: Fork, predicted: np.ndarray) -> dict[str, np.ndarray]:
    """The last frame shown, and the last frame judged of every pushed future: uint8 `[5, H, W, 3]` each."""
    last = fork.onset + JUDGED - 1
    return {
        name: np.concatenate([fork.shown[-1:], frames[1:, last]])
        for name, frames in (("truth", fork.truth), ("world", predicted))
    }
