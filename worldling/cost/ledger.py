"""The ledger: what training a world cost and what serving it costs, each figure with where it comes from.

    ledger = world_cost(worldling.load("pusht"), read_prices(), users=20, occupancy=0.2)

A figure is "measured" here, taken from a "report", the world's "card" or settings ("world") or the "price file",
"given" by whoever asks, or "assumed"; what is computed carries the origins of all it was computed from. What
nobody measured is None.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from worldling.checkpoint import read_json
from worldling.cost.prices import DeviceClass, Prices, PriceSource, check_number, is_number
from worldling.errors import ConfigError
from worldling.machine import hardware
from worldling.protocol import WorldModel, name_of
from worldling.report.values import IF_KNOWN, named
from worldling.timing.steps import BATCHES, SpeedRow, time_world

HOURS_A_MONTH = 730.0
USERS, OCCUPANCY = 1, 0.1  # assumed where nobody says


@dataclass(frozen=True)
class Amount:
    """A figure: value (None: not known, `why` says so), unit, and the origins it rests on."""

    value: float | None
    unit: str
    origins: tuple[str, ...] = field(metadata=named("from"))
    why: str | None = field(default="not measured", metadata=IF_KNOWN)

    def __post_init__(self) -> None:
        if self.value is not None:
            object.__setattr__(self, "why", None)

    @property
    def known(self) -> float:
        """The value of an amount that is known."""
        assert self.value is not None, self.why
        return self.value


def compute(unit: str, formula: Callable[..., float], *parts: Amount) -> Amount:
    """Return `formula` of the parts' values, with the origins of all; not known if one of them is not."""
    origins = tuple(dict.fromkeys(origin for part in parts for origin in part.origins))
    missing = next((part for part in parts if part.value is None), None)
    if missing is not None:
        return Amount(None, unit, origins, missing.why)
    return Amount(formula(*(part.value for part in parts)), unit, origins)


@dataclass(frozen=True)
class PricesUsed:
    """The price file, and whose prices those of the device classes used are, by class."""

    file: str
    device_classes: dict[str, PriceSource]


@dataclass(frozen=True)
class TrainingRecord:
    """What a world's card says of its training.

    device: what it ran on; threads: of it; minutes: of all stages; joules: of all; None if the card does not say.
    """

    device: str | None
    threads: int
    minutes: float | None
    joules: float | None

    @classmethod
    def of(cls, card: Mapping[str, Any]) -> TrainingRecord:
        """Read the card of a world, JSON values."""
        cost = card.get("cost", {})
        minutes, joules = cost.get("minutes"), cost.get("energy_joules")
        known = isinstance(minutes, dict) and minutes and all(map(is_number, minutes.values()))
        return cls(
            cost.get("device"),
            cost.get("threads", 1),
            sum(minutes.values()) if known else None,
            joules if is_number(joules) else None,
        )


@dataclass(frozen=True)
class Training:
    """What training cost. device: what it ran on; device_class: its class in the price file, None if it has none.

    device_hours in h, price in currency/h, cost in currency, energy in J.
    """

    device: str | None
    device_class: str | None
    device_hours: Amount
    price: Amount
    cost: Amount
    energy: Amount


@dataclass(frozen=True)
class ServingRow:
    """What frames cost while the machine is kept busy with `batch` sessions.

    frames_per_second: of all sessions; p99: of a step, in ms; costs in currency, energy in J.
    """

    batch: int
    frames_per_second: Amount
    p99: Amount
    cost_per_1000_frames: Amount
    energy_per_1000_frames: Amount
    cost_per_user_hour: Amount
    energy_per_user_hour: Amount


@dataclass(frozen=True)
class Serving:
    """What serving costs on a device, by sessions in a batch; price in currency/h."""

    device: str
    device_class: str | None
    price: Amount
    rows: list[ServingRow]


@dataclass(frozen=True, kw_only=True)
class Occupied:
    """A month in which each user plays a share of the time (`occupancy`).

    user_hours: really played; cost_per_user_hour, cost_per_1000_frames: in currency; energy: of the frames, in J.
    """

    occupancy: Amount
    user_hours: Amount
    cost_per_user_hour: Amount
    cost_per_1000_frames: Amount
    energy: Amount


@dataclass(frozen=True, kw_only=True)
class Month(Occupied):
    """A month of machines kept ready, day and night.

    hours: of the month; users: for whom; fps: frames per second of each session; planned_share: of the measured speed
    that is counted on; cost: in currency.
    """

    hours: float
    users: Amount
    fps: Amount
    planned_share: float
    sessions_per_machine: Amount
    machines: Amount
    cost: Amount


@dataclass(frozen=True)
class Ledger:
    """What a world costs.

    Serving is what it costs while the machine is kept busy. The month is what it costs to keep machines ready day and
    night for `users` sessions at once, whoever plays; its user-hours are those really played. sensitivity: the same
    month at other occupancies.
    """

    world: str
    currency: str
    prices: PricesUsed
    training: Training
    serving: Serving
    month: Month
    sensitivity: list[Occupied]


