"""The generic reader, for environments without their own: the centre of what differs from the mean frame."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from worldling.judge.readers.reader import OwnError, Reading, Score, State

#: A pixel differs when its largest colour channel is this many levels from the mean frame.
DIFFERS = 24.0
#: Fewer differing pixels than this share of the frame are noise.
LEAST_SHARE = 0.001
NEAR_PERCENT = 5.0


@dataclass
class MotionReader:
    """Reads one point per frame, in percent of the frame's side; NaN = nothing differs from the mean."""

    mean_frame: np.ndarray = field(repr=False)  # float32 [H, W, 3]
    about: str
    name: str = "generic: centre of what differs from the mean frame"

    @classmethod
    def fit(cls, frames: np.ndarray, why: str) -> MotionReader:
        """Take the mean of real frames uint8 `[n, H, W, 3]`; why: the reason no better reader was taken."""
        about = (
            f"A coarse reader that knows no objects, taken because {why}. It marks the pixels that differ "
            f"from the mean frame by more than {DIFFERS:.0f} levels and takes their centre and their "
            "number. The simulator records no such centre, so the reader's own error cannot be measured."
        )
        return cls(frames.mean(axis=0, dtype=np.float64).astype(np.float32), about)

    @property
    def headlines(self) -> tuple[str, ...]:
        """The scores that say most."""
        return ("centre_within_5pct",)

    def read(self, frames: np.ndarray) -> Reading:
        """Read uint8 frames `[n, H, W, 3]`: centre `[n, 2]` (x, y) and amount `[n]`, all in percent."""
        height, width = self.mean_frame.shape[:2]
        centre, amount = np.full((len(frames), 2), np.nan), np.zeros(len(frames))
        for i in range(0, len(frames), 64):
            differs = np.abs(frames[i : i + 64] - self.mean_frame).max(axis=-1) > DIFFERS
            count = differs.sum(axis=(1, 2))
            x = (differs.sum(axis=1) @ (np.arange(width) + 0.5)) / np.maximum(count, 1) / width * 100.0
            y = (differs.sum(axis=2) @ (np.arange(height) + 0.5)) / np.maximum(count, 1) / height * 100.0
            share = count / (height * width)
            centre[i : i + 64] = np.where((share >= LEAST_SHARE)[:, None], np.stack([x, y], axis=1), np.nan)
            amount[i : i + 64] = share * 100.0
        return {"centre": centre, "amount": amount}

    def own_error(self, frames: np.ndarray, state: State) -> list[OwnError]:
        """Nothing to compare with: an empty list."""
        return []

    def in_play(self, state: State) -> None:
        """Nothing ever leaves: None."""
        return None

    def score(self, start: Reading, truth: Reading, other: Reading, unbroken: np.ndarray) -> list[Score]:
        """Score the distance of the centres and the difference of the amounts, in percent of the frame."""
        there = np.isfinite(truth["centre"][:, 0])
        distance = np.nan_to_num(np.hypot(*(other["centre"] - truth["centre"]).T), nan=100.0)
        amount = np.abs(other["amount"] - truth["amount"])
        eligible = int(there.sum())
        return [
            Score(
                "centre_within_5pct",
                f"centre within {NEAR_PERCENT:.0f} % of the frame's side",
                "share",
                "share",
                np.where(there, (distance <= NEAR_PERCENT).astype(float), np.nan),
                eligible,
            ),
            Score(
                "centre_error_median",
                "centre, median error",
                "%",
                "median",
                np.where(there, distance, np.nan),
                eligible,
            ),
            Score(
                "amount_error_median",
                "amount that differs, median error (of the frame's area)",
                "%",
                "median",
                np.where(there, amount, np.nan),
                eligible,
            ),
        ]
