"""The surprise suite, violation of expectation: is a world more surprised by what cannot happen than by what can?

Matched pairs of clips of the physics scenes (scenes/edits.py): the same trial unchanged, and edited in the simulator at
one moment. Both are shown to the world frame by frame, and it says how unexpected each next frame is. The protocol is
IntPhys's (arXiv 1803.07616), the scenes are ours. Guessing gives 50 %.

One rule for all, chosen before any world was measured: a clip is as surprising as its most surprising frame from the
edit on. A sum over frames would also count how much happens afterwards, which the edit changes: where a thing has
vanished, less moves and less can surprise. The mean is given beside it.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from worldling.frame_error import frame_error
from worldling.judge.baselines import CopyLast
from worldling.judge.case import Case
from worldling.judge.measures.bootstrap import Bootstrap, BootstrapMethod
from worldling.judge.results import Anchored, Elapsed, SuiteResult
from worldling.judge.truth.exam import chosen_scenes
from worldling.judge.truth.processes import in_processes
from worldling.progress import Progress
from worldling.protocol import WorldModel
from worldling.report.values import HIDDEN, Curve, Interval, named

if TYPE_CHECKING:
    from worldling.scenes.edits import Pair

RULES: dict[str, Callable[..., np.ndarray]] = {"max": np.max, "mean": np.mean}
RULE = "max"
#: Whose surprise is measured, in the words of the report.
OBSERVERS = {
    "world": "the world",
    "copy_last": "last frame expected again",
    "random_weights": "the same networks, random weights",
    "simulator": "the simulator without the edit",
}
TRIALS_PER_PAIR = 40  # of the setting `trials`: 400 trials of a scene are 10 pairs of each of the five edits
ANCHORED = 3  # pairs of each edit and scene that random weights and the simulator are shown
_STREAM = 5_000_000  # seeds of the pairs: [seed, _STREAM, scene, edit, number]
#: Shares of pairs in which the impossible clip surprises more, by observer and rule.
Shares = dict[str, dict[str, Interval]]


@dataclass(frozen=True)
class PairCurves:
    """Mean surprise at each frame but the first, of possible and impossible clips."""

    possible: Curve
    impossible: Curve


@dataclass(frozen=True)
class SurpriseTables:
    """Shares over all pairs, by edit, by scene, and the world's by both; and the world's mean curves, by edit."""

    all: Shares
    edits: dict[str, Shares]
    scenes: dict[str, Shares]
    cells: dict[str, dict[str, Interval]]
    curves: dict[str, PairCurves]


@dataclass(frozen=True)
class PairFilm:
    """The first pair of an edit. clips uint8 `[2, T, H, W, 3]`: possible, impossible; curves `[2, T - 1]`: surprise."""

    scene: str
    clips: np.ndarray
    curves: np.ndarray


@dataclass(frozen=True)
class PairChecksums:
    """sha256 of what the pairs are made from, and of their pixels."""

    pairs: str
    pixels: str


@dataclass(frozen=True, kw_only=True)
class SurpriseResult(SuiteResult):
    """Shares of pairs in which the impossible clip surprises more.

    n: pairs; frames: of each clip; first_edited: the first frame that differs; scored: frames from there on; rule: of
    RULES; unit: what the world's surprise is counted in. all, edits, scenes, cells, curves: see `SurpriseTables`;
    films: a pair of each edit.
    """

    n: int
    pairs_per_edit_and_scene: int
    frames: int
    first_edited: int
    scored: int
    rule: str
    chance: float
    unit: str = field(metadata=named("measure"))
    intervals: BootstrapMethod
    all: Shares
    edits: dict[str, Shares]
    scenes: dict[str, Shares]
    cells: dict[str, dict[str, Interval]]
    curves: dict[str, PairCurves]
    checksums: PairChecksums
    films: dict[str, PairFilm] = field(metadata=HIDDEN)


def run(case: Case) -> SurpriseResult:
    """Judge violation of expectation.

    Cost: by default 400 pairs are drawn, 24 frames each, and 1 040 clips of 14 frames are looked at.
    """
    chosen = chosen_scenes(case)
    from worldling.scenes.edits import AFTER, BEFORE, EDITS, FRAMES

    begun = time.monotonic()
    count = -(-case.settings.trials // TRIALS_PER_PAIR)
    held, untrained = CopyLast(case.world), case.random_weights
    cells = [(scenario, kind) for kind in EDITS for scenario in chosen]
    shown_in = {kind: chosen[number % len(chosen)] for number, kind in enumerate(EDITS)}  # another scene for each edit
    curves: dict[str, dict[int, np.ndarray]] = {
        name: {} for name in OBSERVERS if name != "random_weights" or untrained is not None
    }
    sums: dict[int, tuple[bytes, bytes]] = {}
    films: dict[str, PairFilm] = {}
    with Progress("surprise", count * len(cells), "pairs", case.quiet) as progress:
        jobs = [(*cell, count, case.settings.seed, case.world.size_px) for cell in cells]
        for cell, (pairs, simulated) in in_processes(_drawn, jobs):
            clips = np.stack([[pair.possible, pair.impossible] for pair in pairs])
            curves["world"][cell] = surprise_at(case.world, clips)
            curves["copy_last"][cell] = surprise_at(held, clips)
            curves["simulator"][cell] = _of_some(count, simulated)
            if untrained is not None:
                curves["random_weights"][cell] = _of_some(count, surprise_at(untrained, clips[:ANCHORED]))
            sums[cell] = _checksums(pairs, clips)
            scenario, kind = cells[cell]
            if scenario == shown_in[kind]:
                films[kind] = PairFilm(scenario, clips[0], curves["world"][cell][0])
            progress.update(count * len(sums))
    found = {name: np.concatenate([parts[cell] for cell in range(len(cells))]) for name, parts in curves.items()}
    scenes, edits = (np.repeat(names, count) for names in zip(*cells, strict=True))
    pairs_sum, pixels_sum = (
        hashlib.sha256(b"".join(sums[cell][i] for cell in range(len(cells)))).hexdigest() for i in range(2)
    )
    boot = Bootstrap(np.arange(len(edits)), np.zeros(len(edits)), case.settings.seed, case.settings.resamples)
    summed = tables(found, edits, scenes, BEFORE, boot)
    rows = {name: by[RULE] for name, by in summed.all.items()}
    return SurpriseResult(
        n=len(edits),
        pairs_per_edit_and_scene=count,
        frames=FRAMES,
        first_edited=BEFORE,
        scored=AFTER,
        rule=RULE,
        chance=0.5,
        unit=case.world.surprise_unit,
        intervals=boot.about("pairs"),
        **vars(summed),
        checksums=PairChecksums(pairs_sum, pixels_sum),
        films=films,
        timing=Elapsed(time.monotonic() - begun),
        anchored=(Anchored.of("pairs in which the impossible surprises more", rows, "above", 0.5),),
    )


def _drawn(scenario: str, kind: str, count: int, seed: int, size_px: int) -> tuple[list[Pair], np.ndarray]:
    """Draw the first `count` pairs of a scene and an edit, and the simulator's surprise at the first `ANCHORED`.

    The n-th pair is the same however many there are.
    """
    from worldling.scenes import SCENARIOS
    from worldling.scenes.edits import EDITS, draw_pair

    stream = [seed, _STREAM, SCENARIOS.index(scenario), EDITS.index(kind)]
    pairs = [draw_pair(scenario, kind, [*stream, number], size_px) for number in range(count)]
    return pairs, _simulated(pairs[:ANCHORED], seed)


def _checksums(pairs: Sequence[Pair], clips: np.ndarray) -> tuple[bytes, bytes]:
    """Digests of what the pairs are made from, and of their pixels."""
    seeds = repr([(asdict(pair.trial), asdict(pair.edit)) for pair in pairs])
    return hashlib.sha256(seeds.encode()).digest(), hashlib.sha256(clips.tobytes()).digest()


def surprise_at(world: WorldModel, clips: np.ndarray) -> np.ndarray:
    """Return a world's surprise at each next frame of pairs uint8 `[n, 2, T, H, W, 3]`, under no action.

    Returns `[n, 2, T - 1]`.
    """
    flat = clips.reshape(-1, *clips.shape[2:])
    found = surprise_of(world, flat, np.zeros((len(flat), flat.shape[1] - 1, 2), np.float32))
    return found.reshape(*clips.shape[:2], -1)


def surprise_of(world: WorldModel, frames: np.ndarray, actions: np.ndarray) -> np.ndarray:
    """Return how unexpected each next frame of clips uint8 `[B, T, H, W, 3]` is to a world: `[B, T - 1]`.

    `world.surprise` if it can tell; else the squared error of the frame that it predicts from the last
    `config.context` real ones.
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
    """Say in which pairs `[n, 2, T - 1]` the second clip surprises more, from frame `first` on.

    Returns `[n]`: 1, 0, .5 for a tie, or NaN.
    """
    possible, impossible = RULES[rule](curves[..., first - 1 :], axis=-1).T
    return np.where(np.isnan(possible + impossible), np.nan, (impossible > possible) + 0.5 * (impossible == possible))


