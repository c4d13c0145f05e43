"""The scripted policies that record the data of the shipped worlds. They read the simulator's state.

worldling record gym_pusht/PushT-v0 --policy worldling.recipes.policies:pusht_pusher --out data/pusht
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from worldling.data.environment import Environment
from worldling.data.hands import Path, Piece, circle, curve, goal, rest, sweep_speed
from worldling.scenes.chaos import steering

Act = Callable[[np.ndarray, dict[str, Any]], Any]


def pong_follower(env: Environment, seed: int) -> Act:
    """Follow Pong's ball with the paddle; 30 % of the steps are a random one of rest, up and down."""
    rng = np.random.default_rng(seed)
    rest, up, down = 0, 2, 3  # ALE/Pong-v5 calls them NOOP, RIGHT and LEFT

    def act(frame: np.ndarray, info: dict[str, Any]) -> int:
        if rng.random() < 0.3:
            return int(rng.choice([rest, up, down]))
        ram = env.raw.unwrapped.ale.getRAM()
        ball, paddle = int(ram[54]), int(ram[51])  # heights; the ball's is 0 while there is none
        if ball == 0 or abs(ball - paddle - 8) <= 2:  # RAM counts the paddle from its top edge
            return rest
        return up if ball < paddle + 8 else down

    return act


def pusht_pusher(env: Environment, seed: int) -> Act:
    """Push the T about from all sides, with noise, idle walks and pauses between pushes.

    Actions are target positions of the agent on the 512 px board. Most stay within 150 px of the agent, where its
    spring-like controller is calm; the rest lie anywhere, as a hand on a pointer puts them.
    """
    rng = np.random.default_rng(seed)
    plan: list[tuple[np.ndarray, int]] = []  # waypoints and how many frames to spend at most on each
    reach = rng.uniform(60, 150)
    hand = False  # whether the target is a pointer's: put anywhere and left there, reached or not

    def next_plan(agent: np.ndarray, block: np.ndarray) -> None:
        nonlocal reach, hand
        hand = rng.random() < 0.15
        reach = rng.uniform(50, 150) if rng.random() < 0.85 else 1000.0
        kind = rng.random()
        if hand:
            reach = 1000.0
            plan.extend((rng.uniform(0, 512, 2), int(rng.integers(2, 20))) for _ in range(int(rng.integers(1, 4))))
        elif kind < 0.07:
            plan.append((rng.uniform(20, 492, 2), int(rng.integers(3, 15))))
        elif kind < 0.12:
            plan.append((agent.copy(), int(rng.integers(2, 8))))
        else:
            # Away from the middle a push is more likely to lead back to it, or the T ends up in a corner.
            inward = np.array([256.0, 256.0]) - block
            heading = rng.uniform(-math.pi, math.pi)
            if rng.random() < np.linalg.norm(inward) / 200:
                heading = math.atan2(inward[1], inward[0]) + rng.normal(0, 0.6)
            along = np.array([math.cos(heading), math.sin(heading)])
            aside = np.array([-along[1], along[0]]) * rng.uniform(-55, 55)  # off centre, so that it turns
            behind = block - along * rng.uniform(80, 110) + aside
            if np.dot(agent - block, along) > -30:  # on the wrong side: walk round the T, not through it
                side = np.sign(np.dot(agent - block, [-along[1], along[0]])) or 1.0
                plan.append((block + side * np.array([-along[1], along[0]]) * rng.uniform(95, 125), 12))
            plan.append((behind, 14))
            through = np.clip(block + along * rng.uniform(20, 160) + aside, 60, 452)
            plan.append((through, int(rng.integers(6, 18))))

    def act(frame: np.ndarray, info: dict[str, Any]) -> np.ndarray:
        raw = env.raw.unwrapped
        agent = np.array(raw.agent.position)
        block = np.array(raw.block.local_to_world(raw.block.center_of_gravity))
        if not plan:
            next_plan(agent, block)
        target, patience = plan[0]
        target = target if hand else np.clip(target, 15, 497)
        if patience <= 1 or (np.linalg.norm(target - agent) < 12 and not hand):
            plan.pop(0)
        else:
            plan[0] = (target, patience - 1)
        move = target - agent + rng.normal(0, 8, 2)
        speed = reach
        if np.linalg.norm(agent - block) < 110:
            # Pressed fast against a wall the T slips through it and hangs there for the rest of the episode;
            # creeping keeps that to 1 episode in 80 (of 240 played), stopping altogether to none but then
            # the T moves in a quarter of the frames only.
            vertices = [vertex for shape in raw.block.shapes for vertex in shape.get_vertices()]
            corners = [raw.block.local_to_world(vertex) for vertex in vertices]
            at_low, at_high = np.min(corners, axis=0) < 20, np.max(corners, axis=0) > 491
            if ((at_low & (agent > block) & (move < 0)) | (at_high & (agent < block) & (move > 0))).any():
                speed = 12.0
        move *= min(1.0, speed / (np.linalg.norm(move) + 1e-6))
        return np.clip(agent + move, 0, 512).astype(np.float32)

    return act


