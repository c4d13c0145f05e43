"""Clips of a chaotic environment: from each start the truth, another run, and perturbed copies, all steered alike.

    clips = make_clips("data/chaos", "worldling/Lorenz-v0", count=64)    # goes on where it was stopped; then opens it
    clips.frames(3, "truth"), clips.frames(3, "0.001")                   # uint8 [SHOWN + ahead, ...], [1 + ahead, ...]

Every kind of clip of a start goes through the same actions. "truth" is what happens; "other" began elsewhere long
before and so shares nothing but the actions; the numbers are the truth moved, in the last frame that is shown, by noise
of that share of its spread (`perturb`). The folder is an ordinary data set with one shard per start.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from worldling.data.dataset import DatasetMeta
from worldling.data.environment import Environment, open_environment
from worldling.data.store import DatasetWriter, open_dataset, read_meta
from worldling.errors import DatasetError
from worldling.judge.truth.processes import in_processes
from worldling.progress import Progress
from worldling.types import Episode

#: How far the copies are perturbed; the first is the ceiling that a world is measured by.
SHARES = (0.001, 0.01, 0.1)
KINDS = ("truth", "other", *map(str, SHARES))
SHOWN = 16  # true frames up to the start: more than a world is given
_LEAD_IN = 60  # steered frames before those, in which a run forgets how it began
_BLOCK = 3_000_000  # seeds: of no recording


@dataclass(frozen=True)
class System:
    """ahead: frames after the start; starts: how many at most; column: of the recorded state, where everything is."""

    ahead: int
    starts: int
    column: str


SYSTEMS = {
    "worldling/Cloth-v0": System(125, 64, "points"),
    "worldling/Lorenz-v0": System(220, 64, "point"),
    "worldling/Smoke-v0": System(
        80, 12, "field"
    ),  # PhiFlow makes three frames a second on a core: twenty minutes on two
}


class Clips:
    """Clips opened for reading. count: starts; system: which; dataset: where they lie."""

    def __init__(self, path: Path, env_id: str, count: int) -> None:
        self.dataset, self.count, self.env_id, self.system = open_dataset(path), count, env_id, SYSTEMS[env_id]
        at = {}
        for episode in range(len(self.dataset)):
            meta = self.dataset.episode_meta(episode)
            at[meta["worker"], KINDS[meta["number"]]] = episode
        self._at = at

    def frames(self, start: int, kind: str) -> np.ndarray:
        """Read a clip: uint8 `[T, H, W, 3]`, the truth with SHOWN frames up to the start, others with only that one."""
        return self.dataset.frames(self._at[start, kind])

    def actions(self, start: int) -> np.ndarray:
        """Read the actions of the truth: `[SHOWN - 1 + ahead, 2]`."""
        return self.dataset.actions(self._at[start, "truth"])

    def state(self, start: int, kind: str) -> np.ndarray:
        """Read where everything is from the start on: `[1 + ahead, ...]`."""
        return self.dataset.column(f"state/{self.system.column}", self._at[start, kind])[-1 - self.system.ahead :]

    def close(self) -> None:
        """Close the files."""
        self.dataset.close()


def make_clips(
    path: str | Path,
    env_id: str,
    count: int = 64,
    size_px: int = 64,
    seed: int = 0,
    workers: int = 2,
    quiet: bool = False,
) -> Clips:
    """Make what is missing of the clips of `env_id` in a folder of its own below `path`, and open them.

    The n-th start is the same however many there are (at most SYSTEMS says). Ctrl-C keeps all finished ones. Raises
    `EnvError` without the simulator, `DatasetError` if the folder holds something else.
    """
    name = env_id.partition("/")[2].partition("-")[0].lower()
    path = Path(path) / f"{name}-{size_px}-{seed}"
    env = open_environment(env_id, size_px)
    meta = DatasetMeta(
        env_id=env_id,
        size_px=size_px,
        action_space=env.action_space,
        fps=env.fps,
        policy="steering",
        seed=_BLOCK + seed,
        license=env.license,
    )
    env.close()
    count = min(count, SYSTEMS[env_id].starts)
    DatasetWriter(path, meta).close()  # dataset.json
    if read_meta(path) != meta:
        raise DatasetError(f"`{path}` must hold clips of {env_id}, got another data set. Choose another folder.")
    missing = [start for start in range(count) if not (path / f"shard-{start}-0000.h5").exists()]
    with Progress(f"simulating {name}", len(missing), "starts", quiet) as progress:
        for done, _ in enumerate(in_processes(_make, [(str(path), meta, start) for start in missing], workers), 1):
            progress.update(done)
    return Clips(path, env_id, count)


def _make(path: str, meta: DatasetMeta, start: int) -> None:
    """Simulate every kind of clip of one start and write them as one shard."""
    env = open_environment(meta.env_id, meta.size_px)
    try:
        episodes = play_start(env, meta.seed, start, SYSTEMS[meta.env_id].ahead)
    finally:
        env.close()
    writer = DatasetWriter(path, meta, start)
    for episode in episodes:
        writer.write(episode)
    writer.close()  # only now is there a shard, and the start counts as made


def play_start(env: Environment, seed: int, start: int, ahead: int) -> list[Episode]:
    """Play every kind of clip of one start, in the order of KINDS."""
    from worldling.scenes.chaos import steering

    raw = env.raw.unwrapped
    hand = steering(np.random.default_rng([seed, start]))
    actions = np.stack(list(islice(hand, _LEAD_IN + SHOWN - 1 + ahead)))
    before, shown, after = np.split(actions, [_LEAD_IN, _LEAD_IN + SHOWN - 1])
    first, second = (int(s) for s in np.random.SeedSequence([seed, start]).generate_state(2))

    def begin(number: int) -> None:
        env.reset(number)
        for action in before:
            raw.step(action)

    begin(first)
    truth = _Film(env).play(shown)
    now = raw.get_state()
    films = {"truth": truth.play(after)}
    begin(second)
    for action in shown:
        raw.step(action)
    films["other"] = _Film(env).play(after)
    for number, share in enumerate(SHARES):
        raw.set_state(now)
        raw.perturb(np.random.default_rng([seed, start, number]), share)
        films[str(share)] = _Film(env).play(after)
    return [films[kind].episode(first, number) for number, kind in enumerate(KINDS)]


class _Film:
    """Frames and states of an environment from now on."""

    def __init__(self, env: Environment) -> None:
        self.env = env
        self.actions: list[np.ndarray] = []
        self.frames: list[np.ndarray] = [env.raw.unwrapped.draw(env.size_px)]
        self.states: list[dict[str, np.ndarray]] = [env.state()]

    def play(self, actions: np.ndarray) -> _Film:
        for action in actions:
            self.frames.append(self.env.step(action).frame)
            self.states.append(self.env.state())
            self.actions.append(action)
        return self

    def episode(self, seed: int, number: int) -> Episode:
        none = np.zeros(len(self.actions))
        states = {name: np.stack([s[name] for s in self.states]) for name in self.states[0]}
        return Episode(
            np.stack(self.frames),
            np.stack(self.actions),
            none.astype(np.float32),
            none.astype(bool),
            none.astype(bool),
            states,
            {"seed": seed, "number": number, "cut": True},
        )
