"""The price file: what an hour of each device class costs, who says so and when, and what was measured there.

prices = read_prices("prices.toml")                   # None reads the bundled prices.toml, made to be copied
device_class = prices.find("AMD EPYC", 2)             # by what the hardware calls itself
prices.per_hour(device_class)                         # in prices.currency
"""

from __future__ import annotations

import datetime
import math
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from worldling.config import from_dict
from worldling.errors import ConfigError, nearest

BUNDLED = Path(__file__).with_name("prices.toml")

OWNED = ("watts", "purchase", "lifetime_hours")


@dataclass(frozen=True, kw_only=True)
class Sourced:
    """A figure with its origin.

    name: where it stands in the file; source: whose price, and where they say so; date: when it was read,
    YYYY-MM-DD; checked: whether it was read on that page by who wrote the file; note: what else to know.
    """

    name: str
    source: str = ""
    date: str = ""
    checked: bool = False
    note: str = ""

    def __post_init__(self) -> None:
        if not self.source or not isinstance(self.source, str):
            raise ConfigError(
                f"`{self.name}.source` must say whose price it is, got {self.source!r}. Name the seller and the page."
            )
        check_date(f"{self.name}.date", self.date)

    @property
    def basis(self) -> str:
        """How far to trust it, in words for a ledger."""
        return "price file" if self.checked is True else "price file, not checked"


@dataclass(frozen=True, kw_only=True)
class Electricity(Sourced):
    """The price of power; per_kwh: in the file's currency per kWh."""

    per_kwh: float = math.nan

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(f"{self.name}.per_kwh", self.per_kwh)


@dataclass(frozen=True)
class PriceSource:
    """Whose price one is. about: what for; source, date, checked, note: see `Sourced`."""

    about: str
    source: str
    date: str
    checked: bool
    note: str


@dataclass(frozen=True, kw_only=True)
class DeviceClass(Sourced):
    """A kind of machine at a price.

    about: what it is; kind: "cpu" or "gpu"; cores: of a cpu; matches: what its chip calls itself (whole words).
    Rented: per_hour. Owned: watts under load, purchase, and the lifetime_hours of use the purchase is spread over.
    """

    about: str = ""
    kind: str = ""
    cores: int = 0
    matches: tuple[str, ...] = ()
    per_hour: float | None = None
    watts: float | None = None
    purchase: float | None = None
    lifetime_hours: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kind not in ("cpu", "gpu"):
            raise ConfigError(f'`{self.name}.kind` must be cpu or gpu, got {self.kind!r}. Write kind = "cpu".')
        if self.kind == "cpu":
            check_number(f"{self.name}.cores", self.cores)
        if not isinstance(self.matches, tuple) or not all(isinstance(m, str) for m in self.matches):
            raise ConfigError(
                f'`{self.name}.matches` must be a list of names, got {self.matches!r}. Write matches = ["EPYC"].'
            )
        given = [key for key in ("per_hour", *OWNED) if getattr(self, key) is not None]
        if given != ["per_hour"] and given != list(OWNED):
            raise ConfigError(
                f"`{self.name}` must have per_hour if it is rented, or watts, purchase and lifetime_hours if it is "
                f"owned, got {' and '.join(given) or 'no price'}. Add what is missing."
            )
        for key in given:
            check_number(f"{self.name}.{key}", getattr(self, key), zero=key in ("per_hour", "purchase"))

    @property
    def short(self) -> str:
        """Its name without the table's."""
        return self.name.partition(".")[2]

    @property
    def price_source(self) -> PriceSource:
        """What it is and whose price it has."""
        return PriceSource(self.about, self.source, self.date, self.checked, self.note)

    def fits(self, device: str) -> bool:
        """Whether hardware that calls itself `device` belongs here."""
        return any(re.search(rf"(?<!\w){re.escape(m)}(?!\w)", device, re.IGNORECASE) for m in self.matches)


