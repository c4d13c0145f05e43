"""The OCP suite, object contact prediction: shown 4 frames of a physics scene, will red touch yellow?

The protocol is Physion's (arXiv 2106.08261), the scenes are ours, so the numbers are Physion-style and not to be
laid beside Physion's. A logistic readout per scene is fitted on what was shown (C), on that and what the world dreamed next
(B), or on that and what really followed (A, the readout's ceiling). B - C is what simulation gains. Beside them:
contact seen in the dreamed frames themselves, by a detector fitted on real futures only, and A, B and C from the
world's own latents instead of what is read in the pictures, as Physion has it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from worldling.judge.baselines import CopyLast
from worldling.judge.case import Case
from worldling.judge.measures.bootstrap import Bootstrap
from worldling.judge.measures.contact_features import future_features, observed_features
from worldling.judge.measures.latent_features import begin, dream_with_latents, latent_features, latents_of, rest
from worldling.judge.measures.readout import Readout, reduce
from worldling.judge.ocp.page import page
from worldling.judge.readers.scene import read
from worldling.judge.truth.exam import PAIRS, Exam, ExamTrial, chosen_scenes, make_exam
from worldling.progress import Progress
from worldling.protocol import WorldModel
from worldling.report.sections import Anchored, Section

#: What a readout is fitted on, in the words of the report.
CONDITIONS = {
    "A": "A: shown, and what really followed",
    "B": "B: shown, and what the world dreamed",
    "C": "C: shown only",
    "direct": "contact seen in the dream, by a detector fitted on real futures",
    "direct_truth": "the same detector on the true futures",
    "frame_0": "first frame only",
    "pixels": "pixels of what was shown, reduced to components",
    "state": "true places and velocities at the end of what was shown",
    "A_latent": "A from latents (Physion's protocol)",
    "B_latent": "B from latents (Physion's protocol)",
    "C_latent": "C from latents (Physion's protocol)",
}
VERIFIED = 200
#: Trials of a scene that the self-check is fitted on and judged by.
ANCHORED = {"readout": 40, "test": 20}
_BATCH = 50
_FILM_AT = (3, 5, 7, 9, 11, 14, 18, 25)
T = TypeVar("T")


@dataclass
class Known:
    """What is known of some trials, one row each: answers bool `[n]`, groups `[n]` and features by name `[n, F]`."""

    answers: np.ndarray
    groups: np.ndarray
    features: dict[str, np.ndarray]
    films: dict[str, np.ndarray]

    def __add__(self, other: "Known") -> "Known":
        """Return these trials and then the others; no group is in both."""
        return Known(
            np.concatenate([self.answers, other.answers]),
            np.concatenate([self.groups, other.groups + self.groups.max() + 1]),
            {name: np.concatenate([rows, other.features[name]]) for name, rows in self.features.items()},
            self.films,
        )


def run(case: Case) -> Section:
    """Judge object contact prediction. Cost: one dream of 22 frames per trial, 6 240 of them by default."""
    scenes = chosen_scenes(case)
    from worldling.scenes.labels import COPIES, FRAMES, NOISE, OBSERVED

    half = -(-case.settings.trials // 2)
    exam = make_exam(
        case.settings.exam, {**PAIRS, "test": half}, case.world.size_px, scenarios=scenes, quiet=case.quiet
    )
    begun = time.monotonic()
    counts = {"readout": 2 * PAIRS["readout"], "test": 2 * half, "outside": 2 * PAIRS["outside"]}
    right: dict[str, dict[str, dict[str, np.ndarray]]] = {"test": {}, "outside": {}}
    films, groups = {}, {"test": {}, "outside": {}}
    total, done = len(scenes) * sum(counts.values()), 0
    with Progress("ocp", total, "trials", case.quiet) as progress:
        for scenario in scenes:
            known = {}
            for split, count in counts.items():
                known[split] = _look(case, exam, exam.trials(scenario, split, count), OBSERVED, progress, done)
                done += count
            found = right_answers(known["readout"], known["test"] + known["outside"], CONDITIONS)
            for split, rows in (("test", slice(0, counts["test"])), ("outside", slice(counts["test"], None))):
                right[split][scenario] = {name: answers[rows] for name, answers in found.items()}
                groups[split][scenario] = known[split].groups
            films[scenario] = known["test"].films
    mean, table = _shares(case, right["test"], groups["test"])
    beyond, beyond_table = _shares(case, right["outside"], groups["outside"])
    values = {
        "n": sum(map(len, groups["test"].values())),
        "trials_per_scene": counts["test"],
        "readout_trials_per_scene": counts["readout"],
        "observed_frames": OBSERVED,
        "frames": FRAMES,
        "majority": 0.5,
        "intervals": Bootstrap(np.arange(2), np.zeros(2), case.settings.seed, case.settings.resamples).about("pairs"),
        "mean": mean,
        "scenes": table,
        "outside": {"trials_per_scene": counts["outside"], "mean": beyond, "scenes": beyond_table},
        "labels": _labels(exam, scenes, case.settings.seed),
        "noise": {"copies": COPIES, "share": NOISE, "scenes": exam.tally()},
        "checksums": exam.checksums(),
    }
    values["anchors"] = _anchors(case, exam, scenes, OBSERVED)
    section = page(values, films, CONDITIONS, {"seconds": time.monotonic() - begun}, _FILM_AT)
    rows = {**values["anchors"], "world": mean["B"], "simulator": mean["A"]}
    guess = rows.pop("shown_only")["value"]
    section.anchors = [Anchored("contact predicted with the dream (B)", rows, "guess", guess)]
    return section


def _shares(
    case: Case, right: dict[str, dict[str, np.ndarray]], groups: dict[str, np.ndarray]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Sum up where each readout is right, float `[n]` by scene and name: over all scenes, and by scene."""

    def summed(group: np.ndarray, rows: dict[str, np.ndarray]) -> dict[str, Any]:
        boot = Bootstrap(group, np.zeros(len(group)), case.settings.seed, case.settings.resamples)
        return {**{name: boot.share(r) for name, r in rows.items()}, "B_minus_C": boot.mean(rows["B"] - rows["C"])}

    every = np.concatenate([groups[s] + 10_000 * i for i, s in enumerate(groups)])
    joined = {name: np.concatenate([rows[name] for rows in right.values()]) for name in CONDITIONS}
    return summed(every, joined), {scene: summed(groups[scene], rows) for scene, rows in right.items()}