@dataclass(frozen=True)
class Usage:
    """Who plays, and how much.

    fps: frames a second of one session; users: for whom machines are kept ready, all at once; occupancy: share
    of the month in which each of them really plays.
    """

    fps: Amount
    users: Amount
    occupancy: Amount

    def __post_init__(self) -> None:
        check_number("fps", self.fps.value)
        check_users(self.users.value)
        if not is_number(self.occupancy.value) or not 0 < self.occupancy.known <= 1:
            got = repr(self.occupancy.value)
            raise ConfigError(f"`occupancy` must be above 0 and at most 1, got {got}. Use 0.1 for a tenth of the time.")


def check_users(users: Any) -> None:
    """Raise `ConfigError` unless `users` is a whole number of at least 1."""
    if not isinstance(users, int) or users < 1:
        raise ConfigError(f"`users` must be a whole number of at least 1, got {users!r}. Use 1.")


def asked(value: float | None, unit: str, otherwise: float | None, origin: str = "assumed") -> Amount:
    """Return what was given, or else `otherwise` with its origin."""
    return Amount(otherwise, unit, (origin,)) if value is None else Amount(value, unit, ("given",))


def sessions_at_once(fps_all: float, fps: float, prices: Prices) -> int:
    """Return how many sessions of `fps` a machine that makes `fps_all` frames a second carries, with room to spare."""
    return math.floor(prices.assumptions.planned_share * fps_all / fps)


def world_cost(
    world: WorldModel,
    prices: Prices,
    device_class: str | None = None,
    report: str | Path | None = None,
    users: int | None = None,
    occupancy: float | None = None,
    fps: float | None = None,
    batch: int = BATCHES[-1],
    seconds: float | None = None,
    quiet: bool = True,
) -> Ledger:
    """Return the ledger of `world`.

    device_class: of this machine (None: by what it calls its chip), and of the one the world was trained on if that has
    the same chip or one that no class matches; report: a report.json with the suite `speed` (None: time the world here,
    with `batch` sessions at once); fps: of a session (None: the world's own). Raises `ConfigError` or
    `CheckpointError`. Cost: a few seconds, none with a report.
    """
    usage = Usage(
        asked(fps, "frames/s", world.config.fps, "world"),
        asked(users, "users", USERS),
        asked(occupancy, "share", OCCUPANCY),
    )
    if batch < 1 or (seconds is not None and seconds <= 0):
        raise ConfigError(f"`batch` and `seconds` must be above 0, got {batch} and {seconds}. Use 16 and 2.")
    name, record = name_of(world), TrainingRecord.of(world.card)
    rows: list[SpeedRow] = []
    on = hardware(world.device)
    device, cores = on.device, on.cores
    if report:
        device, cores, rows = _reported(report, name)
    serving_on = prices.find(device, cores, device_class)
    training_on = None
    if record.device:
        elsewhere = None if record.device == device else prices.match(record.device, record.threads)
        training_on = elsewhere or prices.find(record.device, record.threads, device_class)
    if not report:
        if not world.contexts:
            raise ConfigError("`world.contexts` must hold a clip to start from, got none. Train the world again.")
        count = world.config.context
        clips = [(c.frames[:count], c.actions[: count - 1]) for c in world.contexts]
        frames, actions = (np.stack(part) for part in zip(*clips, strict=True))
        rows = time_world(world, frames, actions, sorted({1, batch}), seconds, quiet).rows
    origin = "report" if report else "measured"
    return ledger(name, record, device, rows, origin, prices, training_on, serving_on, usage)


def ledger(
    name: str,
    record: TrainingRecord,
    device: str,
    rows: Sequence[SpeedRow],
    origin: str,
    prices: Prices,
    training_on: DeviceClass | None,
    serving_on: DeviceClass | None,
    usage: Usage,
) -> Ledger:
    """Write the ledger of a world.

    record: of its training; device: what it was timed on; rows: its speeds, the first alone and the last in a batch;
    origin: of these; training_on, serving_on: device classes, None if the price file has none that matches.
    """
    price = price_of(prices, serving_on, device)
    month, sensitivity = _months(rows[-1], rows[0], origin, price, usage, prices)
    used = {c.short: c.price_source for c in (training_on, serving_on) if c is not None}
    return Ledger(
        world=name,
        currency=prices.currency,
        prices=PricesUsed(str(prices.path), used),
        training=_training(record, prices, training_on),
        serving=Serving(
            device=device,
            device_class=_short(serving_on),
            price=price,
            rows=[serving_row(row, origin, price, usage.fps, prices.currency) for row in rows],
        ),
        month=month,
        sensitivity=sensitivity,
    )


def _short(device_class: DeviceClass | None) -> str | None:
    return None if device_class is None else device_class.short


