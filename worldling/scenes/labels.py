"""What happens in a trial, from the engine alone: is there contact, when, and would a copy agree.

Nothing here looks at a picture. A trial is watched for `FRAMES` frames without actions; the first `OBSERVED` are
what a world is shown, and no trial may have its contact there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from worldling.scenes.trial import Trial, TrialSeed

OBSERVED, FRAMES = 4, 26
#: Copies of each trial, and how much their velocities differ from its own (standard deviation, share).
COPIES, NOISE = 5, 1e-3
MOTIONS = 12  # tried for a geometry before it is given up


@dataclass(frozen=True)
class Label:
    """first: frame of the first contact, or None."""

    first: int | None

    @property
    def contact(self) -> bool:
        """Whether red touches yellow at all."""
        return self.first is not None


def first_contact(trial: Trial, generator: np.random.Generator | None = None) -> int | None:
    """Run a started trial to its end and return the first frame with contact; generator: make it a noisy copy."""
    if generator is not None:
        trial.perturb(generator, NOISE)
    while not trial.touched and trial.frame < FRAMES - 1:
        trial.advance()
    return trial.frame if trial.touched else None


def flips_of(trial: Trial, motion: int, first: int | None) -> int:
    """Count the noisy copies of one motion of a trial's geometry that answer otherwise than its first contact does."""
    flips = 0
    for copy in range(COPIES):
        trial.start(motion)
        other = first_contact(trial, np.random.default_rng([trial.seed.geometry, motion, 2, copy]))
        flips += (other is None) != (first is None)
    return flips


@dataclass
class Tally:
    """What was looked at while pairs were searched: labelled motions, those of them that flip, geometries, pairs."""

    labelled: int = 0
    flipped: int = 0
    geometries: int = 0
    pairs: int = 0


def find_pair(
    scenario: str, seed: Sequence[int], outside: bool, tally: Tally
) -> tuple[tuple[TrialSeed, Label], tuple[TrialSeed, Label]]:
    """Find a geometry with a motion that ends in contact and one that does not, and return both, contact first.

    They look the same in frame 0. Trials on which the noisy copies disagree are set aside and counted in
    `tally`. The same seed finds the same pair.
    """
    stream = np.random.default_rng(list(seed))
    while True:
        geometry = int(stream.integers(2**62))
        trial = Trial(TrialSeed(scenario, geometry, 0, outside))
        tally.geometries += 1
        found: dict[bool, tuple[TrialSeed, Label]] = {}
        for motion in range(MOTIONS):
            trial.start(motion)
            first = first_contact(trial)
            if (first is not None and first < OBSERVED) or (first is not None) in found:
                continue
            flips = flips_of(trial, motion, first)
            tally.labelled += 1
            tally.flipped += bool(flips)
            if not flips:
                found[first is not None] = (TrialSeed(scenario, geometry, motion, outside), Label(first))
            if len(found) == 2:
                tally.pairs += 1
                return found[True], found[False]