@dataclass(frozen=True, kw_only=True)
class Throughput:
    """Frames per second of a world of a size at size_px, measured on a device class by a command on a date.

    fps_alone: of one session; fps_batch: of all sessions of one batch, None if not measured.
    """

    name: str
    device_class: str
    world: str
    size: str
    size_px: int
    backend: str
    fps_alone: float
    command: str
    date: str
    fps_batch: float | None = None
    batch: int | None = None
    note: str = ""

    def __post_init__(self) -> None:
        check_date(f"{self.name}.date", self.date)
        for key in ("size_px", "fps_alone", *(key for key in ("fps_batch", "batch") if getattr(self, key) is not None)):
            check_number(f"{self.name}.{key}", getattr(self, key))

    @property
    def fps(self) -> float:
        """Frames per second of all its sessions together, at best."""
        return max(self.fps_alone, self.fps_batch or 0.0)


@dataclass(frozen=True, kw_only=True)
class TrainingRun:
    """Minutes that both stages of a training on so many recorded frames took on a device class."""

    name: str
    device_class: str
    world: str
    size: str
    size_px: int
    frames: int
    minutes: float
    command: str
    date: str

    def __post_init__(self) -> None:
        check_date(f"{self.name}.date", self.date)
        for key in ("size_px", "frames", "minutes"):
            check_number(f"{self.name}.{key}", getattr(self, key))


@dataclass(frozen=True)
class Assumptions:
    """What plans assume.

    planned_share: of the measured frames per second that is counted on (the same code ran .7 to 1.4 x as fast on
    other days); core_scaling: of the speed that every core beyond those measured adds.
    """

    planned_share: float = 0.7
    core_scaling: float = 0.8

    def __post_init__(self) -> None:
        for key in ("planned_share", "core_scaling"):
            if not is_number(getattr(self, key)) or not 0 < getattr(self, key) <= 1:
                raise ConfigError(
                    f"`assumptions.{key}` must be above 0 and at most 1, got {getattr(self, key)!r}. Use 0.7."
                )


@dataclass(frozen=True)
class Prices:
    """One price file. path: where it lies; device_classes: by name; throughput, training: what was measured."""

    path: Path
    currency: str
    device_classes: dict[str, DeviceClass]
    electricity: Electricity | None = None
    assumptions: Assumptions = field(default_factory=Assumptions)
    throughput: tuple[Throughput, ...] = ()
    training: tuple[TrainingRun, ...] = ()

    def per_hour(self, device_class: DeviceClass) -> float:
        """Return what an hour costs: the rent, or power and a share of the purchase."""
        if device_class.per_hour is not None:
            return device_class.per_hour
        watts, purchase, hours = device_class.watts, device_class.purchase, device_class.lifetime_hours
        assert watts is not None and purchase is not None and hours is not None, "checked as the file was read"
        return purchase / hours + watts / 1000 * self._power().per_kwh

    def basis(self, device_class: DeviceClass) -> str:
        """How far to trust what an hour costs, in words."""
        owned = device_class.per_hour is None
        return self._power().basis if owned and device_class.checked else device_class.basis

    def _power(self) -> Electricity:
        assert self.electricity is not None, "checked as the file was read"
        return self.electricity

    def match(self, device: str, threads: int | None) -> DeviceClass | None:
        """Return the class that hardware called `device` belongs to: the smallest with `threads` cores, if any."""
        fits, least = [c for c in self.device_classes.values() if c.fits(device)], threads or 1
        return min(fits, key=lambda c: (c.cores < least, abs(c.cores - least)), default=None)

    def find(self, device: str, threads: int | None, name: str | None = None) -> DeviceClass:
        """Return the class called `name`, or else the one that `device` belongs to. Raises `ConfigError`."""
        if name is not None and name not in self.device_classes:
            names = ", ".join(self.device_classes)
            raise ConfigError(
                f"`device_class` must be one of {names}, got {name!r}. {nearest(name, self.device_classes)}"
            )
        found = self.device_classes[name] if name is not None else self.match(device, threads)
        if found is None:
            raise ConfigError(
                f"`device` must be one that a class of {self.path} matches ({', '.join(self.device_classes)}), "
                f"got {device!r}. "
                f"Add it to the `matches` of its class, or choose one with --device-class."
            )
        return found