def price_of(prices: Prices, device_class: DeviceClass | None, device: str) -> Amount:
    """Return the price of an hour of a device class; of no value, and why, if hardware `device` belongs to none."""
    unit = f"{prices.currency}/h"
    if device_class is None:
        return Amount(None, unit, (), f"not priced: no device class matches {device!r}")
    return Amount(prices.per_hour(device_class), unit, (prices.basis(device_class),))


def _training(record: TrainingRecord, prices: Prices, device_class: DeviceClass | None) -> Training:
    """Price what the card says of training."""
    hours = Amount(None if record.minutes is None else record.minutes / 60, "h", ("card",), "not in the world's card")
    price = price_of(prices, device_class, str(record.device))
    return Training(
        device=record.device,
        device_class=_short(device_class),
        device_hours=hours,
        price=price,
        cost=compute(prices.currency, lambda h, p: h * p, hours, price),
        energy=Amount(record.joules, "J", ("card",)),
    )


def serving_row(row: SpeedRow, origin: str, price: Amount, fps: Amount, currency: str) -> ServingRow:
    """Price frames of one row of the timing, while the machine is kept busy."""
    rate = Amount(row.fps_p50, "frames/s", (origin,))
    joules = Amount(row.joules_per_1000_frames, "J", (origin,))
    return ServingRow(
        batch=row.batch,
        frames_per_second=rate,
        p99=Amount(row.p99_ms, "ms", (origin,)),
        cost_per_1000_frames=compute(currency, lambda p, r: p / 3600 / r * 1000, price, rate),
        energy_per_1000_frames=joules,
        cost_per_user_hour=compute(currency, lambda p, r, f: p / r * f, price, rate, fps),
        energy_per_user_hour=compute("J", lambda j, f: j / 1000 * f * 3600, joules, fps),
    )


def _months(
    batch: SpeedRow, alone: SpeedRow, origin: str, price: Amount, usage: Usage, prices: Prices
) -> tuple[Month, list[Occupied]]:
    """Price a month of machines kept ready, at the occupancy and at others."""
    fps, users = usage.fps, usage.users
    best = max(batch, alone, key=lambda row: row.fps_p50)
    rate = Amount(best.fps_p50, "frames/s", (origin, "assumed"))
    joules = Amount(best.joules_per_1000_frames, "J", (origin,))
    sessions = compute("sessions", lambda r, f: sessions_at_once(r, f, prices), rate, fps)
    if sessions_at_once(alone.fps_p50, fps.known, prices) < 1:  # no batch makes one session faster
        sessions = Amount(None, "sessions", sessions.origins, f"too slow for {fps.value:g} frames per second")
    machines = compute("machines", lambda u, s: math.ceil(u / s), users, sessions)
    cost = compute(prices.currency, lambda m, p: m * p * HOURS_A_MONTH, machines, price)

    def at(occupancy: Amount) -> Occupied:
        hours = compute("h", lambda u, o: u * o * HOURS_A_MONTH, users, occupancy)
        return Occupied(
            occupancy=occupancy,
            user_hours=hours,
            cost_per_user_hour=compute(prices.currency, lambda c, h: c / h, cost, hours),
            cost_per_1000_frames=compute(prices.currency, lambda c, h, f: c / (h * f * 3.6), cost, hours, fps),
            energy=compute("J", lambda j, h, f: j / 1000 * h * f * 3600, joules, hours, fps),
        )

    share = usage.occupancy.known
    others = sorted({share / 2, share, min(1.0, 2 * share), 1.0})
    month = Month(
        **vars(at(usage.occupancy)),
        hours=HOURS_A_MONTH,
        users=users,
        fps=fps,
        planned_share=prices.assumptions.planned_share,
        sessions_per_machine=sessions,
        machines=machines,
        cost=cost,
    )
    return month, [at(Amount(o, "share", usage.occupancy.origins if o == share else ("assumed",))) for o in others]


def _reported(path: str | Path, world: str) -> tuple[str, int, list[SpeedRow]]:
    """Read what the suite `speed` wrote about `world`: the device, its cores, and the rows."""
    report = read_json(path, "a report.json of `worldling judge --suite speed`")
    timing = report.get("timing", {}).get("speed", {})
    rows, needed = timing.get("rows"), {field.name for field in fields(SpeedRow)}
    if not rows or not {"device", "cores"} <= set(timing) or not all(needed <= set(row) for row in rows):
        suites = ", ".join(report.get("suites", {})) or "no suite"
        raise ConfigError(
            f"`report` must hold the suite speed, got {suites} in {path}. Run worldling judge with --suite speed."
        )
    judged = report.get("about", {}).get("world")
    if judged != world:
        raise ConfigError(
            f"`report` must be of the world {world}, got one of {judged} in {path}. Judge {world} with --suite speed."
        )
    return timing["device"], timing["cores"], [SpeedRow(**{name: row[name] for name in needed}) for row in rows]
