"""How ledgers and plans are shown to people: as tables of a report, and as plain text."""

from __future__ import annotations

import math
import textwrap
from typing import Any

from worldling.report.sections import Table

WIDTH = 118
COUNTS = ("users", "sessions", "machines")  # units that their rows name already


def ledger_tables(ledger: dict[str, Any]) -> list[Table]:
    """Lay out what `cost.ledger` gives."""
    training, serving, month = ledger["training"], ledger["serving"], ledger["month"]
    rows = serving["rows"]
    names = ["one session" if row["batch"] == 1 else f"{row['batch']} sessions in a batch" for row in rows]
    served = (
        ("frames_per_second", "frames a second"),
        ("p99", "99th percentile of a step"),
        ("cost_per_1000_frames", "1,000 frames"),
        ("energy_per_1000_frames", "energy of 1,000 frames"),
        ("cost_per_user_hour", f"a user-hour at {month['fps']['value']:g} frames a second"),
        ("energy_per_user_hour", "energy of a user-hour"),
    )
    return [
        Table(
            f"What training {ledger['world']} cost, on {training['device_class'] or training['device'] or 'an unknown device'}",
            ["", "", "from"],
            [
                ["device-hours", *_cells(training["device_hours"])],
                ["price of an hour", *_cells(training["price"])],
                ["cost", *_cells(training["cost"])],
                ["energy", *_cells(training["energy"])],
            ],
        ),
        Table(
            f"What serving costs, on {serving['device_class'] or serving['device']} kept busy",
            ["", *names, "from"],
            [["price of an hour", *[amount(serving["price"])] * len(rows), _origins(serving["price"])]]
            + [[words, *(amount(row[key]) for row in rows), _origins(rows[-1][key])] for key, words in served],
        ),
        Table(
            "A month of machines kept ready, day and night",
            ["", "", "from"],
            [
                ["users at once", *_cells(month["users"])],
                ["of whom each plays", *_cells(month["occupancy"])],
                [
                    f"sessions a machine, {share(month['planned_share'])} of its speed counted on",
                    *_cells(month["sessions_per_machine"]),
                ],
                ["machines", *_cells(month["machines"])],
                [f"a month of {month['hours']:g} h", *_cells(month["cost"])],
                ["a user-hour really played", *_cells(month["cost_per_user_hour"])],
                ["1,000 frames really played", *_cells(month["cost_per_1000_frames"])],
                ["energy of the frames played", *_cells(month["energy"])],
            ],
        ),
        Table(
            "The same, were they to play more or less",
            ["each plays", "user-hours a month", "a user-hour", "1,000 frames"],
            [
                [amount(row[key]) for key in ("occupancy", "user_hours", "cost_per_user_hour", "cost_per_1000_frames")]
                for row in ledger["sensitivity"]
            ],
        ),
    ]


def plan_tables(plan: dict[str, Any]) -> list[Table]:
    """Lay out what `cost_plan.plan` gives."""
    asked, currency = plan["asked"], plan["currency"]
    frames = asked["train_frames"]
    columns = ["", f"{currency}/h", "frames/s", "sessions", "machines", f"{currency} a month", "from"]
    keys = ("frames_per_second", "sessions_per_machine", "machines", "cost_per_month")
    rows = [
        [c["device_class"], number(c["per_hour"]), *(_known(c["serving"][key]) for key in keys), c["serving"]["from"]]
        for c in plan["device_classes"]
    ]
    size = f"size {asked['size']} at {asked['size_px']} px"
    users = f"{asked['users']:,} user{'s' * (asked['users'] > 1)} at {asked['fps']:g} frames a second"
    trained = [
        [c["device_class"], _known(c["training"]["hours"]), _known(c["training"]["cost"]), c["training"]["from"]]
        for c in plan["device_classes"]
    ]
    parts = [[p["part"], p["spread"], _bytes(p["bytes"]), f"{p['moves']}: {p['why']}"] for p in plan["spread"]]
    return [
        Table(f"{users}, {size}", columns, rows),
        *([Table(f"Training once on {frames:,} frames", ["", "hours", currency, "from"], trained)] if frames else []),
        Table("What may be spread over loosely connected machines", ["", "spread", "moves", ""], parts),
    ]


