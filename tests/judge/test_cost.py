import json
import re
from dataclasses import replace
from types import SimpleNamespace

import pytest
from judge_worlds import CopyWorld, PerfectWorld

from worldling.errors import ConfigError
from worldling.judge import judge, speed
from worldling.judge.cost import Amount, Usage, ledger, world_cost
from worldling.judge.cost_page import ledger_text, number
from worldling.judge.prices import read_prices
from worldling.types import Episode

MINUTES = {"tokenizer": 10.0, "dynamics": 20.0}
CARD = {"cost": {"minutes": MINUTES, "device": "AMD EPYC", "threads": 2, "energy_joules": "not measured"}}
TIMING = {
    "device": "AMD EPYC",
    "cores": 2,
    "rows": [
        {"batch": 1, "fps_p50": 100.0, "p99_ms": 12.0, "joules_per_1000_frames": 300.0},
        {"batch": 16, "fps_p50": 400.0, "p99_ms": 50.0, "joules_per_1000_frames": 80.0},
    ],
}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(speed, "SECONDS", 0.02)


@pytest.fixture(scope="module")
def prices():
    return read_prices()


def usage(fps=10.0, users=1, occupancy=0.1):
    return Usage(
        Amount(fps, "frames/s", ("card",)), Amount(users, "users", ("given",)), Amount(occupancy, "share", ("assumed",))
    )


def written(prices, card=CARD, timing=TIMING, on="vm-2", **usual):
    c = prices.device_classes[on]
    return ledger("w", card, timing, "measured", prices, c, c, usage(**usual))


def doubled(prices):
    classes = {
        name: replace(c, per_hour=2 * prices.per_hour(c), watts=None, purchase=None, lifetime_hours=None)
        for name, c in prices.device_classes.items()
    }
    return replace(prices, device_classes=classes)


def costs(value, name=""):
    """Every amount of money in a ledger, by its place."""
    if isinstance(value, dict) and "unit" in value:
        return {name: value["value"]} if "USD" in value["unit"] else {}
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return {k: v for key, item in items for k, v in costs(item, f"{name}/{key}").items()}


def test_the_ledger_adds_up(prices):
    found, price = written(prices, users=90), prices.per_hour(prices.device_classes["vm-2"])
    training, (alone, batch), month = found["training"], found["serving"]["rows"], found["month"]
    assert training["device_hours"]["value"] == 0.5 and training["cost"]["value"] == pytest.approx(0.5 * price)
    assert batch["cost_per_1000_frames"]["value"] * 400 * 3.6 == pytest.approx(price), (
        "an hour of frames is an hour's price"
    )
    assert alone["cost_per_user_hour"]["value"] == pytest.approx(alone["cost_per_1000_frames"]["value"] * 36)
    assert batch["energy_per_user_hour"]["value"] == pytest.approx(80 * 36)
    assert month["sessions_per_machine"]["value"] == 28, "70 % of 400 frames a second, 10 each"
    assert month["machines"]["value"] == 4 and month["cost"]["value"] == pytest.approx(4 * 730 * price)
    assert month["cost_per_user_hour"]["value"] * month["user_hours"]["value"] == pytest.approx(month["cost"]["value"])
    assert month["energy"]["value"] == pytest.approx(90 * 73 * 36 * 80)


def test_occupancy_moves_what_an_hour_costs_and_not_what_a_month_costs(prices):
    found = written(prices, occupancy=0.2)
    rows = {row["occupancy"]["value"]: row for row in found["sensitivity"]}
    assert list(rows) == [0.1, 0.2, 0.4, 1.0], "half, as said, double, always"
    spent = {o: row["cost_per_user_hour"]["value"] * row["user_hours"]["value"] for o, row in rows.items()}
    assert all(cost == pytest.approx(found["month"]["cost"]["value"]) for cost in spent.values())
    assert [row["occupancy"]["value"] for row in written(prices, occupancy=1.0)["sensitivity"]] == [0.5, 1.0]


def test_twice_the_prices_twice_the_cost(prices):
    for on in ("vm-2", "laptop"):
        once, twice = costs(written(prices, on=on)), costs(written(doubled(prices), on=on))
        assert len(once) > 10 and twice == pytest.approx({name: 2 * value for name, value in once.items()}), on


def test_what_nobody_measured_is_not_measured(prices):
    rows = [{**row, "joules_per_1000_frames": None} for row in TIMING["rows"]]
    found = written(prices, timing={**TIMING, "rows": rows})
    for energy in (
        found["training"]["energy"],
        found["month"]["energy"],
        found["serving"]["rows"][0]["energy_per_user_hour"],
    ):
        assert energy["value"] is None and energy["why"] == "not measured"
    assert "energy of a user-hour" in ledger_text(found) and "not measured" in ledger_text(found)
    measured = written(prices, card={"cost": {**CARD["cost"], "energy_joules": 5e4}})["training"]["energy"]
    assert measured["value"] == 5e4
    untold = written(prices, card={})["training"]
    assert untold["cost"]["value"] is None and "card" in untold["cost"]["why"]


