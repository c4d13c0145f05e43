"""The suite physion: the stimuli of Physion itself (arXiv 2106.08261), imported with `worldling import --format physion`.

The question and the code are those of the OCP suite, but the stimuli are not ours: they come without pairs, the same
number with contact as without, or a simulator to ask again. So every readout is fitted on four fifths of a
scenario's stimuli and tested on the last, five times round, and the share of the commoner answer is printed beside. As
in Physion a world is shown 45 frames of 10 ms and dreams on to the 150th. Our readout is not Physion's: its numbers
go under a name of their own and must not be laid beside published ones, nor beside those of our scenes.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from worldling.data.formats.physion import FRAME_SECONDS, PHYSION, Stimulus, by_scenario, read_stimuli
from worldling.data.store import Dataset, DatasetMeta, open_dataset
from worldling.errors import JudgeError
from worldling.judge.baselines import CopyLast
from worldling.judge.case import Case, is_held_out
from worldling.judge.measures.bootstrap import Bootstrap
from worldling.judge.measures.readout import folds
from worldling.judge.ocp.suite import CONDITIONS, Known, look, right_answers
from worldling.judge.physion.page import page
from worldling.judge.readers.scene import read
from worldling.progress import Progress
from worldling.protocol import WorldModel
from worldling.report.sections import Section

#: Of the files' frames, 10 ms each: how many are shown, and at which one looking ends (Physion's usual clips).
SHOWN, LOOKED_AT = 45, 150
#: A scenario is judged if it has at least so many stimuli of either answer.
ENOUGH = 10
WORDS = {
    **{
        name: CONDITIONS[name]
        for name in ("A", "B", "C", "direct", "direct_truth", "frame_0", "A_latent", "B_latent", "C_latent")
    },
    "copy_last": "B of a world that holds the last frame (self-check)",
    "broken": "B of the same networks with random weights (self-check)",
}


@dataclass
class Clips:
    """What is looked at of the stimuli: the first `shown` and up to `total` of the frames that were kept."""

    dataset: Dataset
    shown: int
    total: int

    def frames(self, stimulus: Stimulus) -> np.ndarray:
        """Read one stimulus: uint8 `[total, H, W, 3]`. One that ends before stays as it ended, as in Physion."""
        frames = self.dataset.frames(stimulus.episode, 0, self.total)
        return np.concatenate([frames, np.repeat(frames[-1:], self.total - len(frames), axis=0)])


def run(case: Case) -> Section:
    """Judge contact prediction on imported stimuli. Cost: a dream of 13 frames a stimulus, and for the self-check another with random weights."""
    path, begun = case.settings.physion, time.monotonic()
    stimuli = by_scenario(read_stimuli(path))
    contacts = {name: sum(s.contact for s in mine) for name, mine in stimuli.items()}
    chosen = {name: mine for name, mine in stimuli.items() if ENOUGH <= contacts[name] <= len(mine) - ENOUGH}
    if not chosen:
        counts = ", ".join(f"{name} {contacts[name]} of {len(mine)}" for name, mine in stimuli.items())
        raise JudgeError(
            f"`physion` must hold a scenario with {ENOUGH} stimuli of either answer, got contact in {counts}. Import more of them."
        )
    dataset = open_dataset(path)
    try:
        skip = dataset.meta.frame_skip
        clips = Clips(dataset, 1 + (SHOWN - 1) // skip, 1 + (LOOKED_AT - 1) // skip)
        if clips.shown < 2:
            raise JudgeError(
                f"`physion` must keep at least 2 of the {SHOWN} frames shown, got a frame_skip of {skip} in {path}. "
                "Import them again with --frame-skip 4."
            )
        right, films, visible = _judge(case, clips, chosen)
    finally:
        dataset.close()
    judged = [s for mine in chosen.values() for s in mine]
    values = {
        "n": len(judged),
        "shown_frames": clips.shown,
        "frames": clips.total,
        "frame_ms": 1000 * FRAME_SECONDS * skip,
        "license": dataset.meta.license,
        "left_out": [name for name in stimuli if name not in chosen],
        "trained_on": case.world.card.get("source", {}).get("env_id", "unknown"),
        "held_out": _held_out(case.world, dataset.meta),
        "world_frame_ms": _frame_ms(case.world),
        "visible": visible,
        **_shares(case, chosen, right),
    }
    words = {name: word for name, word in WORDS.items() if name in values["mean"]}
    return page(values, films, words, {"seconds": time.monotonic() - begun})


def _judge(
    case: Case, clips: Clips, chosen: dict[str, list[Stimulus]]
) -> tuple[dict[str, dict[str, np.ndarray]], dict[str, dict[str, np.ndarray]], float]:
    """Say where every readout is right, float `[n]` by scenario and name; also films, and how often both colours are seen."""
    others = {"copy_last": CopyLast(case.world), **({"broken": case.broken} if case.broken else {})}
    names = [name for name in WORDS if name not in ("copy_last", "broken") or name in others]
    right: dict[str, dict[str, np.ndarray]] = {}
    films, seen, done = {}, [], 0
    with Progress("physion", sum(map(len, chosen.values())), "stimuli", case.quiet) as progress:
        for scenario, mine in chosen.items():
            features, films[scenario] = look(case, mine, clips.frames, clips.shown, progress, done, others)
            things = read(np.stack([clips.dataset.frames(s.episode, 0, 1)[0] for s in mine]))
            seen.append(np.isfinite(things.agent[:, 0]) & np.isfinite(things.patient[:, 0]))
            answers, groups = np.array([s.contact for s in mine]), _groups(mine)
            right[scenario] = {name: np.full(len(mine), np.nan) for name in names}
            for fit, test in folds(answers, groups, case.settings.seed):
                ours, theirs = (
                    Known(answers[rows], groups[rows], {name: f[rows] for name, f in features.items()}, {})
                    for rows in (fit, test)
                )
                for name, found in right_answers(ours, theirs, names).items():
                    right[scenario][name][test] = found
            done += len(mine)
    return right, films, float(np.concatenate(seen).mean())


def _shares(case: Case, chosen: dict[str, list[Stimulus]], right: dict[str, dict[str, np.ndarray]]) -> dict[str, Any]:
    """Intervals of every share, per scenario and over all stimuli, and what the stimuli are like."""

    def table(groups: np.ndarray, rows: dict[str, np.ndarray]) -> dict[str, Any]:
        boot = Bootstrap(groups, np.zeros(len(groups)), case.settings.seed, case.settings.resamples)
        gains = {f"B_minus_C{kind}": boot.mean(rows[f"B{kind}"] - rows[f"C{kind}"]) for kind in ("", "_latent")}
        return {**{name: boot.share(r) for name, r in rows.items()}, **gains}

    def like(stimuli: list[Stimulus]) -> dict[str, Any]:
        contact = sum(s.contact for s in stimuli) / len(stimuli)
        return {
            "stimuli": len(stimuli),
            "contact": contact,
            "majority": max(contact, 1 - contact),
            "contact_while_shown": sum(s.contact and s.first < SHOWN for s in stimuli),
            "contact_after_the_end": sum(s.contact and s.first >= LOOKED_AT for s in stimuli),
        }

    every = [s for mine in chosen.values() for s in mine]
    joined = {name: np.concatenate([rows[name] for rows in right.values()]) for name in next(iter(right.values()))}
    return {
        "mean": {**table(_groups(every), joined), **like(every)},
        "scenarios": {name: {**table(_groups(mine), right[name]), **like(mine)} for name, mine in chosen.items()},
        "intervals": {
            "method": "bootstrap over stimuli",
            "resamples": case.settings.resamples,
            "seed": case.settings.seed,
        },
    }


def _groups(stimuli: list[Stimulus]) -> np.ndarray:
    """Number stimuli so that those of one name (the same scene in other colours) are one."""
    return np.unique([s.name for s in stimuli], return_inverse=True)[1]


def _held_out(world: WorldModel, meta: DatasetMeta) -> bool | None:
    """Say whether the world was trained on other stimuli; a world of something else has not seen them."""
    return is_held_out(world, meta) if world.card.get("source", {}).get("env_id") == PHYSION else True


def _frame_ms(world: WorldModel) -> float | None:
    fps = world.card.get("source", {}).get("fps") or world.config.fps
    return 1000 / fps if fps else None
