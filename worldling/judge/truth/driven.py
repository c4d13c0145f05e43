"""The real environment driven by scripted hands, drawn only where it is looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from worldling.data.card_environment import check_card_environment
from worldling.data.environment import Environment, open_environment
from worldling.data.fit import fit_of
from worldling.data.hands import is_pointer, play_hand
from worldling.errors import EnvError
from worldling.judge.readers.pusht import centre_of
from worldling.judge.readers.reader import State
from worldling.progress import Progress
from worldling.protocol import WorldModel

#: Seconds that a hand drives before the world is shown anything: CarRacing's camera comes down in the first seconds,
#: and Bricks serves the first ball, at an angle that is chance.
LEAD_S = {"carracing": 3.0, "worldling/bricks": 1.2}


@dataclass(frozen=True)
class Hand:
    """One scripted player: the kind of hand, and the seed of the hand and of its episode."""

    kind: str
    seed: tuple[int, ...]

    @property
    def episode_seed(self) -> int:
        """The seed of its episode, which no recording has but by chance."""
        return int(np.random.SeedSequence([*self.seed, 77]).generate_state(1)[0] >> 1)


@dataclass(frozen=True)
class Driven:
    """One episode under a hand; k frames ahead are looked at.

    looked: the k frames ahead that were looked at, ascending; given: frames uint8 `[context, H, W, 3]`; past
    `[context - 1, ...]`, actions `[T, ...]`: raw actions between them, and after them; frames uint8 `[k, H, W, 3]`:
    where looked at; state `[looked[-1] + 1, ...]`: of the engine, from the last frame given on; reached bool `[k]`: the
    episode had not ended yet (what is behind its end is the last frame).
    """

    looked: tuple[int, ...]
    given: np.ndarray
    past: np.ndarray
    actions: np.ndarray
    frames: np.ndarray
    state: State
    reached: np.ndarray

    def rows(self, ahead: Sequence[int]) -> list[int]:
        """Say where in `frames` and `reached` some frames ahead lie, all of them looked at."""
        return [self.looked.index(frame) for frame in ahead]


def open_card_environment(world: WorldModel) -> Environment:
    """Open the environment that the world's card names, if Worldling knows it.

    Raises `EnvError` if it does not, if it is not installed, or has other actions than the world.
    """
    source = world.card.get("source", {})
    check_card_environment(source)
    fitted = fit_of(source, world.size_px)
    environment = open_environment(
        source["env_id"], fitted.box or fitted.side, source.get("frame_skip"), source.get("env_kwargs", {}), fitted.kind
    )
    if not world.action_space.same_actions(environment.action_space):
        environment.close()
        raise EnvError(f"`env_id` must have the world's actions, got others from {source['env_id']}. Use other data.")
    return environment


def drive_all(
    env: Environment,
    hands: Sequence[Hand],
    looked: Sequence[Sequence[int]],
    num_actions: int,
    context: int,
    quiet: bool = False,
) -> list[Driven]:
    """Drive an environment by every hand, for as many actions as the last frame looked at; `num_actions` are returned.

    looked: for each hand, the frames ahead that are drawn, ascending, from 0 on.
    """
    driven = []
    with Progress("real environment", len(hands), "players", quiet) as progress:
        for hand, frames in zip(hands, looked, strict=True):
            driven.append(drive(env, hand, hand, frames, num_actions, context))
            progress.update(len(driven))
    return driven


def drive_others(
    env: Environment, hands: Sequence[Hand], others: Sequence[Hand], ahead: int, context: int, quiet: bool = False
) -> np.ndarray:
    """Begin the episodes of `hands`, go on with `others`, and return frames `[n, H, W, 3]` so many actions ahead."""
    frames = []
    with Progress("other hands", len(hands), "players", quiet) as progress:
        for hand, other in zip(hands, others, strict=True):
            frames.append(drive(env, hand, other, (ahead,), ahead, context).frames[0])
            progress.update(len(frames))
    return np.stack(frames)


def drive(
    env: Environment, begun_by: Hand, hand: Hand, looked: Sequence[int], num_actions: int, context: int
) -> Driven:
    """Drive one episode, begun by one hand and continued by another or the same."""
    space, fps = env.action_space, env.fps
    drawn = env.reset(begun_by.episode_seed)
    first = env.state()
    lead_s = next((s for name, s in LEAD_S.items() if name in env.env_id.lower()), 0.0)
    lead = max(context - 1, round(lead_s * fps))
    times = np.arange(lead + num_actions) / fps
    if is_pointer(space):  # it waits where the agent is, and begins with the world
        start, near = first.get("agent_pos"), of_interest(first)
        waiting = np.clip(start, space.low, space.high) if start is not None else np.add(space.low, space.high) / 2
        after = play_hand(space, hand.kind, list(hand.seed), times[1 : num_actions + 1], waiting, near)
        actions = np.concatenate([np.tile(waiting.astype(np.float32), (lead, 1)), after])
    elif space.kind == "none":
        actions = np.zeros((lead + num_actions, 0), np.float32)
    else:
        before = play_hand(space, begun_by.kind, list(begun_by.seed), times[:lead])
        actions = np.concatenate([before, play_hand(space, hand.kind, list(hand.seed), times)[lead:]])
    given, shown, states, reached, over = [drawn], [], [], [], False
    wanted = set(looked)
    for t in range(lead + 1 + max(wanted)):
        if t > 0:
            if not over:
                over = env.advance(actions[t - 1])[1]
            if t >= lead - context + 1 and (t <= lead or t - lead in wanted):
                drawn = env.draw()
        if lead - context + 1 <= t <= lead:
            given.append(drawn)
        if t >= lead:
            states.append(env.state())
        if t - lead in wanted:
            shown.append(drawn)
            reached.append(not over)
    return Driven(
        looked=tuple(looked),
        given=np.stack(given[-context:]),
        past=actions[lead - context + 1 : lead],
        actions=actions[lead:],
        frames=np.stack(shown),
        state={name: np.stack([state[name] for state in states]) for name in states[0]},
        reached=np.array(reached),
    )


def of_interest(state: State) -> np.ndarray | None:
    """Where the thing is that a pointer pushes about, of the engine's state in one frame; None if it does not tell."""
    return centre_of(state["block_pose"][None])[0] if "block_pose" in state else None