def test_every_figure_says_where_it_comes_from(prices):
    found = written(prices)
    assert found["training"]["device_hours"]["from"] == ["card"]
    cost = found["month"]["cost_per_user_hour"]["from"]
    assert {"measured", "assumed"} <= set(cost) and any("price file" in origin for origin in cost)


def test_a_world_too_slow_for_its_clock_has_no_month(prices):
    month = written(prices, fps=90.0)["month"]  # more than is counted on of the 100 of one session
    assert month["cost"]["value"] is None and "too slow" in month["cost"]["why"]
    assert written(prices, fps=60.0)["month"]["cost"]["value"] > 0


def test_hardware_nobody_priced_is_told(prices):
    found = ledger("w", CARD, TIMING, "measured", prices, None, None, usage())
    assert found["training"]["cost"]["value"] is None and "AMD EPYC" in found["serving"]["price"]["why"]
    assert found["training"]["device_hours"]["value"] == 0.5, "the hours are known all the same"
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


@pytest.fixture
def playable(squares):
    world = CopyWorld(squares)
    world.config, world.device = SimpleNamespace(name="squares", context=3, fps=10.0), None
    episode = squares[0]
    rest = (getattr(episode, key)[:3] for key in ("reward", "terminated", "truncated"))
    world.contexts = [Episode(episode.frames[:4], episode.actions[:3], *rest)]
    world.card = {**world.card, **CARD}
    return world


def test_a_world_is_timed_or_its_report_is_read(playable, prices, squares, tmp_path):
    here = world_cost(playable, prices, "vm-2", users=3)
    assert here["month"]["users"] == {"value": 3, "unit": "users", "from": ["given"]}
    assert [row["batch"] for row in here["serving"]["rows"]] == [1, speed.BATCHES[-1]]
    playable.card["name"] = "squares"
    report = judge(playable, squares.path, tmp_path, suites=("speed",), quiet=True)
    read = world_cost(playable, prices, "vm-2", report=tmp_path / "report.json")
    rate = read["serving"]["rows"][0]["frames_per_second"]
    assert rate == {"value": report["timing"]["speed"]["rows"][0]["fps_p50"], "unit": "frames/s", "from": ["report"]}
    (tmp_path / "other.json").write_text(json.dumps({**report, "about": {"world": "circles"}}))
    (tmp_path / "empty.json").write_text(json.dumps({"suites": {"fidelity": {}}}))
    for file, words in (("other.json", "one of circles"), ("empty.json", "got fidelity")):
        with pytest.raises(ConfigError, match=words):
            world_cost(playable, prices, "vm-2", report=tmp_path / file)


def test_what_is_wrong_is_told_before_anything_is_timed(playable, prices):
    playable.start = None  # nothing may start
    playable.card["cost"] = {**CARD["cost"], "device": "Abacus"}
    for changes, words in (
        (dict(), "`device`"),
        (dict(device_class="vm2"), "'vm-2'"),
        (dict(batch=0), "`batch`"),
        (dict(users=0), "`users`"),
    ):
        with pytest.raises(ConfigError, match=words):
            world_cost(playable, prices, **changes)


def test_any_world_is_timed_alone_and_in_a_batch(squares):
    for world in (CopyWorld(squares), PerfectWorld(squares)):
        report = judge(world, squares.path, suites=("speed",), quiet=True)
        rows = report["timing"]["speed"]["rows"]
        assert [row["batch"] for row in rows] == list(speed.BATCHES)
        assert all(row["fps_p50"] > 0 and row["p99_ms"] >= row["p50_ms"] and row["num_steps"] >= 5 for row in rows)
        assert report["suites"]["speed"] == {"batches": list(speed.BATCHES)}, "values hold nothing of the clock"


def test_the_suites_say_the_same_but_for_their_timing(squares, tmp_path):
    world = CopyWorld(squares)
    world.card = {**world.card, **CARD}
    reports = [judge(world, squares.path, tmp_path, suites=("speed", "cost"), quiet=True) for _ in range(2)]
    assert reports[0]["suites"] == reports[1]["suites"], "what training cost does not depend on today"
    assert reports[0]["suites"]["cost"]["training"]["device_hours"]["value"] == 0.5
    assert "user-hour" in (tmp_path / "report.html").read_text()