def _anchors(case: Case, exam: Exam, scenes: list[str], shown: int) -> dict[str, Any]:
    """Share of trials answered rightly with the dreams of worlds that know nothing of what follows, as B is; on `ANCHORED` trials.

    And with none ("shown_only", as C is), on the same trials: what guessing gives these.
    """
    dreamers = {
        "shown_only": None,
        "copy_last": CopyLast(case.world),
        **({"broken": case.broken} if case.broken else {}),
    }
    right: dict[str, list[np.ndarray]] = {name: [] for name in dreamers}
    groups = []
    with Progress("ocp, self-check", len(scenes), "scenes", case.quiet) as progress:
        for number, scenario in enumerate(scenes):
            fit, test = (exam.trials(scenario, split, count) for split, count in ANCHORED.items())
            films = [np.stack([exam.frames(t) for t in some]) for some in (fit, test)]
            for name, found in right.items():
                if dreamers[name] is None:
                    ours, theirs = (observed_features(read(frames[:, :shown])) for frames in films)
                else:
                    ours, theirs = (
                        dream_features(dreamers[name], frames, shown, case.settings.seed) for frames in films
                    )
                readout = Readout(ours, np.array([t.contact for t in fit]), _groups(fit))
                found.append(readout(theirs) == np.array([t.contact for t in test]))
            groups.append(_groups(test) + 10_000 * number)
            progress.update(number + 1)
    every = np.concatenate(groups)
    boot = Bootstrap(every, np.zeros(len(every)), case.settings.seed, case.settings.resamples)
    return {name: boot.share(np.concatenate(found).astype(float)) for name, found in right.items()}


def _groups(trials: Sequence[ExamTrial]) -> np.ndarray:
    """Number trials so that the two of a pair, which share their geometry, are one."""
    return np.unique([t.geometry for t in trials], return_inverse=True)[1]


def _look(case: Case, exam: Exam, trials: list[ExamTrial], shown: int, progress: Progress, done: int) -> Known:
    features, films = look(case, trials, exam.frames, shown, progress, done)
    features["state"] = np.stack([_state(exam, t, shown) for t in trials])
    return Known(np.array([t.contact for t in trials]), _groups(trials), features, films)


