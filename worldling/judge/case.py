"""What every suite is given: a world, held-out data that fit it, and the starts chosen from them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from worldling.data.formats.physion import read_stimuli
from worldling.data.store import Dataset, DatasetMeta, read_meta
from worldling.errors import JudgeError
from worldling.judge.baselines import broken_copy
from worldling.protocol import WorldModel
from worldling.types import ActionSpace
from worldling.world import World

#: Real frames looked at to fit readers and to measure their own error.
SAMPLE_FRAMES = 2000


@dataclass(frozen=True)
class Settings:
    """The dials of a judgement.

    starts: points to roll out from; seed: chooses them and everything else at random; horizons: frames
    ahead that are tabled; rollouts and lengths: how many long dreams, and at how many frames they are
    looked at; resamples: redraws of the bootstrap; exam: folder of the physics exam, made where it is missing;
    trials: of it per scene that are judged on (the surprise suite draws its own: a pair of each edit for every 40);
    scenes: only these physics scenes, none named for all eight; physion: data set of Physion's own stimuli, if any;
    chaos: folder of the clips of chaotic environments, made where they are missing.
    """

    starts: int = 500
    seed: int = 0
    horizons: tuple[int, ...] = (1, 5, 10, 25, 50)
    rollouts: int = 16
    lengths: tuple[int, ...] = (1000, 10000)
    resamples: int = 1000
    exam: str = "data/physics-exam"
    trials: int = 400
    scenes: tuple[str, ...] = ()
    physion: str = ""
    chaos: str = "data/chaos"

    def __post_init__(self) -> None:
        for name in ("horizons", "lengths"):
            values = tuple(sorted({int(v) for v in getattr(self, name)}))
            if not values or values[0] < 1:
                raise JudgeError(f"`{name}` must be whole numbers of at least 1, got {values}. Give frames ahead.")
            object.__setattr__(self, name, values)
        object.__setattr__(self, "scenes", tuple(self.scenes))
        for name in ("exam", "physion", "chaos"):
            object.__setattr__(self, name, str(getattr(self, name) or ""))
        if self.seed < 0:
            raise JudgeError(f"`seed` must be at least 0, got {self.seed}. Use 0.")
        for name in ("starts", "rollouts", "resamples", "trials"):
            if getattr(self, name) < 2:
                raise JudgeError(f"`{name}` must be at least 2, got {getattr(self, name)}. Intervals need several.")

    def within(self, frames: int) -> "Settings":
        """Return these with only the horizons of up to so many frames; as they are, if none is."""
        return replace(self, horizons=tuple(h for h in self.horizons if h <= frames) or self.horizons)


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
    def broken(self) -> World | None:
        """The world with random weights, if it is ours: see `broken_copy`."""
        return broken_copy(self.world)

    @property
    def context(self) -> int:
        """Frames given to the world before it dreams."""
        return int(self.world.config.context)

    @property
    def env_id(self) -> str:
        """Environment the world was trained on, as its card says."""
        return env_id_of(self.world)

    @property
    def fps(self) -> float:
        """Frames that stand for a second."""
        return float(self.data.meta.fps if self.data else self.world.card.get("source", {}).get("fps", 30.0))

    def beginnings(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Return up to `count` clips to start from, of the data or else the world's own: frames `[n, T, H, W, 3]`, actions `[n, T - 1, ...]`.

        Raises `JudgeError` if there are none.
        """
        if self.data is not None:
            starts = self.choose_starts(1, count)
            clips = [self.clip(int(e), int(t), 1) for e, t in zip(starts.episode, starts.last)]
        else:
            check_clips(self.world)
            clips = [(clip.frames, clip.actions) for clip in self.world.contexts[:count]]
        frames, actions = zip(*((f[: self.context], a[: self.context - 1]) for f, a in clips))
        return np.stack(frames), np.stack(actions)

    def choose_starts(self, ahead: int, count: int, salt: int = 0) -> Starts:
        """Draw `count` distinct starts with `ahead` true frames after them (fewer if the data hold fewer).

        Raises `JudgeError` if no episode is long enough.
        """
        room = [max(0, length - self.context - ahead + 1) for length in self.data.lengths]
        total = sum(room)
        if total < 2:
            raise JudgeError(
                f"`data` must hold episodes of at least {self.context + ahead} frames ({self.context} given "
                f"and {ahead} ahead), got a longest of {max(self.data.lengths)}. Lower the horizons or "
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
        return self.data.frames(episode, first, stop), self.data.actions(episode, first, stop - 1)

    def sample_frames(self, count: int = SAMPLE_FRAMES) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Draw real frames `[n, H, W, 3]` and their engine state (each `[n, ...]`) at random, in order.

        Frames are taken whole episodes apart from each other; memory is kept under about 256 MB.
        """
        size = self.data.meta.size_px
        count = min(count, self.data.num_frames, max(64, 2**28 // (size * size * 3)))
        rng = np.random.default_rng([self.settings.seed, 1])
        chosen = np.sort(rng.choice(self.data.num_frames, size=count, replace=False))
        ends = np.cumsum(self.data.lengths)
        episode = np.searchsorted(ends, chosen, side="right")
        row = chosen - (ends - self.data.lengths)[episode]
        frames = np.empty((count, size, size, 3), np.uint8)
        state: dict[str, list[np.ndarray]] = {name: [] for name in self.data.state_names}
        for number in np.unique(episode):
            mine = np.flatnonzero(episode == number)
            for i in mine:
                frames[i] = self.data.frames(int(number), int(row[i]), int(row[i]) + 1)[0]
            for name, parts in state.items():
                parts.append(self.data.column(f"state/{name}", int(number))[row[mine]])
        return frames, {name: np.concatenate(parts) for name, parts in state.items()}


def check_fits(world: WorldModel, meta: DatasetMeta, path: object) -> None:
    """Raise `JudgeError` unless the data were recorded from what the world was trained on."""
    if world.size_px != meta.size_px:
        raise JudgeError(
            f"`data` must hold {world.size_px} px frames for this world, got {meta.size_px} px in {path}. "
            f"Record with --size-px {world.size_px}."
        )
    ours, theirs = world.action_space, meta.action_space
    if any(getattr(ours, key) != getattr(theirs, key) for key in ("kind", "nvec", "low", "high")):
        raise JudgeError(
            f"`data` must hold the world's actions ({_describe(ours)}), got {_describe(theirs)} in {path}. "
            "Choose data recorded from the same environment."
        )
    source = world.card.get("source", {})
    for key, flag in (("env_id", "from"), ("frame_skip", "with --frame-skip"), ("env_kwargs", "with env_kwargs")):
        if key in source and source[key] != getattr(meta, key):
            raise JudgeError(
                f"`data` must be recorded {flag} {source[key]} like the world's training data, got "
                f"{getattr(meta, key)} in {path}. Choose other data or another world."
            )


def has_clips(world: WorldModel) -> bool:
    """Say whether the world brings clips of its own to start from."""
    return bool(world.contexts)


def check_clips(world: WorldModel) -> None:
    """Raise `JudgeError` unless the world brings clips of its own to start from."""
    if not has_clips(world):
        raise JudgeError("`data` must be given for a world without clips of its own, got none. Add --data FOLDER.")


def is_physics(world: WorldModel) -> bool:
    """Say whether the world was trained on the eight physics scenes."""
    from worldling.scenes import PHYSICS_IDS

    return env_id_of(world) in PHYSICS_IDS


def is_chaos(world: WorldModel) -> bool:
    """Say whether the world was trained on one of the chaotic environments."""
    from worldling.scenes import CHAOS_IDS

    return env_id_of(world) in CHAOS_IDS


def check_physics(world: WorldModel, suite: str) -> None:
    """Raise `JudgeError` unless the world was trained on the physics scenes, or one of them, at their frame rate."""
    if not is_physics(world):
        raise _foreign(world, suite, "the physics scenes", "worldling/Physics-v0")
    _check_frames(world)


def check_chaos(world: WorldModel, suite: str) -> None:
    """Raise `JudgeError` unless the world was trained on one of the chaotic environments."""
    if not is_chaos(world):
        raise _foreign(world, suite, "a chaotic environment", "worldling/Cloth-v0, Lorenz-v0 or Smoke-v0")
    _check_frames(world)


def _check_frames(world: WorldModel) -> None:
    frame_skip = world.card["source"].get("frame_skip", 1)
    if frame_skip != 1:
        raise JudgeError(
            f"`world` must be of {env_id_of(world)} frame by frame, got one recorded with --frame-skip {frame_skip}. "
            "Train one on a recording without."
        )


def env_id_of(world: WorldModel) -> str:
    """Name the environment the world was trained on, as its card does."""
    return str(world.card.get("source", {}).get("env_id", "an unknown environment"))


def _foreign(world: WorldModel, suite: str, wanted: str, env_id: str) -> JudgeError:
    return JudgeError(
        f"`suite` {suite} must be given a world of {wanted}, got one of {env_id_of(world)}. "
        f"Train one on a recording of {env_id}, or choose fidelity or stability."
    )


def check_stimuli(world: WorldModel, path: str | Path | None) -> None:
    """Raise `JudgeError` unless `path` holds stimuli of Physion of the size of the world's frames."""
    if not path:
        raise JudgeError(
            "`physion` must be given for the suite physion, got none. Import Physion's files with "
            "`worldling import FOLDER --out OUT --format physion` and add --physion OUT."
        )
    meta = read_meta(path)
    read_stimuli(path)
    if meta.size_px != world.size_px:
        raise JudgeError(
            f"`physion` must hold {world.size_px} px frames for this world, got {meta.size_px} px in {path}. "
            f"Import them again with --size-px {world.size_px}."
        )


def is_held_out(world: WorldModel, meta: DatasetMeta) -> bool | None:
    """Say whether the world was trained on other data than these; None if its card does not tell.

    The seed decides, whatever the policy: it makes the same scenes.
    """
    source = world.card.get("source", {})
    return source["seed"] != meta.seed if "seed" in source else None


def _describe(space: ActionSpace) -> str:
    if space.kind == "box":
        return f"box of {len(space.low)} between {list(space.low)} and {list(space.high)}"
    return f"{space.kind} {list(space.nvec)}" if space.nvec else space.kind
