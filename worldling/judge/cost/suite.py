"""The cost suite: the ledger of the judged world at the bundled prices."""

from __future__ import annotations

from typing import Any

from worldling.cost.ledger import OCCUPANCY, USERS, Amount, Usage, asked, ledger
from worldling.cost.prices import read_prices
from worldling.cost.tables import ledger_tables, sources_text
from worldling.judge.case import Case
from worldling.judge.speed.suite import run as time_case
from worldling.protocol import name_of
from worldling.report.sections import Section, Text


def run(case: Case) -> Section:
    """Write the judged world's ledger with the bundled prices; `worldling cost` takes others.

    What training cost is the same for every judgement; the rest is timed. Cost: a few seconds.
    """
    prices, card = read_prices(), case.world.card
    timing = time_case(case).timing
    trained = card.get("cost", {})
    training_on = prices.match(str(trained.get("device")), trained.get("threads", 1))
    serving_on = prices.match(timing["device"], timing["cores"])
    usage = Usage(
        Amount(case.fps, "frames/s", ("world",)), asked(None, "users", USERS), asked(None, "share", OCCUPANCY)
    )
    found = ledger(name_of(case.world), card, timing, "measured", prices, training_on, serving_on, usage)
    blocks: list[Any] = [*ledger_tables(found), Text(sources_text(found))]
    values = {key: found[key] for key in ("currency", "training")}
    later = {key: found[key] for key in ("prices", "serving", "month", "sensitivity")}
    return Section("Cost: what it takes to train and to serve", values, later, [], blocks)
