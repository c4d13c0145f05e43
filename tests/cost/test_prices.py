import json
import re
import tomllib
from pathlib import Path

import pytest

import worldling
from worldling.cost.prices import BUNDLED, read_prices
from worldling.errors import ConfigError

RENTED = """
currency = "EUR"
[device_classes.vm]
kind = "cpu"
cores = 4
per_hour = 0.5
matches = ["Some CPU"]
source = "a list"
date = 2026-11-01
checked = true
"""
OWNED = RENTED.replace("per_hour = 0.5", "watts = 100\npurchase = 1000\nlifetime_hours = 10000")
POWER = '[electricity]\nper_kwh = 0.2\nsource = "a bill"\ndate = 2026-11-01\n'
ANCHOR = """
[[throughput]]
device_class = "vm"
world = "pusht"
size = "s"
size_px = 64
backend = "reference"
fps_alone = 100
command = "worldling bench pusht"
date = 2026-11-01
"""


def written(tmp_path, text):
    path = tmp_path / "prices.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    "text, words",
    [
        ("", "empty file"),
        ("# nothing yet\n", "empty file"),
        ('currency = "USD"\n', "`device_classes` must hold at least one"),
        ("currency = \n", "line 1"),
        (b"\xff\xfe", "must be TOML"),
        (RENTED.replace("per_hour = 0.5\n", ""), "`device_classes.vm` must have per_hour"),
        (RENTED.replace("0.5", '"cheap"'), "`device_classes.vm.per_hour` must be a number"),
        (RENTED.replace("0.5", "-1"), "`device_classes.vm.per_hour`"),
        (RENTED.replace("0.5", "nan"), "`device_classes.vm.per_hour`"),
        (RENTED.replace("per_hour = 0.5", "per_hour = 0.5\nwatts = 9"), "got per_hour and watts"),
        (RENTED.replace("per_hour", "per_hourr"), "'per_hour'"),
        (RENTED.replace('source = "a list"\n', ""), "`device_classes.vm.source`"),
        (RENTED.replace("date = 2026-11-01\n", ""), "`device_classes.vm.date`"),
        (RENTED.replace("2026-11-01", '"yesterday"'), "'yesterday'"),
        (RENTED.replace("cores = 4\n", ""), "`device_classes.vm.cores`"),
        (RENTED.replace('"cpu"', '"tpu"'), "cpu or gpu"),
        (RENTED.replace('["Some CPU"]', '"Some CPU"'), "`device_classes.vm.matches`"),
        (RENTED.replace('currency = "EUR"', ""), "`currency`"),
        (RENTED.replace("device_classes.vm", "deviceclasses.vm"), "'device_classes'"),
        (OWNED, "`electricity`"),
        (OWNED.replace("purchase = 1000\n", "") + POWER, "got watts and lifetime_hours"),
        (OWNED + POWER.replace("0.2", "0"), "`electricity.per_kwh`"),
        (RENTED + "[assumptions]\nplanned_share = 2\n", "`assumptions.planned_share`"),
        (RENTED + ANCHOR.replace('"vm"', '"vn"'), "'vm'"),
        (RENTED + ANCHOR.replace("= 100", "= 0"), "`throughput[0].fps_alone`"),
        (RENTED + ANCHOR.replace("date = 2026-11-01\n", ""), "date"),
        (RENTED + "[throughput]\nfps_alone = 3\n", "[[throughput]]"),
    ],
)
def test_a_bad_price_file_is_one_clear_line(text, words, tmp_path):
    with pytest.raises(ConfigError, match=re.escape(words)) as raised:
        read_prices(written(tmp_path, text))
    assert "\n" not in str(raised.value) and "must" in str(raised.value)


def test_a_missing_price_file_names_the_one_to_copy(tmp_path):
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(ConfigError, match=re.escape(str(BUNDLED))):
            read_prices(path)


def test_an_hour_of_an_owned_machine_is_power_and_a_share_of_its_purchase(tmp_path):
    prices = read_prices(written(tmp_path, OWNED + POWER))
    assert prices.per_hour(prices.device_classes["vm"]) == pytest.approx(1000 / 10000 + 0.1 * 0.2)
    assert "not checked" in prices.basis(prices.device_classes["vm"]), "the power was not"
    rented = read_prices(written(tmp_path, RENTED))
    assert "not checked" not in rented.basis(rented.device_classes["vm"])


def test_hardware_finds_its_class_and_an_unknown_one_the_list(tmp_path):
    prices = read_prices()
    assert prices.match("AMD EPYC 9R14", 2).short == "vm-2" and prices.match("AMD EPYC 9R14", 16).short == "vm-16"
    assert prices.match("NVIDIA L4", 4).short == "gpu-l4" and prices.match("NVIDIA L40S", 4) is None
    with pytest.raises(ConfigError, match=r"vm-2, vm-16.*--device-class"):
        prices.find("Abacus", 1)
    with pytest.raises(ConfigError, match=r"gpu-h100.*'vm-2'"):
        prices.find("AMD EPYC", 2, "vm2")
    assert prices.find("Abacus", 1, "gpu-l4").short == "gpu-l4"


def test_the_bundled_file_is_installed_and_knows_who_says_what_and_when():
    prices, root = read_prices(), Path(worldling.__file__).parent
    data = tomllib.loads((root.parent / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"][
        "worldling"
    ]
    assert str(BUNDLED.relative_to(root)) in data
    assert all(c.source and c.date and c.about for c in prices.device_classes.values())
    gpus = {name for name, c in prices.device_classes.items() if c.kind == "gpu"}
    assert gpus and not gpus & {row.device_class for row in (*prices.throughput, *prices.training)}, (
        "no GPU was measured"
    )


def test_bundled_worlds_agree_with_the_bundled_file():
    prices, worlds = read_prices(), Path(worldling.__file__).parent / "worlds"
    for row in prices.training:
        card = json.loads((worlds / row.world / "card.json").read_text())
        assert sum(card["cost"]["minutes"].values()) == pytest.approx(row.minutes, rel=0.01), row.world
        assert prices.match(card["cost"]["device"], card["cost"]["threads"]).short == row.device_class
    for row in (*prices.throughput, *prices.training):
        config = json.loads((worlds / row.world / "config.json").read_text())
        assert (config["size"], config["tokenizer"]["size_px"]) == (row.size, row.size_px), row.world
