"""What every suite is given: a world, held-out data that fit it, and the starts chosen from them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from worldling.data.dataset import Dataset
from worldling.data.fit import Picture, picture_of
from worldling.errors import JudgeError
from worldling.judge.baselines import random_weights_copy
from worldling.judge.needs import check_clips, env_id_of
from worldling.judge.settings import Settings
from worldling.protocol import WorldModel
from worldling.timing.steps import BATCHES, WorldSpeed, time_world
from worldling.world import World

#: Real frames looked at to fit readers and to measure their own error.
SAMPLE_FRAMES = 2000


@dataclass(frozen=True)
class Starts:
    """Distinct points in the data: its episode and the index of the last frame given, both `[n]`."""

    episode: np.ndarray
    last: np.ndarray

    def __len__(self) -> int:
        return len(self.episode)


@dataclass
class Case:
    """One world before one data set.

    data: open and checked to fit; None if only suites run that need none. quiet: show no progress.
    """

    world: WorldModel
    data: Dataset | None
    settings: Settings = field(default_factory=Settings)
    quiet: bool = False

    @cached_property
    def random_weights(self) -> World | None:
        """The same networks with random weights, if the world is ours: see `random_weights_copy`."""
        return random_weights_copy(self.world)

    @cached_property
    def speed(self) -> WorldSpeed:
        """The time of a step at several batch sizes, measured once for all suites. Cost: a few seconds."""
        return time_world(self.world, *self.start_clips(max(BATCHES)), quiet=self.quiet)

    @property
    def dataset(self) -> Dataset:
        """The data, for suites that need them. Raises `JudgeError` if there are none."""
        if self.data is None:
            raise JudgeError("`data` must be given for this suite, got none. Add --data FOLDER.")
        return self.data

    @property
    def context(self) -> int:
        """Real frames shown to the world before it predicts."""
        return int(self.world.config.context)

    @property
    def env_id(self) -> str:
        """Environment the world was trained on, as its card says."""
        return env_id_of(self.world)

    @property
    def picture(self) -> Picture:
        """Where the picture lies in the world's frames."""
        return picture_of(self.world.card.get("source", {}), self.world.size_px)

    @property
    def fps(self) -> float:
        """Frames per second of real time."""
        return float(self.data.meta.fps if self.data else self.world.card.get("source", {}).get("fps", 30.0))

    def start_clips(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Return up to `count` clips to start from, of the data or else the world's own.

        Frames uint8 `[n, T, H, W, 3]` and actions `[n, T - 1, ...]`. Raises `JudgeError` if there are none.
        """
        if self.data is not None:
            starts = self.choose_starts(1, count)
            clips = [self.clip(int(e), int(t), 1) for e, t in zip(starts.episode, starts.last, strict=True)]
        else:
            check_clips(self.world)
            clips = [(clip.frames, clip.actions) for clip in self.world.contexts[:count]]
        frames, actions = zip(*((f[: self.context], a[: self.context - 1]) for f, a in clips), strict=True)
        return np.stack(frames), np.stack(actions)

    def choose_starts(self, ahead: int, count: int, salt: int = 0) -> Starts:
        """Draw `count` distinct starts with `ahead` true frames after them (fewer if the data hold fewer).

        Raises `JudgeError` if no episode is long enough.
        """
        room = [max(0, length - self.context - ahead + 1) for length in self.dataset.lengths]
        total = sum(room)
        if total < 2:
            raise JudgeError(
                f"`data` must hold episodes of at least {self.context + ahead} frames ({self.context} given "
                f"and {ahead} ahead), got a longest of {max(self.dataset.lengths)}. Lower the horizons or "
                "record longer episodes."
            )
        rng = np.random.default_rng([self.settings.seed, salt])
        chosen = np.sort(rng.choice(total, size=min(count, total), replace=False))
        ends = np.cumsum(room)
        episode = np.searchsorted(ends, chosen, side="right")
        return Starts(episode, chosen - (ends - room)[episode] + self.context - 1)

    def clip(self, episode: int, last: int, ahead: int) -> tuple[np.ndarray, np.ndarray]:
        """Read frames `[context + ahead, H, W, 3]` around one start, and the actions between them."""
        first, stop = last - self.context + 1, last + ahead + 1
        return self.dataset.frames(episode, first, stop), self.dataset.actions(episode, first, stop - 1)

    def sample_frames(self, count: int = SAMPLE_FRAMES) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Draw real frames `[n, H, W, 3]` and their simulator state (each `[n, ...]`) at random, in order.

        Frames are taken whole episodes apart from each other; memory is kept under about 256 MB.
        """
        size = self.dataset.meta.size_px
        count = min(count, self.dataset.num_frames, max(64, 2**28 // (size * size * 3)))
        rng = np.random.default_rng([self.settings.seed, 1])
        chosen = np.sort(rng.choice(self.dataset.num_frames, size=count, replace=False))
        ends = np.cumsum(self.dataset.lengths)
        episode = np.searchsorted(ends, chosen, side="right")
        row = chosen - (ends - self.dataset.lengths)[episode]
        frames = np.empty((count, size, size, 3), np.uint8)
        state: dict[str, list[np.ndarray]] = {name: [] for name in self.dataset.state_names}
        for number in np.unique(episode):
            mine = np.flatnonzero(episode == number)
            for i in mine:
                frames[i] = self.dataset.frames(int(number), int(row[i]), int(row[i]) + 1)[0]
            for name, parts in state.items():
                parts.append(self.dataset.column(f"state/{name}", int(number))[row[mine]])
        return frames, {name: np.concatenate(parts) for name, parts in state.items()}
