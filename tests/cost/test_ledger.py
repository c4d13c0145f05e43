import re
from dataclasses import replace

import pytest

from worldling.cost.ledger import Amount, TrainingRecord, Usage, ledger
from worldling.cost.numbers import number
from worldling.cost.prices import read_prices
from worldling.cost.tables import ledger_text
from worldling.errors import ConfigError
from worldling.report.values import to_json
from worldling.timing.steps import SpeedRow

MINUTES = {"tokenizer": 10.0, "dynamics": 20.0}
CARD = {"cost": {"minutes": MINUTES, "device": "AMD EPYC", "threads": 2, "energy_joules": "not measured"}}
ROWS = [SpeedRow(1, 100.0, 10.0, 12.0, 50, 300.0), SpeedRow(16, 400.0, 40.0, 50.0, 50, 80.0)]
DEVICE = "AMD EPYC"


@pytest.fixture(scope="module")
def prices():
    return read_prices()


def usage(fps=10.0, users=1, occupancy=0.1):
    return Usage(
        Amount(fps, "frames/s", ("card",)), Amount(users, "users", ("given",)), Amount(occupancy, "share", ("assumed",))
    )


def written(prices, card=CARD, rows=ROWS, on="vm-2", **usual):
    c = prices.device_classes[on]
    return ledger("w", TrainingRecord.of(card), DEVICE, rows, "measured", prices, c, c, usage(**usual))


def doubled(prices):
    classes = {
        name: replace(c, per_hour=2 * prices.per_hour(c), watts=None, purchase=None, lifetime_hours=None)
        for name, c in prices.device_classes.items()
    }
    return replace(prices, device_classes=classes)


def costs(value, name=""):
    """Every amount of money in a ledger as JSON, by its place."""
    if isinstance(value, dict) and "unit" in value:
        return {name: value["value"]} if "USD" in value["unit"] else {}
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return {k: v for key, item in items for k, v in costs(item, f"{name}/{key}").items()}


def test_the_ledger_adds_up(prices):
    found, price = written(prices, users=90), prices.per_hour(prices.device_classes["vm-2"])
    training, (alone, batch), month = found.training, found.serving.rows, found.month
    assert training.device_hours.value == 0.5 and training.cost.value == pytest.approx(0.5 * price)
    assert batch.cost_per_1000_frames.value * 400 * 3.6 == pytest.approx(price), "an hour of frames is an hour's price"
    assert alone.cost_per_user_hour.value == pytest.approx(alone.cost_per_1000_frames.value * 36)
    assert batch.energy_per_user_hour.value == pytest.approx(80 * 36)
    assert month.sessions_per_machine.value == 28, "70 % of 400 frames a second, 10 each"
    assert month.machines.value == 4 and month.cost.value == pytest.approx(4 * 730 * price)
    assert month.cost_per_user_hour.value * month.user_hours.value == pytest.approx(month.cost.value)
    assert month.energy.value == pytest.approx(90 * 73 * 36 * 80)


def test_occupancy_moves_what_an_hour_costs_and_not_what_a_month_costs(prices):
    found = written(prices, occupancy=0.2)
    rows = {row.occupancy.value: row for row in found.sensitivity}
    assert list(rows) == [0.1, 0.2, 0.4, 1.0], "half, as said, double, always"
    spent = {o: row.cost_per_user_hour.value * row.user_hours.value for o, row in rows.items()}
    assert all(cost == pytest.approx(found.month.cost.value) for cost in spent.values())
    assert [row.occupancy.value for row in written(prices, occupancy=1.0).sensitivity] == [0.5, 1.0]


def test_twice_the_prices_twice_the_cost(prices):
    for on in ("vm-2", "laptop"):
        once, twice = (costs(to_json(written(p, on=on))) for p in (prices, doubled(prices)))
        assert len(once) > 10 and twice == pytest.approx({name: 2 * value for name, value in once.items()}, rel=1e-5), (
            on
        )


def test_what_nobody_measured_is_not_measured(prices):
    found = written(prices, rows=[replace(row, joules_per_1000_frames=None) for row in ROWS])
    for energy in (found.training.energy, found.month.energy, found.serving.rows[0].energy_per_user_hour):
        assert energy.value is None and energy.why == "not measured"
    assert "energy of a user-hour" in ledger_text(found) and "not measured" in ledger_text(found)
    measured = written(prices, card={"cost": {**CARD["cost"], "energy_joules": 5e4}}).training.energy
    assert measured.value == 5e4
    untold = written(prices, card={}).training
    assert untold.cost.value is None and "card" in untold.cost.why


def test_every_figure_says_where_it_comes_from(prices):
    found = written(prices)
    assert found.training.device_hours.origins == ("card",)
    cost = found.month.cost_per_user_hour.origins
    assert {"measured", "assumed"} <= set(cost) and any("price file" in origin for origin in cost)


def test_a_world_too_slow_for_its_clock_has_no_month(prices):
    month = written(prices, fps=90.0).month  # more than is counted on of the 100 of one session
    assert month.cost.value is None and "too slow" in month.cost.why
    assert written(prices, fps=60.0).month.cost.value > 0


def test_hardware_nobody_priced_is_told(prices):
    found = ledger("w", TrainingRecord.of(CARD), DEVICE, ROWS, "measured", prices, None, None, usage())
    assert found.training.cost.value is None and "AMD EPYC" in found.serving.price.why
    assert found.training.device_hours.value == 0.5, "the hours are known all the same"
    ledger_text(found)


@pytest.mark.parametrize(
    "changes, words",
    [
        (dict(occupancy=0.0), "`occupancy`"),
        (dict(occupancy=1.5), "`occupancy`"),
        (dict(users=0), "`users`"),
        (dict(fps=0.0), "`fps`"),
        (dict(fps=float("nan")), "`fps`"),
    ],
)
def test_impossible_usage_is_one_clear_line(changes, words):
    with pytest.raises(ConfigError, match=re.escape(words)):
        usage(**changes)


def test_numbers_are_written_without_exponents():
    assert [number(v) for v in (0, 1, 0.0000338, 0.5, 12.345, 1234.5)] == [
        "0",
        "1",
        "0.0000338",
        "0.500",
        "12.3",
        "1,234",
    ]