def read_prices(path: str | Path | None = None) -> Prices:
    """Read and check a price file; None reads the bundled one. Raises `ConfigError` that names the fix."""
    path = Path(path or BUNDLED)
    again = f"Copy {BUNDLED} and change it."
    try:
        values = tomllib.loads(path.read_text())
    except OSError as error:
        raise ConfigError(f"`prices` must be a price file, got {path}: {error.strerror}. {again}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"`prices` must be TOML, got {path}: {error}. Mend that line. Or: {again}") from None
    if not values:
        raise ConfigError(f"`prices` must hold at least one device class, got an empty file {path}. {again}")
    known = ("currency", "electricity", "device_classes", "assumptions", "throughput", "training")
    for key in values:
        if key not in known:
            raise ConfigError(f"`{key}` must be a part of a price file, got it in {path}. {nearest(key, known)}")
    currency = values.get("currency")
    if not isinstance(currency, str) or not currency:
        raise ConfigError(
            f'`currency` must name the currency of every price, got {currency!r} in {path}. Write currency = "USD".'
        )
    tables = _table(values, "device_classes", path)
    if not tables:
        raise ConfigError(f"`device_classes` must hold at least one device class, got none in {path}. {again}")
    classes = {name: _build(DeviceClass, table, f"device_classes.{name}") for name, table in tables.items()}
    power = _build(Electricity, _table(values, "electricity", path), "electricity") if "electricity" in values else None
    owned = next((c for c in classes.values() if c.watts is not None), None)
    if owned is not None and power is None:
        raise ConfigError(
            f"`electricity` must be there for the watts of {owned.name}, got none in {path}. "
            "Add [electricity] with per_kwh."
        )
    throughput = _rows(Throughput, values, "throughput", path)
    training = _rows(TrainingRun, values, "training", path)
    rows: list[Throughput | TrainingRun] = [*throughput, *training]
    for row in rows:
        if row.device_class not in classes:
            raise ConfigError(
                f"`{row.name}.device_class` must be a class of the file, got {row.device_class!r}. "
                f"{nearest(row.device_class, classes)}"
            )
    assumptions = from_dict(Assumptions, _table(values, "assumptions", path), "assumptions")
    return Prices(path, currency, classes, power, assumptions, throughput, training)


def is_number(value: Any) -> bool:
    """Whether `value` is a finite number and no truth value."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def check_number(name: str, value: Any, zero: bool = False) -> None:
    """Raise `ConfigError` unless `value` is a number above 0, or 0 where `zero` allows it."""
    if not is_number(value) or value < 0 or (value == 0 and not zero):
        wanted = "a number of at least 0" if zero else "a number above 0"
        raise ConfigError(f"`{name}` must be {wanted}, got {value!r}. Write it without quotes or currency, as 0.5.")


def check_date(name: str, value: Any) -> None:
    """Raise `ConfigError` unless `value` is a date written YYYY-MM-DD."""
    try:
        datetime.date.fromisoformat(str(value))
    except ValueError:
        got = repr(value) if value else "none"
        raise ConfigError(f"`{name}` must be a day as 2026-11-21, got {got}. Say when it was read.") from None


T = TypeVar("T")


def _build(cls: type[T], table: Any, name: str) -> T:
    if not isinstance(table, dict):
        raise ConfigError(f"`{name}` must be a table, got {table!r}. Write it under a heading [{name}].")
    if "name" in table:
        raise ConfigError(f"`{name}.name` must be left out, got {table['name']!r}. The heading is the name.")
    values = {key: str(value) if isinstance(value, datetime.date) else value for key, value in table.items()}
    return from_dict(cls, {**values, "name": name}, name)


def _rows(cls: type[T], values: dict[str, Any], key: str, path: Path) -> tuple[T, ...]:
    return tuple(_build(cls, table, f"{key}[{i}]") for i, table in enumerate(_list(values, key, path)))


def _table(values: dict[str, Any], key: str, path: Path) -> dict[str, Any]:
    found = values.get(key, {})
    if not isinstance(found, dict):
        raise ConfigError(f"`{key}` must be a table, got {found!r} in {path}. Write it under a heading [{key}].")
    return found


def _list(values: dict[str, Any], key: str, path: Path) -> Iterable[Any]:
    found = values.get(key, [])
    if not isinstance(found, list):
        raise ConfigError(f"`{key}` must be a list of tables, got {found!r} in {path}. Head each with [[{key}]].")
    return found