def tables(
    curves: dict[str, np.ndarray], edits: np.ndarray, scenes: np.ndarray, first: int, boot: Bootstrap
) -> SurpriseTables:
    """Sum up surprise `[n, 2, T - 1]` by observer, of pairs with these edits and scenes `[n]`."""
    right = {name: {rule: more_surprised(found, first, rule) for rule in RULES} for name, found in curves.items()}

    def shares(mine: np.ndarray) -> Shares:
        return {
            name: {rule: boot.share(np.where(mine, r, np.nan)) for rule, r in rules.items()}
            for name, rules in right.items()
        }

    def curve(kind: str, side: int) -> Curve:
        columns = curves["world"][:, side].T
        return Curve.of([boot.mean(np.where(edits == kind, column, np.nan)) for column in columns])

    def cell(kind: str, scene: str) -> Interval:
        return boot.share(np.where((edits == kind) & (scenes == scene), right["world"][RULE], np.nan))

    kinds, places = list(dict.fromkeys(edits.tolist())), list(dict.fromkeys(scenes.tolist()))
    return SurpriseTables(
        all=shares(np.ones(len(edits), bool)),
        edits={kind: shares(edits == kind) for kind in kinds},
        scenes={scene: shares(scenes == scene) for scene in places},
        cells={kind: {scene: cell(kind, scene) for scene in places} for kind in kinds},
        curves={kind: PairCurves(curve(kind, 0), curve(kind, 1)) for kind in kinds},
    )


def _simulated(pairs: Sequence[Pair], seed: int) -> np.ndarray:
    """Surprise of the simulator itself, velocities perturbed by 1e-3, as pixel error: `[n, 2, T - 1]`."""
    from worldling.scenes.edits import simulate

    found = []
    for number, pair in enumerate(pairs):
        made = simulate(pair, np.random.default_rng([seed, _STREAM, number]))[1:]
        found.append([frame_error(made, real[1:]) for real in (pair.possible, pair.impossible)])
    return np.array(found)


def _of_some(count: int, found: np.ndarray) -> np.ndarray:
    """Fill the surprise at the first few pairs up to `count` with NaN, which is not counted."""
    return np.concatenate([found, np.full((count - len(found), *found.shape[1:]), np.nan)])
