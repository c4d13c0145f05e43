"""The surprise suite, violation of expectation: is a world more surprised by what cannot happen than by what can?

Matched pairs of clips of the physics scenes (scenes/edits.py): the same trial as it is, and edited in the engine at one
moment. Both are shown to the world frame by frame, and each says how unexpected the next real frame is. The protocol is IntPhys's
(arXiv 1803.07616), the scenes are ours. Guessing gives 50 %.

One rule for all, chosen before any world was measured: a clip is as surprising as its most surprising frame from the
edit on. A sum over frames would also count how much happens afterwards, which the edit changes: where a thing has vanished, less moves
and less can surprise. The mean is given beside it.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import asdict
from typing import Any

import numpy as np

from worldling.frame_error import frame_error
from worldling.judge.baselines import CopyLast
from worldling.judge.case import Case
from worldling.judge.measures.bootstrap import Bootstrap
from worldling.judge.surprise.page import page
from worldling.judge.truth.exam import chosen_scenes
from worldling.judge.truth.processes import in_processes
from worldling.progress import Progress
from worldling.protocol import WorldModel
from worldling.report.sections import Anchored, Section

RULES = {"max": np.max, "mean": np.mean}
RULE = "max"
#: Who may be surprised, in the words of the report.
OBSERVERS = {
    "world": "the world",
    "copy_last": "last frame expected again",
    "broken": "the same networks, random weights",
    "simulator": "the simulator without the edit",
}
TRIALS_PER_PAIR = 40  # of the setting `trials`: 400 trials of a scene are 10 pairs of each of the five edits
ANCHORED = 3  # pairs of each edit and scene that the broken world and the simulator are shown
_STREAM = 5_000_000  # seeds of the pairs: [seed, _STREAM, scene, edit, number]


def run(case: Case) -> Section:
    """Judge violation of expectation. Cost: by default 400 pairs are drawn, 24 frames each, and 1 040 clips of 14 frames looked at."""
    chosen = chosen_scenes(case)
    from worldling.scenes.edits import AFTER, BEFORE, EDITS, FRAMES

    begun = time.monotonic()
    count = -(-case.settings.trials // TRIALS_PER_PAIR)
    held, broken = CopyLast(case.world), case.broken
    cells = [(scenario, kind) for kind in EDITS for scenario in chosen]
    shown_in = {kind: chosen[number % len(chosen)] for number, kind in enumerate(EDITS)}  # another scene for each edit
    curves: dict[str, dict[int, np.ndarray]] = {
        name: {} for name in OBSERVERS if name != "broken" or broken is not None
    }
    sums: dict[int, tuple[bytes, bytes]] = {}
    films = {}
    with Progress("surprise", count * len(cells), "pairs", case.quiet) as progress:
        jobs = [(*cell, count, case.settings.seed, case.world.size_px) for cell in cells]
        for cell, (pairs, simulated) in in_processes(_drawn, jobs):
            clips = np.stack([[pair.possible, pair.impossible] for pair in pairs])
            curves["world"][cell] = watch(case.world, clips)
            curves["copy_last"][cell] = watch(held, clips)
            curves["simulator"][cell] = _of_some(count, simulated)
            if broken is not None:
                curves["broken"][cell] = _of_some(count, watch(broken, clips[:ANCHORED]))
            sums[cell] = _checksums(pairs, clips)
            scenario, kind = cells[cell]
            if scenario == shown_in[kind]:
                films[kind] = {"scene": scenario, "clips": clips[0], "curves": curves["world"][cell][0]}
            progress.update(count * len(sums))
    found = {name: np.concatenate([parts[cell] for cell in range(len(cells))]) for name, parts in curves.items()}
    scenes, edits = (np.repeat(names, count) for names in zip(*cells))
    pairs_sum, pixels_sum = (
        hashlib.sha256(b"".join(sums[cell][i] for cell in range(len(cells)))).hexdigest() for i in range(2)
    )
    boot = Bootstrap(np.arange(len(edits)), np.zeros(len(edits)), case.settings.seed, case.settings.resamples)
    values = {
        "n": len(edits),
        "pairs_per_edit_and_scene": count,
        "frames": FRAMES,
        "first_edited": BEFORE,
        "scored": AFTER,
        "rule": RULE,
        "chance": 0.5,
        "measure": unit_of(case.world),
        "intervals": boot.about("pairs"),
        **tables(found, edits, scenes, BEFORE, boot),
        "checksums": {"pairs": pairs_sum, "pixels": pixels_sum},
    }
    section = page(values, films, OBSERVERS, {"seconds": time.monotonic() - begun}, BEFORE)
    rows = {name: by[RULE] for name, by in values["all"].items()}
    section.anchors = [Anchored("pairs in which the impossible surprises more", rows, "above", guess=0.5)]
    return section


def _drawn(scenario: str, kind: str, count: int, seed: int, size_px: int) -> tuple[list[Any], np.ndarray]:
    """Draw the first `count` pairs of a scene and an edit, and the simulator's surprise at the first `ANCHORED`; the n-th is the same however many there are."""
    from worldling.scenes import SCENARIOS
    from worldling.scenes.edits import EDITS, draw_pair

    stream = [seed, _STREAM, SCENARIOS.index(scenario), EDITS.index(kind)]
    pairs = [draw_pair(scenario, kind, [*stream, number], size_px) for number in range(count)]
    return pairs, _simulated(pairs[:ANCHORED], seed)


