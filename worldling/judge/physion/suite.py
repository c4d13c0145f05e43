"""The suite physion: Physion's own stimuli (arXiv 2106.08261), imported with `worldling import --format physion`.

The question and the code are those of the OCP suite, but the stimuli are not ours: they come without pairs, without
equal numbers with and without contact, and without a simulator to ask again. So every readout is fitted on four fifths
of a scenario's stimuli and tested on the last, five times round, and the share of the commoner answer is printed
beside. As in Physion a world is shown 45 frames of 10 ms and predicts up to the 150th. Our readout is not Physion's:
its numbers go under a name of their own and must not be compared with published ones, nor with those of our scenes.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from worldling.data.dataset import Dataset, DatasetMeta
from worldling.data.formats.physion import FRAME_SECONDS, PHYSION, Stimulus, by_scenario, read_stimuli
from worldling.data.store import open_dataset
from worldling.errors import JudgeError
from worldling.judge.baselines import CopyLast
from worldling.judge.case import Case
from worldling.judge.measures.bootstrap import Bootstrap
from worldling.judge.measures.contact import CONDITIONS, TrialSet, describe, right_answers
from worldling.judge.measures.readout import folds
from worldling.judge.needs import is_held_out
from worldling.judge.results import Elapsed, SuiteResult
from worldling.progress import Progress
from worldling.protocol import WorldModel
from worldling.report.values import HIDDEN, SPREAD, Interval
from worldling.scenes.seen import read

#: Of the files' frames, 10 ms each: how many are shown, and at which one looking ends (Physion's usual clips).
SHOWN, LOOKED_AT = 45, 150
#: A scenario is judged if it has at least so many stimuli of either answer.
ENOUGH = 10
#: What a readout is fitted on, in the words of the report.
READOUTS = {
    **{
        name: CONDITIONS[name]
        for name in ("A", "B", "C", "direct", "direct_truth", "frame_0", "A_latent", "B_latent", "C_latent")
    },
    "copy_last": "B of the last frame repeated (self-check)",
    "random_weights": "B of the same networks with random weights (self-check)",
}


@dataclass(frozen=True)
class StimulusShares:
    """Shares of some stimuli that are answered rightly, and what these stimuli are like.

    right: by readout, of READOUTS and "B_minus_C", "B_minus_C_latent". stimuli: how many; contact: share of them with
    contact; majority: share of the commoner answer; contact_while_shown, contact_after_the_end: how many of them.
    """

    stimuli: int
    contact: float
    majority: float
    contact_while_shown: int
    contact_after_the_end: int
    right: dict[str, Interval] = field(metadata=SPREAD)


@dataclass(frozen=True)
class ResampledStimuli:
    """How intervals were made: by what method, how often resampled, and by which seed."""

    method: str
    resamples: int
    seed: int


@dataclass(frozen=True, kw_only=True)
class PhysionResult(SuiteResult):
    """Shares of Physion's stimuli whose contact is predicted rightly.

    n: stimuli judged; shown_frames, frames: shown, and in all; frame_ms: time from one to the next; world_frame_ms: of
    the world's own, None if not known; left_out: scenarios with too few of an answer; trained_on: the world's
    environment; held_out: whether the world was trained on others, None if its card does not say; visible: share of
    first frames in which red and yellow are found; mean, scenarios: over all stimuli, and by scenario; films: frames
    uint8 `[T, H, W, 3]` of the first stimulus of each, "truth" and "world".
    """

    n: int
    shown_frames: int
    frames: int
    frame_ms: float
    license: str
    left_out: list[str]
    trained_on: str
    held_out: bool | None
    world_frame_ms: float | None
    visible: float
    mean: StimulusShares
    scenarios: dict[str, StimulusShares]
    intervals: ResampledStimuli
    films: dict[str, dict[str, np.ndarray]] = field(metadata=HIDDEN)


@dataclass(frozen=True)
class Clips:
    """What is looked at of the stimuli: the first `shown` and up to `total` of the frames that were kept."""

    dataset: Dataset
    shown: int
    total: int

    def frames(self, stimulus: Stimulus) -> np.ndarray:
        """Read one stimulus: uint8 `[total, H, W, 3]`. One that ends before stays as it ended, as in Physion."""
        frames = self.dataset.frames(stimulus.episode, 0, self.total)
        return np.concatenate([frames, np.repeat(frames[-1:], self.total - len(frames), axis=0)])


@dataclass(frozen=True)
class Answers:
    """Where every readout is right, float `[n]` by scenario and name; films; and how often both colours are seen."""

    right: dict[str, dict[str, np.ndarray]]
    films: dict[str, dict[str, np.ndarray]]
    visible: float


def run(case: Case) -> PhysionResult:
    """Judge contact prediction on imported stimuli.

    Cost: a roll-out of 13 frames a stimulus, and for the self-check another with random weights.
    """
    path, begun = case.settings.physion, time.monotonic()
    stimuli = by_scenario(read_stimuli(path))
    chosen = _enough_of_either(stimuli)
    dataset = open_dataset(path)
    try:
        skip = dataset.meta.frame_skip
        clips = Clips(dataset, 1 + (SHOWN - 1) // skip, 1 + (LOOKED_AT - 1) // skip)
        if clips.shown < 2:
            raise JudgeError(
                f"`physion` must keep at least 2 of the {SHOWN} frames shown, got a frame_skip of {skip} in {path}. "
                "Import them again with --frame-skip 4."
            )
        answers = _answer(case, clips, chosen)
    finally:
        dataset.close()
    every = [s for mine in chosen.values() for s in mine]
    names = next(iter(answers.right.values()))
    joined = {name: np.concatenate([rows[name] for rows in answers.right.values()]) for name in names}
    return PhysionResult(
        n=len(every),
        shown_frames=clips.shown,
        frames=clips.total,
        frame_ms=1000 * FRAME_SECONDS * skip,
        license=dataset.meta.license,
        left_out=[name for name in stimuli if name not in chosen],
        trained_on=case.world.card.get("source", {}).get("env_id", "unknown"),
        held_out=_held_out(case.world, dataset.meta),
        world_frame_ms=_frame_ms(case.world),
        visible=answers.visible,
        mean=_shares(case, every, joined),
        scenarios={name: _shares(case, mine, answers.right[name]) for name, mine in chosen.items()},
        intervals=ResampledStimuli("bootstrap over stimuli", case.settings.resamples, case.settings.seed),
        films=answers.films,
        timing=Elapsed(time.monotonic() - begun),
    )


def _enough_of_either(stimuli: Mapping[str, list[Stimulus]]) -> dict[str, list[Stimulus]]:
    """Return the scenarios with ENOUGH stimuli of either answer. Raises `JudgeError` if there is none."""
    contacts = {name: sum(s.contact for s in mine) for name, mine in stimuli.items()}
    chosen = {name: mine for name, mine in stimuli.items() if ENOUGH <= contacts[name] <= len(mine) - ENOUGH}
    if not chosen:
        counts = ", ".join(f"{name} {contacts[name]} of {len(mine)}" for name, mine in stimuli.items())
        raise JudgeError(
            f"`physion` must hold a scenario with {ENOUGH} stimuli of either answer, got contact in {counts}. "
            "Import more of them."
        )
    return chosen


def _answer(case: Case, clips: Clips, chosen: Mapping[str, list[Stimulus]]) -> Answers:
    """Fit the readouts and test them on what they were not fitted on."""
    others: dict[str, WorldModel] = {"copy_last": CopyLast(case.world)}
    if case.random_weights is not None:
        others["random_weights"] = case.random_weights
    names = [name for name in READOUTS if name not in ("copy_last", "random_weights") or name in others]
    right: dict[str, dict[str, np.ndarray]] = {}
    films, seen, done, seed = {}, [], 0, case.settings.seed
    with Progress("physion", sum(map(len, chosen.values())), "stimuli", case.quiet) as progress:
        for scenario, mine in chosen.items():
            features, films[scenario] = describe(
                case.world, mine, clips.frames, clips.shown, seed, progress, done, others
            )
            things = read(np.stack([clips.dataset.frames(s.episode, 0, 1)[0] for s in mine]))
            seen.append(np.isfinite(things.agent[:, 0]) & np.isfinite(things.patient[:, 0]))
            known = TrialSet(np.array([s.contact for s in mine]), _groups(mine), features, {})
            right[scenario] = {name: np.full(len(mine), np.nan) for name in names}
            for fit, test in folds(known.answers, known.groups, seed):
                for name, found in right_answers(known.take(fit), known.take(test), names).items():
                    right[scenario][name][test] = found
            done += len(mine)
    return Answers(right, films, float(np.concatenate(seen).mean()))


def _shares(case: Case, stimuli: list[Stimulus], rows: Mapping[str, np.ndarray]) -> StimulusShares:
    """Sum up where each readout is right, float `[n]` by name, and what the stimuli are like."""
    groups = _groups(stimuli)
    boot = Bootstrap(groups, np.zeros(len(groups)), case.settings.seed, case.settings.resamples)
    gains = {f"B_minus_C{kind}": boot.mean(rows[f"B{kind}"] - rows[f"C{kind}"]) for kind in ("", "_latent")}
    contact = sum(s.contact for s in stimuli) / len(stimuli)
    return StimulusShares(
        stimuli=len(stimuli),
        contact=contact,
        majority=max(contact, 1 - contact),
        contact_while_shown=sum(s.first is not None and s.first < SHOWN for s in stimuli),
        contact_after_the_end=sum(s.first is not None and s.first >= LOOKED_AT for s in stimuli),
        right={**{name: boot.share(found) for name, found in rows.items()}, **gains},
    )


def _groups(stimuli: list[Stimulus]) -> np.ndarray:
    """Number stimuli so that those of one name (the same scene in other colours) are one."""
    return np.unique([s.name for s in stimuli], return_inverse=True)[1]


def _held_out(world: WorldModel, meta: DatasetMeta) -> bool | None:
    """Say whether the world was trained on other stimuli; a world of something else has not seen them."""
    return is_held_out(world, meta) if world.card.get("source", {}).get("env_id") == PHYSION else True


def _frame_ms(world: WorldModel) -> float | None:
    fps = world.card.get("source", {}).get("fps") or world.config.fps
    return 1000 / fps if fps else None
