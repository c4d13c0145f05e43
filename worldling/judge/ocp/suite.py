"""The OCP suite, object contact prediction: shown 4 frames of a physics scene, will red touch yellow?

The protocol is Physion's (arXiv 2106.08261), the scenes are ours, so the numbers are Physion-style and not to be
compared with Physion's. A logistic readout per scene is fitted on what was shown (C), on that and what the world
predicted next (B), or on that and what really followed (A, the readout's ceiling). B - C is what simulation gains.
Beside them: contact seen in the predicted frames themselves, by a detector fitted on real futures only, and A, B and C
from the world's own latents instead of what is read in the pictures, as Physion has it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from worldling.judge.baselines import CopyLast
from worldling.judge.case import Case
from worldling.judge.measures.bootstrap import Bootstrap, BootstrapMethod
from worldling.judge.measures.contact import CONDITIONS, TrialSet, describe, prediction_features, right_answers
from worldling.judge.measures.contact_features import observed_features
from worldling.judge.measures.readout import Readout
from worldling.judge.results import Anchored, Elapsed, SuiteResult
from worldling.judge.truth.exam import PAIRS, Exam, ExamTrial, chosen_scenes, make_exam
from worldling.progress import Progress
from worldling.protocol import WorldModel
from worldling.report.values import HIDDEN, Interval
from worldling.scenes.seen import read

VERIFIED = 200
#: Trials of a scene that the self-check is fitted on and judged by.
ANCHORED = {"readout": 40, "test": 20}
#: Figures by readout: those of CONDITIONS, and "B_minus_C".
ByReadout = dict[str, Interval]


@dataclass(frozen=True)
class OutsideRange:
    """Shares of trials answered rightly whose parameters lie beyond those that worlds train on.

    mean: over all scenes; scenes: by scene.
    """

    trials_per_scene: int
    mean: ByReadout
    scenes: dict[str, ByReadout]


@dataclass(frozen=True)
class LabelCheck:
    """Trials simulated again from their seeds, and how many of them had their contact in the very same frame."""

    simulated_again: int
    agree: int


@dataclass(frozen=True)
class NoiseCheck:
    """How trials were set aside whose outcome noise changes.

    copies: simulations of each motion, with velocities changed by `share`; scenes: counts by scene, of motions
    labelled, flipped, geometries tried and pairs found.
    """

    copies: int
    share: float
    scenes: dict[str, dict[str, int]]


@dataclass(frozen=True, kw_only=True)
class OcpResult(SuiteResult):
    """Shares of trials whose contact is predicted rightly.

    n: trials in all; majority: share that guessing gives; mean, scenes: over all scenes, and by scene; anchors: B with
    the baselines' predictions, and C ("shown_only"), on few trials; checksums: sha256 of the exam's labels and pixels;
    films: frames uint8 `[T, H, W, 3]` of the first test trial of each scene, "truth" and "world".
    """

    n: int
    trials_per_scene: int
    readout_trials_per_scene: int
    observed_frames: int
    frames: int
    majority: float
    intervals: BootstrapMethod
    mean: ByReadout
    scenes: dict[str, ByReadout]
    outside: OutsideRange
    labels: LabelCheck
    noise: NoiseCheck
    checksums: dict[str, str]
    anchors: dict[str, Interval]
    films: dict[str, dict[str, np.ndarray]] = field(metadata=HIDDEN)


def run(case: Case) -> OcpResult:
    """Judge object contact prediction. Cost: one roll-out of 22 frames per trial, 6 240 of them by default."""
    scenes = chosen_scenes(case)
    from worldling.scenes.labels import COPIES, FRAMES, NOISE, OBSERVED

    half = -(-case.settings.trials // 2)
    exam = make_exam(
        case.settings.exam, {**PAIRS, "test": half}, case.world.size_px, scenarios=scenes, quiet=case.quiet
    )
    begun = time.monotonic()
    counts = {"readout": 2 * PAIRS["readout"], "test": 2 * half, "outside": 2 * PAIRS["outside"]}
    right: dict[str, dict[str, dict[str, np.ndarray]]] = {"test": {}, "outside": {}}
    groups: dict[str, dict[str, np.ndarray]] = {"test": {}, "outside": {}}
    films: dict[str, dict[str, np.ndarray]] = {}
    done = 0
    with Progress("ocp", len(scenes) * sum(counts.values()), "trials", case.quiet) as progress:
        for scenario in scenes:
            known = {}
            for split, count in counts.items():
                known[split] = _describe(case, exam, exam.trials(scenario, split, count), OBSERVED, progress, done)
                done += count
            found = right_answers(known["readout"], known["test"] + known["outside"], CONDITIONS)
            for split, part in (("test", slice(0, counts["test"])), ("outside", slice(counts["test"], None))):
                right[split][scenario] = {name: answers[part] for name, answers in found.items()}
                groups[split][scenario] = known[split].groups
            films[scenario] = known["test"].films
    mean, by_scene = _shares(case, right["test"], groups["test"])
    beyond, beyond_by_scene = _shares(case, right["outside"], groups["outside"])
    anchors = _anchors(case, exam, scenes, OBSERVED)
    guess = anchors["shown_only"].value
    rows = {**anchors, "world": mean["B"], "simulator": mean["A"]}
    return OcpResult(
        n=sum(map(len, groups["test"].values())),
        trials_per_scene=counts["test"],
        readout_trials_per_scene=counts["readout"],
        observed_frames=OBSERVED,
        frames=FRAMES,
        majority=0.5,
        intervals=_bootstrap(case, np.arange(2)).about("pairs"),
        mean=mean,
        scenes=by_scene,
        outside=OutsideRange(counts["outside"], beyond, beyond_by_scene),
        labels=_labels(exam, scenes, case.settings.seed),
        noise=NoiseCheck(COPIES, NOISE, exam.tally()),
        checksums=exam.checksums(),
        anchors=anchors,
        films=films,
        timing=Elapsed(time.monotonic() - begun),
        anchored=(Anchored.of("contact predicted with the roll-out (B)", rows, "guess", guess),),
    )


def _bootstrap(case: Case, groups: np.ndarray) -> Bootstrap:
    return Bootstrap(groups, np.zeros(len(groups)), case.settings.seed, case.settings.resamples)


def _shares(
    case: Case, right: dict[str, dict[str, np.ndarray]], groups: dict[str, np.ndarray]
) -> tuple[ByReadout, dict[str, ByReadout]]:
    """Sum up where each readout is right, float `[n]` by scene and name: over all scenes, and by scene."""

    def summed(group: np.ndarray, rows: dict[str, np.ndarray]) -> ByReadout:
        boot = _bootstrap(case, group)
        return {**{name: boot.share(r) for name, r in rows.items()}, "B_minus_C": boot.mean(rows["B"] - rows["C"])}

    every = np.concatenate([groups[s] + 10_000 * i for i, s in enumerate(groups)])
    joined = {name: np.concatenate([rows[name] for rows in right.values()]) for name in CONDITIONS}
    return summed(every, joined), {scene: summed(groups[scene], rows) for scene, rows in right.items()}


def _anchors(case: Case, exam: Exam, scenes: Sequence[str], shown: int) -> dict[str, Interval]:
    """Share of trials answered rightly as B is, with the predictions of baselines that know nothing of what follows.

    And with none ("shown_only", as C is), on the same `ANCHORED` trials: what guessing gives these.
    """
    baselines: dict[str, WorldModel] = {"copy_last": CopyLast(case.world)}
    if case.random_weights is not None:
        baselines["random_weights"] = case.random_weights
    right: dict[str, list[np.ndarray]] = {name: [] for name in ("shown_only", *baselines)}
    groups = []
    with Progress("ocp, self-check", len(scenes), "scenes", case.quiet) as progress:
        for number, scenario in enumerate(scenes):
            fit, test = (exam.trials(scenario, split, count) for split, count in ANCHORED.items())
            films = [np.stack([exam.frames(t) for t in some]) for some in (fit, test)]
            for name, found in right.items():
                if name == "shown_only":
                    ours, theirs = (observed_features(read(frames[:, :shown])) for frames in films)
                else:
                    ours, theirs = (
                        prediction_features(baselines[name], frames, shown, case.settings.seed) for frames in films
                    )
                readout = Readout(ours, np.array([t.contact for t in fit]), _groups(fit))
                found.append(readout(theirs) == np.array([t.contact for t in test]))
            groups.append(_groups(test) + 10_000 * number)
            progress.update(number + 1)
    boot = _bootstrap(case, np.concatenate(groups))
    return {name: boot.share(np.concatenate(found).astype(float)) for name, found in right.items()}


def _groups(trials: Sequence[ExamTrial]) -> np.ndarray:
    """Number trials so that the two of a pair, which share their geometry, are one."""
    return np.unique([t.geometry for t in trials], return_inverse=True)[1]


def _describe(case: Case, exam: Exam, trials: list[ExamTrial], shown: int, progress: Progress, done: int) -> TrialSet:
    features, films = describe(case.world, trials, exam.frames, shown, case.settings.seed, progress, done)
    features["state"] = np.stack([_state(exam, t, shown) for t in trials])
    return TrialSet(np.array([t.contact for t in trials]), _groups(trials), features, films)


def _state(exam: Exam, trial: ExamTrial, shown: int) -> np.ndarray:
    """True places and velocities of red and yellow when the last frame was shown, and their products: `[F]`."""
    agent, patient = exam.state(trial, "agent")[:shown], exam.state(trial, "patient")[:shown]
    apart, speed = patient[-1] - agent[-1], agent[-1] - agent[-2]
    return np.concatenate(
        [agent[-1], patient[-1], speed, patient[-1] - patient[-2], [speed @ apart, np.cross(speed, apart)[2]]]
    )


def _labels(exam: Exam, scenes: Sequence[str], seed: int) -> LabelCheck:
    """Simulate some trials again from their seeds and compare the simulator's first contacts with the labels."""
    from worldling.scenes.labels import first_contact
    from worldling.scenes.trial import Trial, TrialSeed

    known = [t for scenario in scenes for t in exam.trials(scenario, "test")]
    chosen = np.random.default_rng([seed, 7]).choice(len(known), size=min(VERIFIED, len(known)), replace=False)
    agree = sum(
        first_contact(Trial(TrialSeed(t.scenario, t.geometry, t.motion))) == t.first for t in (known[i] for i in chosen)
    )
    return LabelCheck(simulated_again=len(chosen), agree=agree)
