"""The ledger: what training a world cost and what serving it costs, each figure with where it comes from.

    ledger = world_cost(worldling.load("pusht"), read_prices(), users=20, occupancy=0.2)

A figure is "measured" here, taken from a "report", the world's "card" or settings ("world") or the "price file",
"given" by whoever asks, or "assumed"; what is computed carries the origins of all it was computed from. What
nobody measured is None.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from worldling.checkpoint import read_json
from worldling.cost.prices import DeviceClass, Prices, check_number, is_number
from worldling.errors import ConfigError
from worldling.machine import hardware
from worldling.protocol import WorldModel, name_of
from worldling.timing.steps import BATCHES, time_world

HOURS_A_MONTH = 730.0
USERS, OCCUPANCY = 1, 0.1  # assumed where nobody says


@dataclass(frozen=True)
class Amount:
    """A figure: value (None: not known, `why` says so), unit, and the origins it rests on."""

    value: float | None
    unit: str
    origins: tuple[str, ...]
    why: str = "not measured"

    def plain(self) -> dict[str, Any]:
        """Return it as json values."""
        why = {"why": self.why} if self.value is None else {}
        return {"value": self.value, "unit": self.unit, "from": list(self.origins), **why}


def compute(unit: str, formula: Callable[..., float], *parts: Amount) -> Amount:
    """Return `formula` of the parts' values, with the origins of all; not known if one of them is not."""
    origins = tuple(dict.fromkeys(origin for part in parts for origin in part.origins))
    missing = next((part for part in parts if part.value is None), None)
    if missing is not None:
        return Amount(None, unit, origins, missing.why)
    return Amount(formula(*(part.value for part in parts)), unit, origins)


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
        if not is_number(self.occupancy.value) or not 0 < self.occupancy.value <= 1:
            got = repr(self.occupancy.value)
            raise ConfigError(f"`occupancy` must be above 0 and at most 1, got {got}. Use 0.1 for a tenth of the time.")


def check_users(users: Any) -> None:
    """Raise `ConfigError` unless `users` is a whole number of at least 1."""
    if not isinstance(users, int) or users < 1:
        raise ConfigError(f"`users` must be a whole number of at least 1, got {users!r}. Use 1.")


def asked(value: float | None, unit: str, otherwise: float, origin: str = "assumed") -> Amount:
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
) -> dict[str, Any]:
    """Return the ledger of `world`, as json values; see `ledger`.

    device_class: of this machine (None: by what it calls its chip), and of the one the world was trained on if that has the
    same chip or one that no class matches; report: a
    report.json with the suite `speed` (None: time the world here, with `batch` sessions at once); fps: of a session
    (None: the world's own). Raises `ConfigError` or `CheckpointError`. Cost: a few seconds, none with a report.
    """
    usage = Usage(
        asked(fps, "frames/s", world.config.fps, "world"),
        asked(users, "users", USERS),
        asked(occupancy, "share", OCCUPANCY),
    )
    if batch < 1 or (seconds is not None and seconds <= 0):
        raise ConfigError(f"`batch` and `seconds` must be above 0, got {batch} and {seconds}. Use 16 and 2.")
    name = name_of(world)
    timing = _reported(report, name) if report else vars(hardware(world.device))
    serving_on = prices.find(timing["device"], timing["cores"], device_class)
    trained = world.card.get("cost", {})
    training_on = None
    if trained.get("device"):
        chip = trained["device"], trained.get("threads", 1)
        elsewhere = None if chip[0] == timing["device"] else prices.match(*chip)
        training_on = elsewhere or prices.find(*chip, device_class)
    if not report:
        if not world.contexts:
            raise ConfigError("`world.contexts` must hold a clip to start from, got none. Train the world again.")
        count = world.config.context
        clips = [(c.frames[:count], c.actions[: count - 1]) for c in world.contexts]
        frames, actions = (np.stack(part) for part in zip(*clips))
        rows = time_world(world, frames, actions, sorted({1, batch}), seconds, quiet).rows
        timing = {**timing, "rows": [vars(row) for row in rows]}
    return ledger(name, world.card, timing, "report" if report else "measured", prices, training_on, serving_on, usage)


def ledger(
    name: str,
    card: dict[str, Any],
    timing: dict[str, Any],
    origin: str,
    prices: Prices,
    training_on: DeviceClass | None,
    serving_on: DeviceClass | None,
    usage: Usage,
) -> dict[str, Any]:
    """Write the ledger of a world: `{world, currency, prices, training, serving, month, sensitivity}`, as json values.

    card: the world's, whose `cost` training wrote; timing: as `time_world` gives it, its first row alone and its
    last in a batch; origin: of the timing; training_on, serving_on: device classes, None if the price file has
    none that matches. Amounts are `{value, unit, from}`, `why` if the value is None.

    Serving is what it costs while the machine is kept busy. The month is what it costs to keep machines ready day
    and night for `usage.users` sessions at once, whoever plays; its user-hours are those really played.
    """
    alone, batch = timing["rows"][0], timing["rows"][-1]
    price = _price(prices, serving_on, timing["device"])
    return {
        "world": name,
        "currency": prices.currency,
        "prices": _about(prices, training_on, serving_on),
        "training": _training(card, prices, training_on),
        "serving": {
            "device": timing["device"],
            "device_class": serving_on and serving_on.short,
            "price": price.plain(),
            "rows": [_serving(row, origin, price, usage.fps, prices.currency) for row in timing["rows"]],
        },
        **_month(batch, alone, origin, price, usage, prices),
    }


