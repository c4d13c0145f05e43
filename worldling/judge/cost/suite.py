"""The cost suite: the ledger of the judged world at the bundled prices; `worldling cost` takes others."""

from __future__ import annotations

from dataclasses import dataclass, field

from worldling.cost.ledger import (
    OCCUPANCY,
    USERS,
    Amount,
    Ledger,
    Month,
    Occupied,
    PricesUsed,
    Serving,
    Training,
    TrainingRecord,
    Usage,
    asked,
    ledger,
)
from worldling.cost.prices import read_prices
from worldling.judge.case import Case
from worldling.judge.results import SuiteResult
from worldling.machine import hardware
from worldling.protocol import name_of
from worldling.report.values import HIDDEN


@dataclass(frozen=True)
class CostTiming:
    """The parts of the ledger that rest on speeds timed here: see `Ledger`."""

    prices: PricesUsed
    serving: Serving
    month: Month
    sensitivity: list[Occupied]


@dataclass(frozen=True, kw_only=True)
class CostResult(SuiteResult):
    """What the world cost to train, the same for every judgement; what serving it costs is timing.

    currency: of all amounts; ledger: the whole.
    """

    currency: str
    training: Training
    timing: CostTiming = field(metadata=HIDDEN)
    ledger: Ledger = field(metadata=HIDDEN)


def run(case: Case) -> CostResult:
    """Write the judged world's ledger. Cost: a few seconds."""
    prices, record, on = read_prices(), TrainingRecord.of(case.world.card), hardware(case.world.device)
    rows = case.speed.rows
    usage = Usage(
        Amount(case.fps, "frames/s", ("world",)), asked(None, "users", USERS), asked(None, "share", OCCUPANCY)
    )
    found = ledger(
        name_of(case.world),
        record,
        on.device,
        rows,
        "measured",
        prices,
        prices.match(str(record.device), record.threads),
        prices.match(on.device, on.cores),
        usage,
    )
    timing = CostTiming(found.prices, found.serving, found.month, found.sensitivity)
    return CostResult(currency=found.currency, training=found.training, timing=timing, ledger=found)
