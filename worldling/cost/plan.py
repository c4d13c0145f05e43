"""The plan for a target: which device class carries it, for how much, and what may be spread over loose machines.

It knows only what was measured and written into the price file; a class nobody measured is "not measured".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from worldling.cost.ledger import HOURS_A_MONTH, check_users, sessions_at_once
from worldling.cost.numbers import number, share
from worldling.cost.prices import DeviceClass, Prices, PriceSource, Throughput, TrainingRun, check_number
from worldling.dynamics.memory import Memory
from worldling.errors import CheckpointError
from worldling.report.values import named
from worldling.world_files import find_world, read_card, read_config

DEFAULT_SIZE = "s"  # of which is asked where nothing was measured at that resolution
ROUND_STEPS = 500  # between exchanges of low-communication training, as DiLoCo (arXiv 2311.08105) has it
Row = TypeVar("Row", Throughput, TrainingRun)


@dataclass(frozen=True)
class Target:
    """What is asked for.

    fps: frames per second of a session; users: sessions at once; size, size_px: of the networks and of the frames'
    side; train_frames: to train on, None if training is not asked about.
    """

    fps: float
    users: int
    size: str
    size_px: int
    train_frames: int | None


@dataclass(frozen=True)
class ServingPlan:
    """How a device class carries the target.

    carries: None if not measured; frames_per_second: of all sessions of a machine; cost_per_month: of all machines, in
    currency; origin: of the speed.
    """

    carries: bool | None
    frames_per_second: float | None
    sessions_per_machine: int | None
    machines: int | None
    cost_per_month: float | None
    origin: str = field(metadata=named("from"))


@dataclass(frozen=True)
class TrainingPlan:
    """What training once takes: hours, and cost in currency, None if not measured; origin: of the hours."""

    hours: float | None
    cost: float | None
    origin: str = field(metadata=named("from"))


@dataclass(frozen=True)
class ClassPlan:
    """What the target takes on one device class; per_hour: in currency."""

    device_class: str
    per_hour: float
    price: PriceSource
    serving: ServingPlan
    training: TrainingPlan


@dataclass(frozen=True)
class SpreadPart:
    """Whether machines joined by slow links may share a part of the work.

    spread: "yes", "no" or "not built"; bytes: that would have to move, None if not known; moves: what they are.
    """

    part: str
    spread: str
    bytes: float | None
    moves: str
    why: str


@dataclass(frozen=True)
class Plan:
    """What carries a target, and for how much.

    prices: path of the price file; answer: in words; measure: how to measure what is missing; assumptions: in words.
    """

    asked: Target
    currency: str
    prices: str
    answer: str
    device_classes: list[ClassPlan]
    measure: str
    assumptions: list[str]
    spread: list[SpreadPart]


@dataclass(frozen=True)
class WorldBytes:
    """How large a world is; None for what is not known.

    Bytes of its dynamics' parameters (fp32), of one session's state and of one latent; steps_a_second: in training the
    dynamics.
    """

    parameters: int | None = None
    state: int | None = None
    latent: int | None = None
    steps_a_second: float | None = None


def plan(
    prices: Prices, fps: float, users: int, size_px: int, train_frames: int | None = None, size: str | None = None
) -> Plan:
    """Say what carries `users` sessions at once of `fps` frames a second, and what training on `train_frames` costs.

    size_px: side of the frames; size: of the networks (None: one measured at that resolution). More users never cost
    less. Raises `ConfigError`.
    """
    check_number("fps", fps)
    check_users(users)
    check_number("size_px", size_px)
    if train_frames is not None:
        check_number("train_frames", train_frames)
    size = size or next((row.size for row in prices.throughput if row.size_px == size_px), DEFAULT_SIZE)
    asked = Target(fps=fps, users=users, size=size, size_px=size_px, train_frames=train_frames)
    classes = [
        ClassPlan(
            device_class=c.short,
            per_hour=prices.per_hour(c),
            price=c.price_source,
            serving=_serving(prices, c, asked),
            training=_training(prices, c, asked),
        )
        for c in prices.device_classes.values()
    ]
    return Plan(
        asked=asked,
        currency=prices.currency,
        prices=str(prices.path),
        answer=_answer(prices, asked, classes),
        device_classes=classes,
        measure="Run `worldling bench WORLD --batches 1,64` there, and add what it measures to a copy of "
        f"{prices.path} as a [[throughput]] of size {size} and {size_px} px.",
        assumptions=_assumptions(prices, asked),
        spread=spread(next((row.world for row in _of_size(prices.throughput, asked)), None), size_px),
    )


def spread(world: str | None, size_px: int) -> list[SpreadPart]:
    """Say of each part whether machines joined by slow links may share it, why, and the bytes that would have to move.

    world: a world of the size in question, whose files tell the bytes; None, or one that is not there: not known.
    """
    size = _sizes(world)
    frame, exchange, state, latent = size_px**2 * 3, size.parameters, size.state, size.latent
    step = None if exchange is None else 2 * exchange
    link = (
        ""
        if not size.steps_a_second or step is None
        else (
            f" At the {size.steps_a_second:.2g} steps a second of {world}'s card that is "
            f"{number(step * 8 * size.steps_a_second / 1e6)} Mbit/s, all the time, for each machine."
        )
    )
    back = "" if latent is None else f", {number(latent)} bytes a frame"
    parts = [
        (
            "training, gradients shared at every step",
            "no",
            step,
            "gradients there and back, every step",
            "every machine waits for the slowest link at every step." + link,
        ),
        (
            f"training, weights exchanged every {ROUND_STEPS} steps",
            "not built",
            step,
            f"weights there and back, every {ROUND_STEPS} steps",
            "slow links would carry it (DiLoCo, arXiv 2311.08105, did it for language models). Not built here, so not "
            "measured.",
        ),
        (
            "one fine-tuning",
            "no",
            step,
            "gradients there and back, every step",
            "it is training. Several, each whole on a machine of its own, need nothing from each other.",
        ),
        (
            "roll-outs (for agents and planners)",
            "yes",
            state,
            "a state, once a start; back come its latents" + back,
            "no roll-out needs another.",
        ),
        (
            "single scenes (recording)",
            "yes",
            frame,
            "a frame, before compression",
            "a scene needs only its seed; its frames come back.",
        ),
        (
            "judging",
            "yes",
            state,
            "a state, once a start",
            "starts are judged one by one and only then averaged. `worldling judge` runs on one machine: several would "
            "be several runs with other seeds.",
        ),
        (
            "one live session",
            "no",
            state,
            "its state, were it to move",
            "each frame needs the memory of the last ones; a slow link would be crossed every frame. Different "
            "sessions may lie on different machines.",
        ),
    ]
    return [SpreadPart(*part) for part in parts]


def _serving(prices: Prices, device_class: DeviceClass, asked: Target) -> ServingPlan:
    row, factor, origin = _measured(prices.throughput, prices, device_class, asked)
    if row is None:
        return ServingPlan(None, None, None, None, None, origin)
    # More cores hold more sessions; none of them is faster than it was.
    alone = row.fps_alone * min(1.0, factor)
    fps = max(alone, row.fps * factor)
    sessions = sessions_at_once(fps, asked.fps, prices)
    if sessions_at_once(alone, asked.fps, prices) < 1:
        return ServingPlan(False, fps, 0, None, None, f"{origin}: too slow for one session")
    machines = math.ceil(asked.users / sessions)
    return ServingPlan(
        carries=True,
        frames_per_second=fps,
        sessions_per_machine=sessions,
        machines=machines,
        cost_per_month=machines * HOURS_A_MONTH * prices.per_hour(device_class),
        origin=origin,
    )


def _training(prices: Prices, device_class: DeviceClass, asked: Target) -> TrainingPlan:
    frames = asked.train_frames
    if not frames:
        return TrainingPlan(None, None, "not asked")
    row, factor, origin = _measured(prices.training, prices, device_class, asked)
    if row is None:
        return TrainingPlan(None, None, origin)
    hours = row.minutes / 60 * frames / row.frames / min(1.0, factor)
    at_most = origin if origin == "measured" else f"at most; {origin}"
    return TrainingPlan(hours, hours * prices.per_hour(device_class), at_most)


def _measured(
    rows: tuple[Row, ...], prices: Prices, device_class: DeviceClass, asked: Target
) -> tuple[Row | None, float, str]:
    """Return the row that tells most about a class, the factor to take it by, and where both come from.

    A CPU that was not measured is taken for a measured one with other cores; a GPU for nothing.
    """
    fits = _of_size(rows, asked)
    own = [row for row in fits if row.device_class == device_class.short]
    if own:
        return _best(own, asked), 1.0, "measured"
    others = [row for row in fits if prices.device_classes[row.device_class].kind == device_class.kind == "cpu"]
    if not others:
        return None, 1.0, "not measured"
    row = _best(others, asked)
    more = device_class.cores / prices.device_classes[row.device_class].cores - 1
    return row, 1 + more * (prices.assumptions.core_scaling if more > 0 else 1.0), f"assumed, from {row.device_class}"


def _best(rows: list[Row], asked: Target) -> Row:
    """Return the fastest backend's row, or the training on about as many frames."""
    frames = asked.train_frames or 0
    return min(rows, key=lambda row: -row.fps if isinstance(row, Throughput) else abs(row.frames - frames))