def pusht_free_hand(env: Environment, seed: int) -> Act:
    """Move Push-T's target as people move a pointer: sweeps, pushes, flicks, circles and rests, at any control rate.

    Speeds are log-uniform from 100 to 900 board units a second; six goals in ten lie near the T.
    """
    rng = np.random.default_rng(seed)
    raw, frame_number = env.raw.unwrapped, 0

    def draw(pointer: np.ndarray) -> list[Piece]:
        block = np.array(raw.block.local_to_world(raw.block.center_of_gravity))
        speed, kind = sweep_speed(rng), rng.random()
        if kind < 0.15:
            return [rest(pointer, rng.uniform(0.2, 1.0))]
        if kind < 0.25:
            return [rest(goal(rng, block), rng.uniform(0.2, 0.8))]  # a flick or a tap: the pointer is there at once
        if kind < 0.35:
            return circle(rng, pointer, goal(rng, block), speed)
        if kind >= 0.6:
            return [curve(rng, pointer, goal(rng, block), 0.6, speed)]
        # a push: from behind, through the T, off its centre so that it turns
        inward = np.array([256.0, 256.0]) - block
        heading = rng.uniform(-math.pi, math.pi)
        if rng.random() < np.linalg.norm(inward) / 200:
            heading = math.atan2(inward[1], inward[0]) + rng.normal(0, 0.6)
        along = np.array([math.cos(heading), math.sin(heading)])
        aside = np.array([-along[1], along[0]]) * rng.uniform(-60, 60)
        behind, through = block - along * rng.uniform(80, 120) + aside, block + along * rng.uniform(0, 160) + aside
        slow = min(speed, 80 * 5 ** rng.random())
        return [curve(rng, pointer, behind, 1.0, 500), curve(rng, behind, through, 0.1, slow)]

    path = Path(np.array(raw.agent.position), draw)

    def act(frame: np.ndarray, info: dict[str, Any]) -> np.ndarray:
        nonlocal frame_number
        frame_number += 1
        return np.clip(path.at(frame_number / env.fps), 0, 512).astype(np.float32)

    return act


def carracing_driver(env: Environment, seed: int) -> Act:
    """Drive along CarRacing's track at changing speeds, with steering noise and bursts of random actions."""
    rng = np.random.default_rng(seed)
    wanted_speed, drift, offset = 30.0, 0.0, 0.0
    burst, burst_left = np.zeros(3), 0

    def act(frame: np.ndarray, info: dict[str, Any]) -> np.ndarray:
        nonlocal wanted_speed, drift, offset, burst, burst_left
        raw = env.raw.unwrapped
        hull = raw.car.hull
        position = np.array(hull.position)
        speed = float(np.linalg.norm(hull.linearVelocity))
        if rng.random() < 0.02:
            wanted_speed = rng.uniform(0, 60)
            offset = rng.uniform(-4, 4)
        if burst_left == 0 and rng.random() < 0.01:
            burst_left = int(rng.integers(5, 25))
            burst = rng.uniform([-1, 0, 0], [1, 1, 0.9]) * rng.integers(0, 2, 3)
        drift = 0.9 * drift + rng.normal(0, 0.08)
        if burst_left > 0:
            burst_left -= 1
            return burst.astype(np.float32)
        track = np.asarray(raw.track)[:, 1:4]  # heading, x, y
        nearest = int(np.argmin(np.sum((track[:, 1:] - position) ** 2, axis=1)))
        ahead = track[(nearest + 3 + int(speed / 8)) % len(track)]
        target = ahead[1:] + offset * np.array([math.cos(ahead[0]), math.sin(ahead[0])])
        to_target = target - position
        error = math.atan2(to_target[1], to_target[0]) - (hull.angle + math.pi / 2)
        error = (error + math.pi) % (2 * math.pi) - math.pi
        steer = np.clip(-2.0 * error + drift, -1, 1)
        bend = abs((ahead[0] - track[nearest, 0] + math.pi) % (2 * math.pi) - math.pi)
        limit = min(wanted_speed, 70 - 60 * min(bend, 0.9))
        gas = np.clip((limit - speed) * 0.06, 0, 1) * rng.uniform(0.6, 1)
        brake = np.clip((speed - limit - 2) * 0.08, 0, 0.9)
        return np.array([steer, gas, brake], dtype=np.float32)

    return act


