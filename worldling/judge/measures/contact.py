"""Contact prediction: readouts of what a world was shown and predicted, against readouts of what really followed.

Used by the suites ocp (our scenes) and physion (Physion's own stimuli), after Physion (arXiv 2106.08261).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from worldling.judge.measures.contact_features import future_features, observed_features
from worldling.judge.measures.latent_features import (
    latent_features,
    latents_of,
    noop_actions,
    predict_with_latents,
    start_unpushed,
)
from worldling.judge.measures.readout import Readout, reduce
from worldling.progress import Progress
from worldling.protocol import WorldModel
from worldling.scenes.seen import read

#: What a readout is fitted on, in the words of the report.
CONDITIONS = {
    "A": "A: shown, and what really followed",
    "B": "B: shown, and what the world predicted",
    "C": "C: shown only",
    "direct": "contact seen in the prediction, by a detector fitted on real futures",
    "direct_truth": "the same detector on the real futures",
    "frame_0": "first frame only",
    "pixels": "pixels of what was shown, reduced to components",
    "state": "true places and velocities at the end of what was shown",
    "A_latent": "A from latents (Physion's protocol)",
    "B_latent": "B from latents (Physion's protocol)",
    "C_latent": "C from latents (Physion's protocol)",
}
_BATCH = 50
T = TypeVar("T")


@dataclass
class TrialSet:
    """What is known of some trials, one row each.

    answers bool `[n]`: contact or not; groups `[n]`: trials that belong together share theirs; features `[n, F]` by
    name; films uint8 `[T, H, W, 3]` of the first trial, by name.
    """

    answers: np.ndarray
    groups: np.ndarray
    features: dict[str, np.ndarray]
    films: dict[str, np.ndarray]

    def __add__(self, other: TrialSet) -> TrialSet:
        """Return these trials and then the others; no group is in both."""
        return TrialSet(
            np.concatenate([self.answers, other.answers]),
            np.concatenate([self.groups, other.groups + self.groups.max() + 1]),
            {name: np.concatenate([rows, other.features[name]]) for name, rows in self.features.items()},
            self.films,
        )

    def take(self, rows: np.ndarray) -> TrialSet:
        """Return only these rows, without films."""
        features = {name: values[rows] for name, values in self.features.items()}
        return TrialSet(self.answers[rows], self.groups[rows], features, {})


def describe(
    world: WorldModel,
    trials: Sequence[T],
    frames: Callable[[T], np.ndarray],
    shown: int,
    seed: int,
    progress: Progress,
    done: int,
    others: Mapping[str, WorldModel] | None = None,
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Read real and predicted frames of the trials and return what the readouts need: features by name `[n, F]`.

    frames: gives a trial's, uint8 `[T, H, W, 3]`, T the same for all; done: trials that `progress` has counted
    before; others: more worlds to predict with, each a condition of that name. Also returns the first trial's films.
    """
    features: dict[str, list[np.ndarray]] = {}
    films: dict[str, np.ndarray] = {}
    for first in range(0, len(trials), _BATCH):
        some = trials[first : first + _BATCH]
        truth = np.stack([frames(t) for t in some])
        predicted, latents = predict_with_latents(world, truth[:, :shown], truth.shape[1] - shown, seed)
        things = read(truth)
        given = things[:, :shown]
        seen = observed_features(given)
        real, made = (future_features(given, future) for future in (things[:, shown:], read(predicted)))
        columns = {
            "A": np.concatenate([seen, real], 1),
            "B": np.concatenate([seen, made], 1),
            "C": seen,
            "true_future": real,
            "predicted_future": made,
            "frame_0": observed_features(things[:, :1]),
            "pixels": truth[:, :shown:2, ::4, ::4].reshape(len(some), -1) / 255.0,
            "shown_latents": latents_of(world, truth[:, :shown]),
            "true_latents": latents_of(world, truth[:, shown:]),
            "predicted_latents": latents,
        }
        for name, other in (others or {}).items():
            columns[name] = prediction_features(other, truth, shown, seed)
        for name, rows in columns.items():
            features.setdefault(name, []).append(rows)
        if not films:
            films = {"truth": truth[0], "world": np.concatenate([truth[0, :shown], predicted[0]])}
        progress.update(done + first + len(some))
    return {name: np.concatenate(parts) for name, parts in features.items()}, films


def prediction_features(world: WorldModel, truth: np.ndarray, shown: int, seed: int) -> np.ndarray:
    """Describe what is shown of frames `[n, T, H, W, 3]` and what a world predicts of the rest, as B does: `[n, F]`."""
    predicted = predict(world, truth[:, :shown], truth.shape[1] - shown, seed)
    given = read(truth[:, :shown])
    return np.concatenate([observed_features(given), future_features(given, read(predicted))], 1)


def predict(world: WorldModel, shown: np.ndarray, steps: int, seed: int) -> np.ndarray:
    """Predict on from frames `[B, T, H, W, 3]` under no action: uint8 `[B, steps, H, W, 3]`."""
    return world.rollout(start_unpushed(world, shown, seed), noop_actions(world, len(shown), steps))


def right_answers(fit: TrialSet, test: TrialSet, names: Collection[str]) -> dict[str, np.ndarray]:
    """Fit the readouts called `names` on some trials, and say where each is right on others: float `[n]` by name."""
    reduced = latent_features(fit.features, test.features)
    if "pixels" in names:
        reduced["pixels"] = reduce(fit.features["pixels"], test.features["pixels"])
    detector = Readout(fit.features["true_future"], fit.answers, fit.groups)
    right = {}
    for name in names:
        if name in ("direct", "direct_truth"):
            answers = detector(test.features["predicted_future" if name == "direct" else "true_future"])
        else:
            ours, theirs = reduced[name] if name in reduced else (fit.features[name], test.features[name])
            answers = Readout(ours, fit.answers, fit.groups)(theirs)
        right[name] = (answers == test.answers).astype(float)
    return right
