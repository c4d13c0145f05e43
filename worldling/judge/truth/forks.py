"""Forks: moments of a physics trial at which it goes on in five ways, drawn by the simulator from the very same state.

Red is not pushed until then. In the first future it never is; in the other four it is pushed right, away, left or
toward the camera (all turned by the same small angle), at the same moments, in bursts as in the training data.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from worldling.data.environment import open_environment
from worldling.judge.truth.exam import ENV_ID, running

if TYPE_CHECKING:
    from worldling.scenes.env import SceneEnv

#: The simulator's state, as `SceneEnv.get_state` gives it.
SceneState = dict[str, object]
ANSWERS = ("none", "right", "away", "left", "toward")
#: Frames of a future before the push begins (at most), and frames from then on that are judged.
LATEST, JUDGED = 2, 8
HORIZON = LATEST + JUDGED
#: Frames of the trial after which it may fork (first and last).
STARTS = (4, 8)
#: The first burst lasts at least so many frames: those that inverse dynamics looks at. In .2 s it tells six in ten real
#: pushes rightly, in .4 s seven: what red does by itself (bounces, slides, falls) is for a moment as strong as a push.
FIRST_BURST = 5
#: The four pushed futures must leave red at least this far from each other: a share of the tray's width.
APART = 0.03
_BLOCK = 2_000_000  # seeds of forks: [seed, scene, _BLOCK + number]
_BURST, _PUSHED, _TURN = 4, 0.65, 20.0  # frames, share of later bursts that push, degrees
_STRENGTH = (0.5, 1.0)  # of pushes: what rests slides at about .33


@dataclass(frozen=True)
class Fork:
    """One fork.

    shown uint8 `[S, H, W, 3]`: the last S frames before it, unpushed; onset: frames of the futures before
    the push; actions float32 `[5, HORIZON, 2]` and truth uint8 `[5, HORIZON, H, W, 3]`, in the order of ANSWERS;
    state: the simulator's, of the last frame shown; tried: forks drawn until this one's futures lay apart.
    """

    shown: np.ndarray
    onset: int
    actions: np.ndarray
    truth: np.ndarray
    state: SceneState
    tried: int


def fork_scene(scenario: str, count: int, anchored: int, size_px: int, seed: int = 0) -> tuple[list[Fork], np.ndarray]:
    """Make the first `count` forks of a scene in an environment of their own.

    Also returned are the perturbed simulator's futures of the first `anchored`, uint8
    `[anchored, 5, HORIZON, H, W, 3]`.
    """
    env = open_environment(ENV_ID, size_px, env_kwargs={"obs_type": "state"})
    try:
        scene = env.raw.unwrapped
        forks = make_forks(scene, scenario, range(count), size_px, seed)
        return forks, np.stack(
            [_perturbed(scene, fork, size_px, [seed, row]) for row, fork in enumerate(forks[:anchored])]
        )
    finally:
        env.close()


def make_forks(env: SceneEnv, scenario: str, numbers: Iterable[int], size_px: int, seed: int = 0) -> list[Fork]:
    """Make the forks of these numbers; env: a `SceneEnv`. The same seed and number make the same fork.

    Cost: about 56 frames drawn per fork, 0.2 s on one core (cloth 1 s).
    """
    return [_make_fork(env, scenario, number, size_px, seed) for number in numbers]


def play(
    env: SceneEnv, state: SceneState, actions: np.ndarray, size_px: int, generator: np.random.Generator | None = None
) -> np.ndarray:
    """Go on from `state` under actions `[T, 2]` and return frames uint8 `[T, size_px, size_px, 3]`.

    generator: first perturb every velocity by the share `NOISE` of the scenes' labels.
    """
    from worldling.scenes.labels import NOISE

    env.set_state(state)
    trial = running(env)
    if generator is not None:
        trial.perturb(generator, NOISE)
    frames = []
    for action in actions:
        trial.advance(action)
        frames.append(env.draw(size_px))
    return np.stack(frames)


def draw_pushes(rng: np.random.Generator) -> tuple[int, np.ndarray]:
    """Draw the frame at which the pushes begin, and the pushes: actions `[5, HORIZON, 2]`."""
    onset = int(rng.integers(LATEST + 1))
    angles = math.radians(rng.uniform(-_TURN, _TURN)) + np.pi / 2 * np.arange(4)
    ways = np.stack([np.cos(angles), np.sin(angles)], 1)
    actions, at = np.zeros((len(ANSWERS), HORIZON, 2), np.float32), onset
    while at < HORIZON:
        first = at == onset
        length = max(int(rng.geometric(1 / _BURST)), FIRST_BURST if first else 1)
        if first or rng.random() < _PUSHED:
            actions[1:, at : at + length] = (rng.uniform(*_STRENGTH, (4, 1)) * ways)[:, None]
        at += length
    return onset, actions


def checksum(forks: Iterable[Fork]) -> str:
    """Return sha256 of the seeds, moments and actions of these forks."""
    total = hashlib.sha256()
    for fork in forks:
        total.update(f"{fork.state['seed']} {fork.state['frame']} {fork.onset} ".encode())
        total.update(fork.actions.tobytes())
    return total.hexdigest()


def _perturbed(env: SceneEnv, fork: Fork, size_px: int, seed: Sequence[int]) -> np.ndarray:
    """Play the five futures of a fork from all but the same state: uint8 `[5, HORIZON, H, W, 3]`."""
    return np.stack(
        [
            play(env, fork.state, actions, size_px, np.random.default_rng([*seed, answer]))
            for answer, actions in enumerate(fork.actions)
        ]
    )


def _make_fork(env: SceneEnv, scenario: str, number: int, size_px: int, seed: int) -> Fork:
    from worldling.scenes import SCENARIOS
    from worldling.scenes.labels import OBSERVED

    rng = np.random.default_rng([seed, SCENARIOS.index(scenario), _BLOCK + number])
    for tried in itertools.count(1):
        geometry, motion = (int(rng.integers(2**62)) for _ in range(2))
        start = int(rng.integers(STARTS[0], STARTS[1] + 1))
        onset, actions = draw_pushes(rng)
        env.reset(options={"scenario": scenario, "geometry": geometry, "motion": motion})
        trial, shown = running(env), []
        for frame in range(start + 1):
            if frame:
                trial.advance()
            if frame > start - OBSERVED:
                shown.append(env.draw(size_px))
        state = env.get_state()
        if _apart(env, state, actions[1:]):
            truth = np.stack([play(env, state, a, size_px) for a in actions])
            return Fork(np.stack(shown), onset, actions, truth, state, tried)
    raise AssertionError("some moment is always found")


def _apart(env: SceneEnv, state: SceneState, actions: np.ndarray) -> bool:
    """Say whether red ends in places that lie apart, whichever of the actions `[n, T, 2]` are taken."""
    from worldling.scenes.mjcf import TRAY_X

    ends = []
    for sequence in actions:
        env.set_state(state)
        trial = running(env)
        for action in sequence:
            trial.advance(action)
        ends.append(trial.agent_place())
    between = np.linalg.norm(np.subtract(ends, np.expand_dims(ends, 1)), axis=-1)
    return bool(between[np.triu_indices(len(ends), 1)].min() > APART * 2 * TRAY_X)
