"""How ledgers and plans are shown to people: as tables of a report, and as plain text."""

from __future__ import annotations

import textwrap

from worldling.cost.ledger import Amount, Ledger
from worldling.cost.numbers import number, share
from worldling.cost.plan import Plan
from worldling.report.sections import Table

WIDTH = 118
COUNTS = ("users", "sessions", "machines")  # units that their rows name already


def ledger_tables(ledger: Ledger) -> list[Table]:
    """Lay out a ledger."""
    training, serving, month = ledger.training, ledger.serving, ledger.month
    rows = serving.rows
    names = ["one session" if row.batch == 1 else f"{row.batch} sessions in a batch" for row in rows]
    served = (
        ("frames_per_second", "frames per second"),
        ("p99", "99th percentile of a step"),
        ("cost_per_1000_frames", "1,000 frames"),
        ("energy_per_1000_frames", "energy of 1,000 frames"),
        ("cost_per_user_hour", f"a user-hour at {month.fps.value:g} frames per second"),
        ("energy_per_user_hour", "energy of a user-hour"),
    )
    trained_on = training.device_class or training.device or "an unknown device"
    return [
        Table(
            f"What training {ledger.world} cost, on {trained_on}",
            ["", "", "from"],
            [
                ["device-hours", *_cells(training.device_hours)],
                ["price of an hour", *_cells(training.price)],
                ["cost", *_cells(training.cost)],
                ["energy", *_cells(training.energy)],
            ],
        ),
        Table(
            f"What serving costs, on {serving.device_class or serving.device} kept busy",
            ["", *names, "from"],
            [["price of an hour", *[amount(serving.price)] * len(rows), _origins(serving.price)]]
            + [
                [words, *(amount(getattr(row, key)) for row in rows), _origins(getattr(rows[-1], key))]
                for key, words in served
            ],
        ),
        Table(
            "A month of machines kept ready, day and night",
            ["", "", "from"],
            [
                ["users at once", *_cells(month.users)],
                ["of whom each plays", *_cells(month.occupancy)],
                [
                    f"sessions a machine, {share(month.planned_share)} of its speed counted on",
                    *_cells(month.sessions_per_machine),
                ],
                ["machines", *_cells(month.machines)],
                [f"a month of {month.hours:g} h", *_cells(month.cost)],
                ["a user-hour really played", *_cells(month.cost_per_user_hour)],
                ["1,000 frames really played", *_cells(month.cost_per_1000_frames)],
                ["energy of the frames played", *_cells(month.energy)],
            ],
        ),
        Table(
            "The same, were they to play more or less",
            ["each plays", "user-hours a month", "a user-hour", "1,000 frames"],
            [
                [
                    amount(found)
                    for found in (row.occupancy, row.user_hours, row.cost_per_user_hour, row.cost_per_1000_frames)
                ]
                for row in ledger.sensitivity
            ],
        ),
    ]


def plan_tables(plan: Plan) -> list[Table]:
    """Lay out a plan."""
    target, currency, classes = plan.asked, plan.currency, plan.device_classes
    columns = ["", f"{currency}/h", "frames/s", "sessions", "machines", f"{currency} a month", "from"]
    rows = [
        [
            c.device_class,
            number(c.per_hour),
            _known(c.serving.frames_per_second),
            _known(c.serving.sessions_per_machine),
            _known(c.serving.machines),
            _known(c.serving.cost_per_month),
            c.serving.origin,
        ]
        for c in classes
    ]
    size = f"size {target.size} at {target.size_px} px"
    users = f"{target.users:,} user{'s' * (target.users > 1)} at {target.fps:g} frames per second"
    trained = [[c.device_class, _known(c.training.hours), _known(c.training.cost), c.training.origin] for c in classes]
    parts = [[part.part, part.spread, _bytes(part.bytes), f"{part.moves}: {part.why}"] for part in plan.spread]
    tables = [Table(f"{users}, {size}", columns, rows)]
    if target.train_frames:
        heading = f"Training once on {target.train_frames:,} frames"
        tables.append(Table(heading, ["", "hours", currency, "from"], trained))
    tables.append(Table("What may be spread over loosely connected machines", ["", "spread", "moves", ""], parts))
    return tables


def plan_text(plan: Plan) -> str:
    """Write a plan for a terminal: the answer, the tables, what was not measured, and what was assumed."""
    missing = [c.device_class for c in plan.device_classes if c.serving.carries is None]
    unchecked = [c.device_class for c in plan.device_classes if not c.price.checked]
    lines = [_wrapped(plan.answer), "", *map(text, plan_tables(plan))]
    if missing:
        lines += [_wrapped(f"Not measured: {', '.join(missing)}. {plan.measure}")]
    lines += [_wrapped(line) for line in plan.assumptions]
    lines.append(f"Prices: {plan.prices}, which says whose they are and when they were read.")
    if unchecked:
        lines.append(
            _wrapped(f"Not checked on the sellers' pages, replace before you rely on them: {', '.join(unchecked)}.")
        )
    return "\n".join(lines)


def ledger_text(ledger: Ledger) -> str:
    """Write a ledger for a terminal: the tables, and where the prices come from."""
    return "\n".join([*map(text, ledger_tables(ledger)), _wrapped(sources_text(ledger))])


def sources_text(ledger: Ledger) -> str:
    """Say whose prices a ledger is made of, and when they were read."""
    said = [f"Prices: {ledger.prices.file}."]
    for name, price in ledger.prices.device_classes.items():
        checked = "" if price.checked else ", not checked on the seller's page: replace it before you rely on it"
        note = f" ({price.note})" if price.note else ""
        said.append(f"{name}: {price.about}; {price.source}, read on {price.date}{checked}{note}.")
    return " ".join(said)


def text(table: Table) -> str:
    """Write a table of texts in columns; a line too long for a terminal goes on below its last column."""
    rows = [[str(cell) for cell in row] for row in (table.columns, *table.rows)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(table.columns) - 1)]
    indent = " " * (sum(widths) + 2 * len(widths))
    lines = [table.title]
    for row in rows:
        line = "".join(f"{cell:<{w}}  " for cell, w in zip(row, widths, strict=False)) + row[-1]
        lines += textwrap.wrap(line, WIDTH, subsequent_indent=indent, drop_whitespace=True) if line.strip() else []
    return "\n".join(line.rstrip() for line in lines) + "\n"


def amount(figure: Amount) -> str:
    """Write an amount with its unit, or why there is none."""
    if figure.value is None:
        return str(figure.why)
    if figure.unit == "share":
        return f"{share(figure.value)} of the time"
    if figure.unit in COUNTS:
        return number(figure.value)
    return f"{number(figure.value)} {figure.unit}"


def _cells(figure: Amount) -> tuple[str, str]:
    return amount(figure), _origins(figure)


def _origins(figure: Amount) -> str:
    return "" if figure.value is None else ", ".join(figure.origins)


def _known(value: float | None) -> str:
    return "-" if value is None else number(value)


def _bytes(count: float | None) -> str:
    if count is None:
        return "not known"
    return f"{number(count / 1e6)} MB" if count >= 1e6 else f"{number(count / 1e3)} kB"


def _wrapped(line: str) -> str:
    return "\n".join(textwrap.wrap(line, WIDTH, break_long_words=False, break_on_hyphens=False))