def plan_text(plan: dict[str, Any]) -> str:
    """Write a plan for a terminal: the answer, the tables, what was not measured, and what was assumed."""
    classes = plan["device_classes"]
    missing = [c["device_class"] for c in classes if c["serving"]["carries"] is None]
    unchecked = [c["device_class"] for c in classes if not c["price"]["checked"]]
    lines = [_wrapped(plan["answer"]), "", *map(text, plan_tables(plan))]
    if missing:
        lines += [_wrapped(f"Not measured: {', '.join(missing)}. {plan['measure']}")]
    lines += [_wrapped(line) for line in plan["assumptions"]]
    lines.append(f"Prices: {plan['prices']}, which says whose they are and when they were read.")
    if unchecked:
        lines.append(
            _wrapped(f"Not checked on the sellers' pages, replace before you rely on them: {', '.join(unchecked)}.")
        )
    return "\n".join(lines)


def ledger_text(ledger: dict[str, Any]) -> str:
    """Write a ledger for a terminal: the tables, and where the prices come from."""
    return "\n".join([*map(text, ledger_tables(ledger)), _wrapped(sources_text(ledger))])


def sources_text(ledger: dict[str, Any]) -> str:
    """Say whose prices a ledger is made of, and when they were read."""
    said = [f"Prices: {ledger['prices']['file']}."]
    for name, about in ledger["prices"]["device_classes"].items():
        checked = "" if about["checked"] else ", not checked on the seller's page: replace it before you rely on it"
        note = f" ({about['note']})" if about["note"] else ""
        said.append(f"{name}: {about['about']}; {about['source']}, read on {about['date']}{checked}{note}.")
    return " ".join(said)


def text(table: Table) -> str:
    """Write a table of texts in columns; a line too long for a terminal goes on below its last column."""
    rows = [list(table.columns), *map(list, table.rows)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(table.columns) - 1)]
    indent = " " * (sum(widths) + 2 * len(widths))
    lines = [table.title]
    for row in rows:
        line = "".join(f"{cell:<{w}}  " for cell, w in zip(row, widths)) + row[-1]
        lines += textwrap.wrap(line, WIDTH, subsequent_indent=indent, drop_whitespace=True) if line.strip() else []
    return "\n".join(line.rstrip() for line in lines) + "\n"


def amount(figure: dict[str, Any]) -> str:
    """Write an amount with its unit, or why there is none."""
    if figure["value"] is None:
        return figure["why"]
    if figure["unit"] == "share":
        return f"{share(figure['value'])} of the time"
    if figure["unit"] in COUNTS:
        return number(figure["value"])
    return f"{number(figure['value'])} {figure['unit']}"


def number(value: float) -> str:
    """Write a number with three figures and no exponent; whole numbers and thousands in full."""
    if value == 0 or abs(value) >= 100 or float(value).is_integer():
        return f"{value:,.0f}"
    return f"{value:.{2 - math.floor(math.log10(abs(value)))}f}"


def share(value: float) -> str:
    """Write a share in percent."""
    return f"{value * 100:.3g} %"


def _cells(figure: dict[str, Any]) -> tuple[str, str]:
    return amount(figure), _origins(figure)


def _origins(figure: dict[str, Any]) -> str:
    return "" if figure["value"] is None else ", ".join(figure["from"])


def _known(value: float | None) -> str:
    return "-" if value is None else number(value)


def _bytes(count: float | None) -> str:
    if count is None:
        return "not known"
    return f"{number(count / 1e6)} MB" if count >= 1e6 else f"{number(count / 1e3)} kB"


def _wrapped(line: str) -> str:
    return "\n".join(textwrap.wrap(line, WIDTH, break_long_words=False, break_on_hyphens=False))
