"""Checks of worlds with keys that turn: turning back shows the same view, walls are solid, the view is right.

Real players and dreamed ones do the same in extra episodes: after a second of rest they turn to the right and back by
as many frames; and they hold the key that walks straight on, until walls stop them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from worldling.alarm import reconstruct
from worldling.data.environment import Environment
from worldling.data.hands import Turning, turning
from worldling.judge.measures.ssim import ssim
from worldling.judge.play.checks import ALIVE_SHARE, MOST, USUAL, Check, Seen, difference
from worldling.judge.truth.driven import Hand, drive
from worldling.progress import Progress
from worldling.protocol import WorldModel, WorldState

#: Two pictures show the same view if their structural similarity is at least this.
SAME = 0.7
#: Seconds of rest before turning, until what slides or opens has come to rest, and seconds of turning to one side.
REST_S, TURN_S = 1.0, (1.0, 2.0)
#: At most so many players walk into walls.
MOST_WALKERS = 24
#: Where the real picture stands still, the dreamed one may move by this share of what real ones move that walk.
CREEP = 0.2
#: The real picture stands still if it changes by less than this from frame to frame, in grey levels.
STILL = 0.05


def view_right(world: WorldModel, seen: Seen) -> dict[str, Check]:
    """Check that the dream shows what the real environment does, where there is one."""
    if seen.real is None:
        return {}
    shown = np.stack([reconstruct(world, frames) for frames in seen.real])
    holds = [
        np.where(seen.reached, (ssim(seen.real, frames) >= SAME).astype(float), np.nan)
        for frames in (seen.dream, shown)
    ]
    definition = (
        f"SSIM (structural similarity) with the real frame of at least {SAME:g}; real: of it, encoded and decoded"
    )
    return {"view_right": Check("the view is right", definition, *holds)}


@dataclass
class TurningBack:
    """Lets dreams turn to the right and back, from each moment on, and real players from the start on.

    keys: those that turn; idle: the raw action of rest; rest: frames; turns: frames to one side, of each of `TURN_S`;
    real `[m, 2, n]`: of each of m turns the similarity of the pictures before and after it, and the mean absolute
    difference of those before it and in its middle, in grey levels; None where no real ones were driven.
    """

    keys: Turning
    idle: np.ndarray
    rest: int
    turns: tuple[int, ...]
    real: np.ndarray | None = None
    _dreamed: list[np.ndarray] = field(default_factory=list)

    @classmethod
    def of(cls, world: WorldModel, fps: float) -> TurningBack | None:
        """Plan for a world and its frames a second; None if no keys of it turn."""
        keys, space = turning(world.action_space), world.action_space
        if keys is None:
            return None
        frames = [max(1, round(s * fps)) for s in (REST_S, *TURN_S)]
        return cls(keys, np.asarray(space.noop), frames[0], tuple(frames[1:]))

    def drive(self, env: Environment, hands: Sequence[Hand], context: int, quiet: bool = False) -> None:
        """Let real players rest and turn, in the episodes that `hands` begin. Cost: some seconds of each of them."""
        parts, looked = [[self.idle] * self.rest], [self.rest]
        for count in self.turns:
            parts += [[self.keys.right] * count, [self.keys.left] * count]
            looked += [looked[-1] + count, looked[-1] + 2 * count]
        actions, rows = np.stack([action for part in parts for action in part]), []
        with Progress("turning back", len(hands), "players", quiet) as progress:
            for hand in hands:
                seen = drive(env, hand, hand, looked, len(actions), context, actions).frames
                rows.append([_turned(seen[i : i + 1], seen[i + 1 : i + 2], seen[i + 2 : i + 3]) for i in _starts(seen)])
                progress.update(len(rows))
        self.real = np.moveaxis(np.array(rows)[..., 0], 0, -1)

    def dream(self, world: WorldModel, state: WorldState) -> None:
        """Let copies of the dreams rest and turn; the moments come in their order. Cost: about seven seconds' steps."""
        resting, found = state.fork(), []
        before = _held(world, resting, self.idle, self.rest)
        for count in self.turns:
            turned = resting.fork()
            away = _held(world, turned, self.keys.right, count)
            found.append(_turned(before, away, _held(world, turned, self.keys.left, count)))
        self._dreamed.append(np.array(found))

    def checks(self) -> dict[str, Check]:
        """Check the dreams of each moment, from the start on, and the real players at the start."""
        dreamed, checks = np.stack(self._dreamed, axis=-1), {}
        for row, seconds in enumerate(TURN_S):
            scale = dreamed[row, 1, :, 0] if self.real is None else self.real[row, 1]
            limit = max(ALIVE_SHARE * float(np.quantile(scale, 1 - MOST)), 1e-3)
            same, away = dreamed[row]
            ceiling = None
            if self.real is not None:
                ceiling = np.full(same.shape, np.nan)
                ceiling[:, 0] = (self.real[row, 0] >= SAME) & (self.real[row, 1] >= limit)
            definition = (
                f"after {REST_S:g} s of rest it turns to the right for {seconds:g} s, to the left for {seconds:g} s: "
                f"SSIM of the pictures before and after is at least {SAME:g}, and that in the middle had differed by "
                f"at least {ALIVE_SHARE * 100:g} % of what {MOST * 100:g} % of the players exceed "
                f"{'in the dream at the start' if self.real is None else 'in reality'}"
            )
            label = f"turning back after {seconds:g} s shows the same view"
            holds = ((same >= SAME) & (away >= limit)).astype(float)
            checks[f"turned_back_{seconds:g}s"] = Check(label, definition, holds, ceiling)
        return checks


