"""Read one file of actions: a table of numbers or a list of words, one row per action.

.csv and .tsv: separated by commas, semicolons (then with decimal commas too), tabs or spaces, in UTF-8 with or without
a byte order mark, UTF-16 or Latin-1; lines that begin with # are left out. .npy: an array. .json: a list, a list of
objects, or {"actions": one of them}. .parquet: columns, or one of lists. A first row of names is allowed; a column that
counts the rows or tells the time is left out, as are all others beside one called "action".
"""

from __future__ import annotations

import csv
import importlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from worldling.errors import DataError

SUFFIXES = (".csv", ".tsv", ".npy", ".json", ".parquet")
_COUNTERS = ("", "index", "frame", "frame_index", "frame_id", "step", "row", "id", "unnamed: 0", "__index_level_0__")
_CLOCKS = ("time", "timestamp", "time_s", "time_ms", "seconds")
_ONLY = ("action", "actions")
_SWITCH = {"true": 1, "false": 0}
_LEAST_ROWS = 3  # of a column without a name that counts them


@dataclass(frozen=True)
class Table:
    """The actions of one file.

    values: `[T]` or `[T, A]` int64 or float64, or `[T]` text; names: of the columns, none or all; notes: what was left
    out, for people.
    """

    values: np.ndarray
    names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def read_table(file: Path) -> Table:
    """Read an action file of one of `SUFFIXES`, upper case too. Raises `DataError` that names the file and the row."""
    try:
        kind = file.suffix.lower()
        if kind == ".npy":
            table = _of_array(np.load(file, allow_pickle=False))
        elif kind == ".json":
            table = _of_json(json.loads(_text(file)))
        elif kind == ".parquet":
            table = _of_parquet(file)
        else:
            table = _of_text(_text(file))
    except (ValueError, KeyError, EOFError, OSError, csv.Error, RecursionError) as error:
        says = "an empty file" if isinstance(error, EOFError) or not file.stat().st_size else error
        raise DataError(
            f"`{file}` must hold one row of numbers, or one word, per action, got {says}. "
            "See the head of worldling/data/action_table.py."
        ) from None
    return Table(table.values, table.names, tuple(f"{file.name}: {note}" for note in table.notes))


def _text(file: Path) -> str:
    data = file.read_bytes()
    wide = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        text = data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    if "\0" in text:
        raise ValueError("bytes that are no text")
    return text


def _of_text(text: str) -> Table:
    lines = [(n, line) for n, line in enumerate(text.splitlines(), 1) if line.strip() and line.lstrip()[0] != "#"]
    if not lines:
        raise ValueError("no row")
    cut = _separator([line for _, line in lines])
    rows = []
    for _, line in lines:
        cells = line.split() if cut == " " else next(csv.reader([line], delimiter=cut, skipinitialspace=True))
        rows.append([_comma_to_point(cell.strip()) if cut == ";" else cell.strip() for cell in cells])
    while len(rows[0]) > 1 and all(len(row) == len(rows[0]) and row[-1] == "" for row in rows):
        rows = [row[:-1] for row in rows]  # each line ends with a separator
    numbers = [n for n, _ in lines]
    names: tuple[str, ...] = ()
    if _is_header(rows):
        names, rows, numbers = tuple(rows[0]), rows[1:], numbers[1:]
        if len(names) != len(rows[0]):
            raise ValueError(f"{len(names)} names above {len(rows[0])} columns: leave out a title, or begin it with #")
    return _of_rows(names, rows, numbers)


def _separator(lines: Sequence[str]) -> str:
    for cut in (";", "\t"):
        if all(cut in line for line in lines):
            return cut
    return " " if all("," not in line and len(line.split()) > 1 for line in lines) else ","


def _comma_to_point(cell: str) -> str:
    pointed = cell.replace(",", ".")
    return pointed if cell.count(",") == 1 and _number(pointed) is not None else cell


def _is_header(rows: list[list[str]]) -> bool:
    """Say whether the first row holds names: words that come nowhere below, or numbers above a column that counts."""
    first, rest = rows[0], rows[1:]
    if not rest:
        return False
    if len(first) > 1 and first == ["", *map(str, range(len(first) - 1))]:
        return all(row and row[0] != "" for row in rest)
    if any(_number(cell) is not None for cell in first) or not any(first):
        return False
    if len(first) == 1 and all(_number(row[0]) is None for row in rest if row):
        return first[0] not in {row[0] for row in rest}
    return True


def _number(cell: Any) -> float | None:
    """Return a cell's number (of true and false too), or None if it has none that is finite."""
    if isinstance(cell, str):
        cell = _SWITCH.get(cell.lower(), cell)
    try:
        value = float(cell)
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None


def _is_whole(cell: Any) -> bool:
    if isinstance(cell, str):
        return not set(".eE") & set(cell) or cell.lower() in _SWITCH
    return isinstance(cell, (bool, int, np.integer, np.bool_))


