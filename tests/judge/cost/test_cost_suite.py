"""The cost suite, and the ledger of a world that is timed here or whose report is read."""

import json
from types import SimpleNamespace

import pytest
from judge_worlds import CopyWorld

from worldling.cost.ledger import Amount, world_cost
from worldling.cost.prices import read_prices
from worldling.errors import ConfigError
from worldling.judge import judge
from worldling.timing import steps
from worldling.types import Episode

CARD = {
    "cost": {
        "minutes": {"tokenizer": 10.0, "dynamics": 20.0},
        "device": "AMD EPYC",
        "threads": 2,
        "energy_joules": "not measured",
    }
}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(steps, "SECONDS", 0.02)


@pytest.fixture(scope="module")
def prices():
    return read_prices()


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
    assert here.month.users == Amount(3, "users", ("given",))
    assert [row.batch for row in here.serving.rows] == [1, steps.BATCHES[-1]]
    playable.card["name"] = "squares"
    report = judge(playable, squares.path, tmp_path, suites=("speed",), quiet=True)
    read = world_cost(playable, prices, "vm-2", report=tmp_path / "report.json")
    rate = read.serving.rows[0].frames_per_second
    assert rate == Amount(report["timing"]["speed"]["rows"][0]["fps_p50"], "frames/s", ("report",))
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


def test_the_suites_say_the_same_but_for_their_timing(squares, tmp_path):
    world = CopyWorld(squares)
    world.card = {**world.card, **CARD}
    reports = [judge(world, squares.path, tmp_path, suites=("speed", "cost"), quiet=True) for _ in range(2)]
    assert reports[0]["suites"] == reports[1]["suites"], "what training cost does not depend on today"
    assert reports[0]["suites"]["cost"]["training"]["device_hours"]["value"] == 0.5
    assert "user-hour" in (tmp_path / "report.html").read_text()