def _of_size(rows: tuple[Row, ...], asked: Target) -> list[Row]:
    return [row for row in rows if (row.size, row.size_px) == (asked.size, asked.size_px)]


def _answer(prices: Prices, asked: Target, classes: Sequence[ClassPlan]) -> str:
    able = sorted((c for c in classes if c.serving.carries), key=lambda c: c.serving.cost_per_month or 0.0)
    measured = [c for c in able if c.serving.origin == "measured"]
    if able:
        said = [f"Measured, and carries it cheapest: {_offer(measured[0], prices)}."] if measured else []
        if able[0] not in measured:
            said.append(f"Cheapest if what is assumed holds: {_offer(able[0], prices)}.")
        return " ".join(said)
    if any(c.serving.carries is False for c in classes):
        rate = f"{asked.fps:g} frames per second"
        return f"Nothing that was measured surely makes {rate} for one session. Ask for fewer, or a smaller size."
    there = ", ".join(sorted({f"{row.size} at {row.size_px} px" for row in prices.throughput})) or "nothing"
    return f"No device class was measured with size {asked.size} at {asked.size_px} px. Measured: {there}."


def _offer(found: ClassPlan, prices: Prices) -> str:
    machines, cost_per_month = found.serving.machines or 0, found.serving.cost_per_month or 0.0
    count = f"{machines:,} machine{'s' * (machines > 1)}"
    cost = f"{number(cost_per_month)} {prices.currency} a month"
    return f"{found.device_class} ({found.price.about}), {count}, {cost}"


