"""What is true of a world's roll-outs, start by start, so that two worlds are compared on the same starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from worldling.data.dataset import Dataset
from worldling.frame_error import psnr
from worldling.judge.case import Case
from worldling.judge.fidelity.suite import unbroken_to
from worldling.judge.measures.bootstrap import Bootstrap
from worldling.judge.readers.reader import Reading
from worldling.judge.readers.registry import reader_for
from worldling.judge.settings import Settings
from worldling.progress import Progress
from worldling.protocol import WorldModel
from worldling.report.values import Interval

#: Roll-outs at once.
ROWS = 64


@dataclass(frozen=True)
class Truth:
    """What was found of a world. psnr_db `[n]`; right: 0 or 1 for each start, by measure, NaN if not counted `[n]`."""

    psnr_db: np.ndarray
    right: dict[str, np.ndarray]


class TruthTest:
    """The same held-out starts for every world: their true frames, and what a reader sees in them.

    world: any of them, for actions and size; horizon: frames ahead at which is looked. Raises `JudgeError` if the data
    hold no such starts.
    """

    def __init__(self, world: WorldModel, data: Dataset, starts: int, horizon: int, seed: int = 0) -> None:
        self.case = Case(world, data, Settings(starts=starts, seed=seed), quiet=True)
        self.horizon, self.starts = horizon, self.case.choose_starts(horizon, starts)
        frames, state = self.case.sample_frames()
        self.reader = reader_for(data.meta.env_id, frames[::2], {name: values[::2] for name, values in state.items()})
        self.unbroken = unbroken_to(self.case, self.starts, self.reader, horizon)
        self.bootstrap = Bootstrap(self.starts.episode, self.starts.last, seed)

    def run(self, world: WorldModel, quiet: bool = True, name: str = "roll-outs") -> Truth:
        """Roll out from every start under the true actions, and look at the frame at the horizon."""
        n, context = len(self.starts), self.case.context
        errors: list[np.ndarray] = []
        seen: dict[str, list[Reading]] = {"start": [], "truth": [], "world": []}
        with Progress(name, n, "starts", quiet) as progress:
            for first in range(0, n, ROWS):
                rows = range(first, min(first + ROWS, n))
                clips = [
                    self.case.clip(int(self.starts.episode[i]), int(self.starts.last[i]), self.horizon) for i in rows
                ]
                frames, actions = (np.stack(part) for part in zip(*clips, strict=True))
                state = world.start(frames[:, :context], actions[:, : context - 1], [*rows])
                for t in range(self.horizon):
                    step = world.step(state, actions[:, context - 1 + t], decode=t == self.horizon - 1)
                made, cut = step.frame, self.case.picture.cut
                assert made is not None, "the last one was to be decoded"
                errors.append(psnr(cut(frames[:, -1]), cut(made)))
                for key, shown in (("start", frames[:, context - 1]), ("truth", frames[:, -1]), ("world", made)):
                    seen[key].append(self.reader.read(shown))
                progress.update(rows.stop)
        start, truth, ours = (
            {k: np.concatenate([part[k] for part in parts]) for k in parts[0]} for parts in seen.values()
        )
        scores = self.reader.score(start, truth, ours, self.unbroken)
        return Truth(
            np.concatenate(errors), {score.label: score.values for score in scores if score.statistic == "share"}
        )

    def value(self, truth: Truth) -> dict[str, Interval]:
        """Return each measure of a world; "PSNR" is in dB, the others are shares."""
        return {"PSNR": self.bootstrap.mean(truth.psnr_db)} | {
            name: self.bootstrap.share(values) for name, values in truth.right.items()
        }

    def lost(self, reference: Truth, other: Truth) -> dict[str, Interval]:
        """Return how much `other` lost against `reference`, paired by start: dB of "PSNR", and shares.

        Below 0 where it is the better one.
        """
        found = {"PSNR": self.bootstrap.mean(reference.psnr_db - other.psnr_db)}
        return found | {
            name: self.bootstrap.mean(values - other.right[name]) for name, values in reference.right.items()
        }


def is_within(lost: Mapping[str, Interval], points: float) -> bool:
    """Whether the upper ends of all shares that were lost are below `points` hundredths."""
    shares = [interval.high for name, interval in lost.items() if name != "PSNR"]
    return all(high is None or 100 * high < points for high in shares)