def _of_rows(names: tuple[str, ...], rows: Sequence[Sequence[Any]], numbers: Sequence[int]) -> Table:
    """Make a table of cells; numbers: of the rows in the file."""
    for number, row in zip(numbers, rows, strict=True):
        if len(row) != len(rows[0]):
            raise ValueError(f"{len(row)} values in row {number} and {len(rows[0])} in row {numbers[0]}")
    names, rows, notes = _only_actions(names, rows)
    if len(rows[0]) == 1 and all(isinstance(row[0], str) and row[0] and _number(row[0]) is None for row in rows):
        missing = [n for n, row in zip(numbers, rows, strict=True) if row[0].lower() in ("nan", "na", "null")]
        if missing:
            raise ValueError(f"no word in row {missing[0]}")
        return Table(np.asarray([row[0] for row in rows]), (), notes)
    values = [[_number(cell) for cell in row] for row in rows]
    for number, row, found in zip(numbers, rows, values, strict=True):
        if None in found:
            raise ValueError(f"no number in row {number}, column {found.index(None) + 1} ({row[found.index(None)]!r})")
    whole = all(_is_whole(cell) for row in rows for cell in row)
    array = np.asarray(values, np.float64).astype(np.int64 if whole else np.float64)
    return Table(array[:, 0] if array.shape[1] == 1 else array, names, notes)


def _only_actions(
    names: tuple[str, ...], rows: Sequence[Sequence[Any]]
) -> tuple[tuple[str, ...], Sequence[Sequence[Any]], tuple[str, ...]]:
    """Leave out the columns that are no actions; return names, rows and notes."""
    width = len(rows[0])
    if width < 2:
        return names, rows, ()
    plain = [name.strip().lower() for name in names]
    only = [i for i, name in enumerate(plain) if name in _ONLY]
    if only:
        kept, why = only[:1], "are no actions"
    else:
        columns = [[_number(row[i]) for row in rows] for i in range(width)]
        left = [i for i in range(width) if _is_counter(plain[i] if names else None, columns[i], i)]
        kept, why = [i for i in range(width) if i not in left], "counts rows or tells the time, and is no action"
    out = [names[i] or f"number {i + 1}" if names else f"number {i + 1}" for i in range(width) if i not in kept]
    if not out or not kept:
        return names, rows, ()
    notes = (f"column {', '.join(out)} {why}: left out",)
    named = tuple(names[i] for i in kept) if names and any(names[i] != str(i - 1) for i in kept) else ()
    return named, [[row[i] for i in kept] for row in rows], notes


def _is_counter(name: str | None, column: list[float | None], place: int) -> bool:
    """Say whether a column counts the rows or tells the time; name: None in a table without names."""
    values = [value for value in column if value is not None]
    if len(values) < len(column) or not (np.diff(values) > 0).all():
        return False
    if name is not None and name not in _COUNTERS:
        return name in _CLOCKS
    steps = bool((np.diff(values) == 1).all()) and values[0] in (0, 1)
    return steps and (name is not None or (place == 0 and len(values) >= _LEAST_ROWS))


def _of_json(values: Any) -> Table:
    if isinstance(values, dict):
        values = values["actions"]
    if not isinstance(values, list) or not values:
        raise ValueError("no list of actions")
    numbers = range(1, len(values) + 1)
    if isinstance(values[0], dict):
        names = tuple(values[0])
        if any(not isinstance(row, dict) or set(row) != set(names) for row in values):
            raise ValueError("objects with different keys")
        return _of_rows(names, [[row[name] for name in names] for row in values], numbers)
    rows = [row if isinstance(row, list) else [row] for row in values]
    table = _of_rows((), rows, numbers) if isinstance(values[0], str) else _of_numbers(rows, numbers)
    return table


def _of_numbers(rows: Sequence[Sequence[Any]], numbers: Sequence[int]) -> Table:
    """Make a table of bare numbers, whose columns are all actions."""
    for number, row in zip(numbers, rows, strict=True):
        if len(row) != len(rows[0]) or any(isinstance(cell, str) or _number(cell) is None for cell in row):
            raise ValueError(f"no {len(rows[0])} numbers in row {number}")
    whole = all(_is_whole(cell) for row in rows for cell in row)
    array = np.asarray(rows, np.int64 if whole else np.float64)
    return Table(array[:, 0] if array.shape[1] == 1 else array)


def _of_array(array: np.ndarray) -> Table:
    if array.dtype.names:
        rows = [list(row) for row in array.tolist()]
        return _of_rows(tuple(array.dtype.names), rows, range(1, len(rows) + 1))
    if array.dtype.kind in "US" and array.ndim == 1 and array.size:
        return _of_rows((), [[str(cell)] for cell in array.astype(str)], range(1, len(array) + 1))
    if array.ndim not in (1, 2) or array.dtype.kind not in "iufb" or not array.size:
        raise ValueError(f"{array.dtype} {list(array.shape)}")
    bad = ~np.isfinite(array.reshape(len(array), -1)).all(axis=1)
    if bad.any():
        raise ValueError(f"no number in row {int(bad.argmax()) + 1}")
    return Table(array.astype(np.int64) if array.dtype.kind != "f" else array.astype(np.float64))


def _of_parquet(file: Path) -> Table:
    try:
        parquet = importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise DataError(
            f"`{file}` must be read with pyarrow, got none installed. Run pip install pyarrow, or write .csv."
        ) from None
    read = parquet.read_table(file)
    names = tuple(read.column_names)
    columns = [column.to_pylist() for column in read.columns]
    if not columns or not columns[0]:
        raise ValueError("no row")
    only = [i for i, name in enumerate(names) if name.lower() in _ONLY]
    chosen = only[0] if only else 0
    if (only or len(columns) == 1) and isinstance(columns[chosen][0], list):
        table = _of_numbers(columns[chosen], range(1, len(columns[chosen]) + 1))
        others = ", ".join(name for i, name in enumerate(names) if i != chosen)
        return Table(table.values, (), (f"column {others} are no actions: left out",) if others else ())
    return _of_rows(names, list(zip(*columns, strict=True)), range(1, len(columns[0]) + 1))