def scene_hand(env: Environment, seed: int) -> Act:
    """Push the red thing of a physics scene about: in bursts, with rests, and in four of ten episodes not at all.

    Pushes go anywhere, half of them toward yellow; what is never pushed shows how things go by themselves.
    """
    rng = np.random.default_rng(seed)
    if rng.random() < 0.4:
        return lambda frame, info: np.zeros(2, np.float32)
    push, left = np.zeros(2, np.float32), int(rng.integers(0, 12))

    def act(frame: np.ndarray, info: dict[str, Any]) -> np.ndarray:
        nonlocal push, left
        left -= 1
        if left < 0:
            left = int(rng.geometric(1 / 4))
            push = np.zeros(2, np.float32)
            if rng.random() < 0.65:
                trial = env.raw.unwrapped.trial
                way = (trial.patient_place() - trial.agent_place())[:2]
                angle = (
                    math.atan2(way[1], way[0]) + rng.normal(0, 0.5)
                    if rng.random() < 0.5
                    else rng.uniform(0, 2 * math.pi)
                )
                strength = rng.uniform(0.3, 1.0)
                push = np.array([strength * math.cos(angle), strength * math.sin(angle)], np.float32)
        return push

    return act


def steering_hand(env: Environment, seed: int) -> Act:
    """Steer a chaotic environment smoothly to ever new places, as the judge's clips are steered."""
    hand = steering(np.random.default_rng(seed))
    return lambda frame, info: next(hand)


def bricks_player(env: Environment, seed: int) -> Act:
    """Play Bricks as people do: foresee the ball or follow it, aim, miss it, rest, mash keys and hold one.

    Most of the time it plays, and changes its manner every one or two seconds. It wants to meet the ball at a place of
    the paddle that is drawn anew each time, one time in eight past its ends; while the ball rises it goes elsewhere.
    """
    rng = np.random.default_rng(seed)
    game = env.raw.unwrapped
    manner, frames_left, held, falling, aim, elsewhere = "foresee", 0, 0, False, 0.0, 32.0

    def target() -> float:
        """Say where the middle of the paddle should be."""
        (x, y), (right, down) = game.ball, game.velocity
        if game.floating or (not falling and manner == "foresee"):
            return elsewhere
        if falling and manner == "foresee":  # where it comes down, walls included, bricks not
            far = (x - 2.0 + right * max(0.0, 55.0 - y) / down) % 120.0
            x = 2.0 + min(far, 120.0 - far)
        return float(x - aim)

    def act(frame: np.ndarray, info: dict[str, Any]) -> int:
        nonlocal manner, frames_left, held, falling, aim, elsewhere
        if frames_left == 0:
            manner = str(rng.choice(["foresee", "follow", "rest", "mash", "hold"], p=[0.45, 0.25, 0.1, 0.12, 0.08]))
            frames_left, held = int(rng.integers(15, 70)) // (1 if manner in ("foresee", "follow") else 2), 0
        frames_left -= 1
        if game.ball is None or manner == "rest":
            return 0
        if manner in ("mash", "hold") or rng.random() < 0.05:
            if rng.random() < (0.02 if manner == "hold" else 0.3) or held == 0:
                held = int(rng.integers(3))
            return held
        if falling != (game.velocity[1] > 0):
            falling, aim, elsewhere = not falling, rng.normal(0, 5.8), rng.uniform(7.0, 57.0)
        speed = game.paddle_velocity
        off = target() - game.paddle - speed * abs(speed) / 1.2  # where it comes to rest by itself
        return 0 if abs(off) < 1.2 else 1 if off < 0 else 2

    return act