def _price(prices: Prices, device_class: DeviceClass | None, device: str) -> Amount:
    unit = f"{prices.currency}/h"
    if device_class is None:
        return Amount(None, unit, (), f"not priced: no device class matches {device!r}")
    return Amount(prices.per_hour(device_class), unit, (prices.basis(device_class),))


def _about(prices: Prices, *used: DeviceClass | None) -> dict[str, Any]:
    """Say where the prices of the classes that are used come from."""
    classes = {c.short: c for c in used if c is not None}
    return {"file": str(prices.path), "device_classes": {name: c.told() for name, c in classes.items()}}


def _training(card: dict[str, Any], prices: Prices, device_class: DeviceClass | None) -> dict[str, Any]:
    """Price what the card says of training: device-hours, cost and energy."""
    cost = card.get("cost", {})
    minutes = cost.get("minutes")
    known = isinstance(minutes, dict) and minutes and all(map(is_number, minutes.values()))
    joules = cost.get("energy_joules")
    hours = Amount(sum(minutes.values()) / 60 if known else None, "h", ("card",), "not in the world's card")
    price = _price(prices, device_class, str(cost.get("device")))
    return {
        "device": cost.get("device"),
        "device_class": device_class and device_class.short,
        "device_hours": hours.plain(),
        "price": price.plain(),
        "cost": compute(prices.currency, lambda h, p: h * p, hours, price).plain(),
        "energy": Amount(joules if is_number(joules) else None, "J", ("card",)).plain(),
    }


def _serving(row: dict[str, Any], origin: str, price: Amount, fps: Amount, currency: str) -> dict[str, Any]:
    """Price frames of one row of the timing, while the machine is kept busy."""
    rate = Amount(row["fps_p50"], "frames/s", (origin,))
    joules = Amount(row["joules_per_1000_frames"], "J", (origin,))
    return {
        "batch": row["batch"],
        "frames_per_second": rate.plain(),
        "p99": Amount(row["p99_ms"], "ms", (origin,)).plain(),
        "cost_per_1000_frames": compute(currency, lambda p, r: p / 3600 / r * 1000, price, rate).plain(),
        "energy_per_1000_frames": joules.plain(),
        "cost_per_user_hour": compute(currency, lambda p, r, f: p / r * f, price, rate, fps).plain(),
        "energy_per_user_hour": compute("J", lambda j, f: j / 1000 * f * 3600, joules, fps).plain(),
    }


def _month(
    batch: dict[str, Any], alone: dict[str, Any], origin: str, price: Amount, usage: Usage, prices: Prices
) -> dict[str, Any]:
    """Price a month of machines kept ready, at the occupancy and at others."""
    fps, users = usage.fps, usage.users
    best = max(batch, alone, key=lambda row: row["fps_p50"])
    rate = Amount(best["fps_p50"], "frames/s", (origin, "assumed"))
    joules = Amount(best["joules_per_1000_frames"], "J", (origin,))
    sessions = compute("sessions", lambda r, f: sessions_at_once(r, f, prices), rate, fps)
    if sessions_at_once(alone["fps_p50"], fps.value, prices) < 1:  # no batch makes one session faster
        sessions = Amount(None, "sessions", sessions.origins, f"too slow for {fps.value:g} frames a second")
    machines = compute("machines", lambda u, s: math.ceil(u / s), users, sessions)
    cost = compute(prices.currency, lambda m, p: m * p * HOURS_A_MONTH, machines, price)

    def at(occupancy: Amount) -> dict[str, Any]:
        hours = compute("h", lambda u, o: u * o * HOURS_A_MONTH, users, occupancy)
        return {
            "occupancy": occupancy.plain(),
            "user_hours": hours.plain(),
            "cost_per_user_hour": compute(prices.currency, lambda c, h: c / h, cost, hours).plain(),
            "cost_per_1000_frames": compute(
                prices.currency, lambda c, h, f: c / (h * f * 3.6), cost, hours, fps
            ).plain(),
            "energy": compute("J", lambda j, h, f: j / 1000 * h * f * 3600, joules, hours, fps).plain(),
        }

    share = usage.occupancy.value
    others = sorted({share / 2, share, min(1.0, 2 * share), 1.0})
    return {
        "month": {
            "hours": HOURS_A_MONTH,
            "users": users.plain(),
            "fps": fps.plain(),
            "planned_share": prices.assumptions.planned_share,
            "sessions_per_machine": sessions.plain(),
            "machines": machines.plain(),
            "cost": cost.plain(),
            **at(usage.occupancy),
        },
        "sensitivity": [
            at(Amount(o, "share", usage.occupancy.origins if o == share else ("assumed",))) for o in others
        ],
    }


def _reported(path: str | Path, world: str) -> dict[str, Any]:
    """Read what the suite `speed` wrote about `world`."""
    report = read_json(path, "a report.json of `worldling judge --suite speed`")
    timing = report.get("timing", {}).get("speed", {})
    rows, needed = timing.get("rows"), {"batch", "fps_p50", "p99_ms", "joules_per_1000_frames"}
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
    return timing