def _assumptions(prices: Prices, asked: Target) -> list[str]:
    given = prices.assumptions
    lines = [
        f"Assumed: {share(given.planned_share)} of the measured speed is counted on (on other days the same code ran "
        ".7 to 1.4 x as fast); sessions are stepped in batches, all at their frame rate; machines stay on for all "
        "of the month.",
        f"Assumed for CPUs that were not measured: each further core adds {share(given.core_scaling)} of one that was, "
        "whatever its make, as more sessions; no single session and no training gets faster.",
    ]
    if asked.train_frames:
        lines.append(
            "Assumed: training takes minutes in proportion to the frames recorded. The minutes measured are budgets "
            "that gave the quality in the README, not the least that would do."
        )
    trained = _of_size(prices.training, asked) if asked.train_frames else []
    rows: list[Throughput | TrainingRun] = [*_of_size(prices.throughput, asked), *trained]
    for row in rows:
        note = f" ({row.note})" if isinstance(row, Throughput) and row.note else ""
        lines.append(f"Measured on {row.device_class}, {row.date}: `{row.command}`{note}.")
    return list(dict.fromkeys(lines))


def _sizes(world: str | None) -> WorldBytes:
    """Read what a world's files tell of its size."""
    if not world:
        return WorldBytes()
    try:
        folder = find_world(world)
    except CheckpointError:  # a world measured elsewhere
        return WorldBytes()
    config, card = read_config(folder), read_card(folder)
    cost = card.get("cost", {})
    minutes, steps = (cost.get(name, {}).get("dynamics") for name in ("minutes", "steps"))
    parameters = card.get("parameters", {}).get("dynamics")
    return WorldBytes(
        parameters=None if parameters is None else 4 * parameters,
        state=sum(tensor.nbytes for tensor in Memory.empty(config.dynamics, 1).tensors),
        latent=config.dynamics.tokens * config.dynamics.channels,
        steps_a_second=steps / minutes / 60 if minutes and steps else None,
    )