def _checksums(pairs: list[Any], clips: np.ndarray) -> tuple[bytes, bytes]:
    """Digests of what the pairs are made from, and of their pixels."""
    seeds = repr([(asdict(pair.trial), asdict(pair.edit)) for pair in pairs])
    return hashlib.sha256(seeds.encode()).digest(), hashlib.sha256(clips.tobytes()).digest()


def unit_of(world: WorldModel) -> str:
    """Say what `surprise_of` counts this world's surprise in."""
    return world.surprise_unit


def watch(world: WorldModel, clips: np.ndarray) -> np.ndarray:
    """Show pairs uint8 `[n, 2, T, H, W, 3]`, in which no hand moved, to a world; its surprise at each next frame `[n, 2, T - 1]`."""
    flat = clips.reshape(-1, *clips.shape[2:])
    found = surprise_of(world, flat, np.zeros((len(flat), flat.shape[1] - 1, 2), np.float32))
    return found.reshape(*clips.shape[:2], -1)


def surprise_of(world: WorldModel, frames: np.ndarray, actions: np.ndarray) -> np.ndarray:
    """Say how unexpected each next frame of clips uint8 `[B, T, H, W, 3]` is to a world: `[B, T - 1]`.

    `world.surprise` if it can tell; else the squared error of the frame it makes after the last `config.context` true ones.
    """
    found = world.surprise(frames, actions)
    if found is not None:
        return np.asarray(found, np.float64)
    errors = []
    for t in range(1, frames.shape[1]):
        first = max(0, t - world.config.context)
        state = world.start(frames[:, first:t], actions[:, first : t - 1], seed=0)
        errors.append(frame_error(world.rollout(state, actions[:, t - 1 : t])[:, 0], frames[:, t]))
    return np.stack(errors, axis=1)


def more_surprised(curves: np.ndarray, first: int, rule: str = RULE) -> np.ndarray:
    """Say in which pairs `[n, 2, T - 1]` the second clip surprises more, from frame `first` on: 1, 0, .5 for a tie, or NaN; `[n]`."""
    possible, impossible = RULES[rule](curves[..., first - 1 :], axis=-1).T
    return np.where(np.isnan(possible + impossible), np.nan, (impossible > possible) + 0.5 * (impossible == possible))


def tables(
    curves: dict[str, np.ndarray], edits: np.ndarray, scenes: np.ndarray, first: int, boot: Bootstrap
) -> dict[str, Any]:
    """Sum up surprise `[n, 2, T - 1]` by observer: shares over all, by edit, by scene and by both, and the mean curves."""
    right = {name: {rule: more_surprised(found, first, rule) for rule in RULES} for name, found in curves.items()}

    def shares(mine: np.ndarray) -> dict[str, Any]:
        return {
            name: {rule: boot.share(np.where(mine, r, np.nan)) for rule, r in rules.items()}
            for name, rules in right.items()
        }

    kinds, places = list(dict.fromkeys(edits.tolist())), list(dict.fromkeys(scenes.tolist()))
    curve = {}
    for kind in kinds:
        for side, name in enumerate(("possible", "impossible")):
            points = [boot.mean(np.where(edits == kind, column, np.nan)) for column in curves["world"][:, side].T]
            curve.setdefault(kind, {})[name] = {
                key: [point[key] for point in points] for key in ("value", "low", "high")
            }
    return {
        "all": shares(np.ones(len(edits), bool)),
        "edits": {kind: shares(edits == kind) for kind in kinds},
        "scenes": {scene: shares(scenes == scene) for scene in places},
        "cells": {
            kind: {
                s: boot.share(np.where((edits == kind) & (scenes == s), right["world"][RULE], np.nan)) for s in places
            }
            for kind in kinds
        },
        "curves": curve,
    }


def _simulated(pairs: list[Any], seed: int) -> np.ndarray:
    """Surprise of the simulator itself, velocities changed by 1e-3, by pixels: `[n, 2, T - 1]`."""
    from worldling.scenes.edits import simulate

    found = []
    for number, pair in enumerate(pairs):
        made = simulate(pair, np.random.default_rng([seed, _STREAM, number]))[1:]
        found.append([frame_error(made, real[1:]) for real in (pair.possible, pair.impossible)])
    return np.array(found)


def _of_some(count: int, found: np.ndarray) -> np.ndarray:
    """Fill the surprise at the first few pairs up to `count` with NaN, which is not counted."""
    return np.concatenate([found, np.full((count - len(found), *found.shape[1:]), np.nan)])
