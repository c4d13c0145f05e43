"""Long true episodes of the physics scenes under random pushes, drawn only where they are looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from worldling.judge.truth.exam import ENV_ID, running
from worldling.judge.truth.processes import in_processes
from worldling.progress import Progress

if TYPE_CHECKING:
    from worldling.scenes.env import SceneEnv

#: Pushes like those of the recordings: bursts of this mean length in frames, this share of them pushes, this strong.
BURST, PUSHED, STRENGTH = 4, 0.65, (0.3, 1.0)
#: How much the velocities of a perturbed simulation differ (standard deviation, share).
PERTURBATION = 1e-3


@dataclass(frozen=True)
class Play:
    """One episode to be played.

    actions `[T, 2]`: action t leads from frame t to t + 1; looked: the frames that are drawn; marked: those in which
    the simulator is also asked what is seen; perturbed_at: the frame in which all velocities are changed a little, or
    None.
    """

    scenario: str
    geometry: int
    motion: int
    actions: np.ndarray
    looked: tuple[int, ...]
    marked: tuple[int, ...] = ()
    perturbed_at: int | None = None

    def perturbed(self, frame: int, last: int) -> Play:
        """Return the same episode up to frame `last`, perturbed in `frame`, and the simulator not asked."""
        return replace(
            self,
            actions=self.actions[:last],
            looked=tuple(t for t in self.looked if t <= last),
            marked=(),
            perturbed_at=frame,
        )

    def under_other_pushes(self, frame: int, last: int) -> Play:
        """Return the same episode up to frame `last`, with other pushes from `frame` on, the simulator not asked."""
        others = pushes(np.random.default_rng([self.geometry, self.motion]), last - frame)
        actions = np.concatenate([self.actions[:frame], others])
        return replace(self.perturbed(frame, last), actions=actions, perturbed_at=None)


@dataclass(frozen=True)
class Film:
    """What was drawn of an episode, and what the simulator said.

    frames uint8 `[looked, H, W, 3]`; seen `[marked, 2, 3]`: centre (x, y) and area of red and of yellow in shares of
    the picture (NaN and 0 if hidden); energy `[marked]`: joules, kinetic and potential.
    """

    frames: np.ndarray
    seen: np.ndarray
    energy: np.ndarray


def draw_play(scenario: str, seed: Sequence[int], looked: Sequence[int], marked: Sequence[int] = ()) -> Play:
    """Draw an episode that ends with the last frame looked at. The same seed draws the same.

    looked, marked: frames, ascending.
    """
    from worldling.scenes import SCENARIOS

    rng = np.random.default_rng([*seed, SCENARIOS.index(scenario)])
    geometry, motion = (int(rng.integers(2**62)) for _ in range(2))
    return Play(scenario, geometry, motion, pushes(rng, looked[-1]), tuple(looked), tuple(marked))


def pushes(rng: np.random.Generator, steps: int) -> np.ndarray:
    """Draw bursts of pushes in any direction, and rests between them: float32 `[steps, 2]`."""
    actions, at = np.zeros((steps, 2), np.float32), 0
    while at < steps:
        stop = at + int(rng.geometric(1 / BURST))
        if rng.random() < PUSHED:
            angle, strength = rng.uniform(0, 2 * np.pi), rng.uniform(*STRENGTH)
            actions[at:stop] = strength * np.cos(angle), strength * np.sin(angle)
        at = stop
    return actions


def film_all(plays: Sequence[Play], size_px: int, workers: int = 2, quiet: bool = False) -> list[Film]:
    """Film every play, in several processes if `workers` is more than 1; the films come in the order of the plays."""
    # The slow cloth first, so that all processes end together.
    order = sorted(range(len(plays)), key=lambda i: (plays[i].scenario != "drape", -len(plays[i].actions)))
    films: dict[int, Film] = {}
    with Progress("true episodes", len(plays), "episodes", quiet) as progress:
        for number, film in in_processes(film_play, [(plays[i], size_px) for i in order], workers):
            films[order[number]] = film
            progress.update(len(films))
    return [films[i] for i in range(len(plays))]


def film_play(play: Play, size_px: int) -> Film:
    """Film one play. Cost: 0.8 ms a frame (cloth 12), and 3 ms for each that is drawn at 64 px."""
    from worldling.data.environment import open_environment

    env = open_environment(ENV_ID, size_px, env_kwargs={"obs_type": "state"})
    try:
        return _film(env.raw.unwrapped, play, size_px)
    finally:
        env.close()


def _film(env: SceneEnv, play: Play, size_px: int) -> Film:
    env.reset(seed=0, options={"scenario": play.scenario, "geometry": play.geometry, "motion": play.motion})
    trial, looked, marked = running(env), set(play.looked), set(play.marked)
    frames, seen, energy = [], [], []
    for t in range(len(play.actions) + 1):
        if t == play.perturbed_at:
            trial.perturb(np.random.default_rng([play.geometry, play.motion]), PERTURBATION)
        if t in looked:
            frames.append(env.draw(size_px))
        if t in marked:
            record = env.record()
            seen.append([record["agent_seen"], record["patient_seen"]])
            energy.append(record["energy"])
        if t < len(play.actions):
            trial.advance(play.actions[t])
    return Film(np.stack(frames), np.array(seen, np.float32).reshape(-1, 2, 3), np.array(energy, np.float32))
