"""How the cost suite's ledger is shown to people."""

from __future__ import annotations

from worldling.cost.tables import ledger_tables, sources_text
from worldling.judge.cost.suite import CostResult
from worldling.report.sections import Block, Section, Text


def page(result: CostResult) -> Section:
    """Lay out the ledger and whose prices it is made of."""
    blocks: list[Block] = [*ledger_tables(result.ledger), Text(sources_text(result.ledger))]
    return Section("Cost: what it takes to train and to serve", blocks=blocks)