def look(
    case: Case,
    trials: Sequence[T],
    frames: Callable[[T], np.ndarray],
    shown: int,
    progress: Progress,
    done: int,
    others: Mapping[str, Any] | None = None,
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Read true and dreamed frames of the trials and keep what the readouts need of them: features by name `[n, F]`.

    frames: gives a trial's, uint8 `[T, H, W, 3]`, T the same for all; done: trials that `progress` has counted
    before; others: more worlds to dream with, each a condition of that name. Also returns the first trial's films.
    """
    features: dict[str, list[np.ndarray]] = {}
    films: dict[str, np.ndarray] = {}
    for first in range(0, len(trials), _BATCH):
        some = trials[first : first + _BATCH]
        truth = np.stack([frames(t) for t in some])
        steps = truth.shape[1] - shown
        dream, imagined = dream_with_latents(case.world, truth[:, :shown], steps, case.settings.seed)
        things, dreamed = read(truth), read(dream)
        given = things[:, :shown]
        seen, real, made = (
            observed_features(given),
            future_features(given, things[:, shown:]),
            future_features(given, dreamed),
        )
        small = truth[:, :shown:2, ::4, ::4].reshape(len(some), -1) / 255.0
        columns = {
            "A": np.concatenate([seen, real], 1),
            "B": np.concatenate([seen, made], 1),
            "C": seen,
            "real_future": real,
            "dreamed_future": made,
            "frame_0": observed_features(things[:, :1]),
            "pixels": small,
            "shown_latents": latents_of(case.world, truth[:, :shown]),
            "real_latents": latents_of(case.world, truth[:, shown:]),
            "dreamed_latents": imagined,
        }
        for name, other in (others or {}).items():
            columns[name] = dream_features(other, truth, shown, case.settings.seed)
        for name, rows in columns.items():
            features.setdefault(name, []).append(rows)
        if not films:
            films = {"truth": truth[0], "dream": np.concatenate([truth[0, :shown], dream[0]])}
        progress.update(done + first + len(some))
    return {name: np.concatenate(parts) for name, parts in features.items()}, films


def dream_features(world: WorldModel, truth: np.ndarray, shown: int, seed: int) -> np.ndarray:
    """Describe what is shown of frames `[n, T, H, W, 3]` and what a world dreams of the rest, as B does: `[n, F]`."""
    dream = dream_on(world, truth[:, :shown], truth.shape[1] - shown, seed)
    given = read(truth[:, :shown])
    return np.concatenate([observed_features(given), future_features(given, read(dream))], 1)


def dream_on(world: WorldModel, shown: np.ndarray, steps: int, seed: int) -> np.ndarray:
    """Show the world frames `[B, T, H, W, 3]` in which no hand moved, and let it dream on: uint8 `[B, steps, H, W, 3]`."""
    return world.rollout(begin(world, shown, seed), rest(world, len(shown), steps))


def _state(exam: Exam, trial: ExamTrial, shown: int) -> np.ndarray:
    """True places and velocities of red and yellow when the last frame was shown, and their products: `[F]`."""
    agent, patient = exam.state(trial, "agent")[:shown], exam.state(trial, "patient")[:shown]
    apart, speed = patient[-1] - agent[-1], agent[-1] - agent[-2]
    return np.concatenate(
        [agent[-1], patient[-1], speed, patient[-1] - patient[-2], [speed @ apart, np.cross(speed, apart)[2]]]
    )


def right_answers(fit: Known, test: Known, names: Collection[str]) -> dict[str, np.ndarray]:
    """Fit the readouts called `names` on one set of trials and say where each is right on the other: float `[n]` by name."""
    reduced = latent_features(fit.features, test.features)
    if "pixels" in names:
        reduced["pixels"] = reduce(fit.features["pixels"], test.features["pixels"])
    detector = Readout(fit.features["real_future"], fit.answers, fit.groups)
    right = {}
    for name in names:
        if name in ("direct", "direct_truth"):
            answers = detector(test.features["dreamed_future" if name == "direct" else "real_future"])
        else:
            ours, theirs = reduced[name] if name in reduced else (fit.features[name], test.features[name])
            answers = Readout(ours, fit.answers, fit.groups)(theirs)
        right[name] = (answers == test.answers).astype(float)
    return right


def _labels(exam: Exam, scenes: list[str], seed: int) -> dict[str, Any]:
    """Simulate some trials again from their seeds and compare the engine's first contacts with the labels."""
    from worldling.scenes.labels import first_contact
    from worldling.scenes.trial import Trial, TrialSeed

    known = [t for scenario in scenes for t in exam.trials(scenario, "test")]
    chosen = np.random.default_rng([seed, 7]).choice(len(known), size=min(VERIFIED, len(known)), replace=False)
    agree = sum(
        first_contact(Trial(TrialSeed(t.scenario, t.geometry, t.motion))) == t.first for t in (known[i] for i in chosen)
    )
    return {"simulated_again": len(chosen), "agree": agree}