def walls_solid(
    world: WorldModel,
    env: Environment,
    hands: Sequence[Hand],
    moments: Sequence[int],
    track: int,
    context: int,
    seed: int,
    quiet: bool = False,
) -> dict[str, Check]:
    """Check that dreams stand still where real players do who hold the key that walks straight on.

    moments: in frames ahead, in which the `track` steps before are looked at; hands: one for each player, of whom the
    first `MOST_WALKERS` walk. Nothing where no key walks on. Cost: so many steps up to the last moment, in both.
    """
    keys, n, k = turning(world.action_space), len(hands), len(moments)
    if keys is None or keys.forward is None:
        return {}
    looked = sorted({m - back for m in moments for back in range(track + 1)})
    actions = np.stack([keys.forward] * moments[-1])
    begun, motion = [], np.full((3, n, k), np.nan)  # of real pictures, of these encoded and decoded, of dreams
    rows = range(min(n, MOST_WALKERS))
    with Progress("into walls", len(rows), "players", quiet) as progress:
        for row in rows:
            one = drive(env, hands[row], hands[row], looked, len(actions), context, actions)
            shown = reconstruct(world, one.frames)
            for column, moment in enumerate(moments):
                at = one.rows(range(moment - track, moment + 1))
                if one.reached[at].all():
                    motion[0, row, column] = _motion(one.frames[at])
                    motion[1, row, column] = _motion(shown[at])
            begun.append((one.given, one.past))
            progress.update(row + 1)
    given, past = (np.stack(parts) for parts in zip(*begun, strict=True))
    motion[2, : len(begun)] = _walk_in_dream(world, given, past, actions, moments, track, seed)
    still = motion[0] <= STILL
    walking = motion[1][np.isfinite(motion[0]) & ~still]
    limit = max(
        float(np.quantile(motion[1][still], USUAL)) if still.any() else 0.0,
        CREEP * float(np.median(walking)) if len(walking) else 0.0,
    )
    definition = (
        f"it holds the key that walks on; counted where the real picture has stood still for {track} steps: the "
        f"dreamed one changes by at most {limit:.2f} grey levels from frame to frame, {CREEP * 100:g} % of what real "
        f"ones do that walk (encoded and decoded), or what {USUAL * 100:g} % of those that stand do. The first "
        f"{len(begun)} players"
    )
    holds = [np.where(still, (values <= limit).astype(float), np.nan) for values in (motion[2], motion[1])]
    return {"walls_solid": Check("walls are solid", definition, *holds)}


def _walk_in_dream(
    world: WorldModel,
    given: np.ndarray,
    past: np.ndarray,
    actions: np.ndarray,
    moments: Sequence[int],
    track: int,
    seed: int,
) -> np.ndarray:
    """Return the motion of n dreams that all take these actions, `[n, k]`; see `_motion`."""
    n = len(given)
    state = world.start(given, past, seed=[seed + row for row in range(n)])
    changes, before = {}, given[:, -1]
    looked = {m - back for m in moments for back in range(track + 1)}
    for t in range(1, moments[-1] + 1):
        step = world.step(state, np.stack([actions[t - 1]] * n), decode=False)
        if t in looked:
            now = world.decode(step.latent)
            changes[t] = difference(before, now)
            before = now
    steps = [range(moment - track + 1, moment + 1) for moment in moments]
    return np.stack([np.mean([changes[t] for t in some], axis=0) for some in steps], axis=1)


def _held(world: WorldModel, state: WorldState, action: np.ndarray, count: int) -> np.ndarray:
    """Take an action so many times in every row, and return the frames `[n, H, W, 3]` after it."""
    actions = np.stack([action] * state.batch)
    for _ in range(count):
        step = world.step(state, actions, decode=False)
    return world.decode(step.latent)


def _starts(seen: np.ndarray) -> range:
    """Rows in which the picture before a turn stands; its middle and its end follow."""
    return range(0, len(seen) - 1, 2)


def _turned(before: np.ndarray, away: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Return similarity of before and after, and difference of before and away: `[2, n]` of `[n, H, W, 3]`."""
    return np.stack([ssim(before, after), difference(before, away)])


def _motion(frames: np.ndarray) -> float:
    """Mean absolute difference from frame to frame of `[T, H, W, 3]`, in grey levels."""
    return float(difference(frames[:-1], frames[1:]).mean())
