"""Settings as frozen dataclasses, to and from json. Unknown keys are errors that name the nearest match."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import os
import tempfile
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from worldling.errors import ConfigError, DiskFullError, nearest

T = TypeVar("T")
#: Settings that had another name before, old name to new, by class. Files and `--set` with the old names still work.
RENAMED: dict[str, dict[str, str]] = {
    "DynamicsConfig": {"aims": "centered_scores", "head": "head_layers"},
    "TrainConfig": {
        "aims": "centered_scores",
        "by_surprise": "prioritized",
        "calm": "latent_smoothness",
        "cells": "sparse_share",
        "clips": "batch_clips",
        "coarse": "tokenizer_levels",
        "frames": "batch_frames",
        "own_every": "rollout_every",
        "own_frames": "rollout_frames",
        "own_from": "rollout_from",
        "own_reuse": "rollout_reuse",
        "own_share": "rollout_share",
    },
}
_KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}


def to_dict(config: Any) -> dict[str, Any]:
    """Turn a (nested) dataclass into plain json values, without fields marked `if_set` that are not.

    Such a field came later: files and digests from before it stay as they were.
    """
    values: dict[str, Any] = json.loads(json.dumps(_fields(config)))
    return values


def _fields(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        named = ((f, getattr(value, f.name)) for f in dataclasses.fields(value))
        return {f.name: _fields(item) for f, item in named if item or not f.metadata.get("if_set")}
    if isinstance(value, dict):
        return {key: _fields(item) for key, item in value.items()}
    return [_fields(item) for item in value] if isinstance(value, (list, tuple)) else value


def finite(value: Any) -> Any:
    """Return json values with null for numbers that are none (NaN, infinity), which json does not know."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def renamed(cls: type, values: dict[str, Any]) -> dict[str, Any]:
    """Return `values` with today's names for the settings of dataclass `cls`. Raises `ConfigError` if one has both."""
    names = RENAMED.get(cls.__name__, {})
    for old in names.keys() & values.keys():
        if names[old] in values:
            raise ConfigError(f"`{old}` must be left out beside `{names[old]}`, its name today, got both. Keep one.")
    return {names.get(key, key): value for key, value in values.items()}


def from_dict(cls: type[T], values: dict[str, Any], where: str = "config") -> T:
    """Build dataclass `cls` from json values; raises `ConfigError` on unknown or missing keys."""
    if not isinstance(values, dict):
        raise ConfigError(f"`{where}` must be an object, got {type(values).__name__}. Check the file it came from.")
    values = renamed(cls, values)
    fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for key in values:
        if key not in fields:
            raise ConfigError(f"`{where}.{key}` must be a known setting, got {key!r}. {nearest(key, fields)}")
    hints = typing.get_type_hints(cls)
    built = {}
    for key, value in values.items():
        hint = hints[key]
        if dataclasses.is_dataclass(hint) and isinstance(value, dict):
            value = from_dict(hint, value, f"{where}.{key}")  # type: ignore[arg-type]
        elif isinstance(value, list):
            value = tuple(value)
        built[key] = value
    try:
        return cls(**built)
    except TypeError as error:
        raise ConfigError(f"`{where}` must be complete, got {sorted(values)}. {error}.") from None


def replace(config: T, **changes: Any) -> T:
    """Return a copy of `config` with `changes`.

    Raises `ConfigError` for unknown names and for values of another kind than what is there.
    """
    names = [f.name for f in dataclasses.fields(config)]  # type: ignore[arg-type]
    changes = renamed(type(config), changes)
    for key, value in changes.items():
        if key not in names:
            raise ConfigError(f"`{key}` must be a setting, got {key!r}. {nearest(key, names)}")
        kind = type(getattr(config, key))
        if not isinstance(value, {float: (int, float)}.get(kind, kind)) or (
            isinstance(value, bool) and kind is not bool
        ):
            raise ConfigError(
                f"`{key}` must be {_KINDS.get(kind, kind.__name__)}, got {value!r}. As it is: {getattr(config, key)!r}."
            )
    return dataclasses.replace(config, **changes)  # type: ignore[type-var]


def write_atomic(path: str | Path, data: bytes | str) -> None:
    """Write a whole file or nothing: to a temporary neighbour first, then renamed.

    Raises `DiskFullError` when the disk is full; the old file, if any, stays as it was.
    """
    with new_file(path) as file:
        file.write(data.encode() if isinstance(data, str) else data)


@contextlib.contextmanager
def new_file(path: str | Path) -> Iterator[BinaryIO]:
    """Open a file to be written piece by piece; it appears once the `with` ends well, else not at all.

    Raises `DiskFullError` as `write_atomic` does.
    """
    path = Path(path)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError as error:
        Path(temporary).unlink(missing_ok=True)
        if error.errno == 28:  # ENOSPC
            raise DiskFullError(
                f"`{path}` must fit on the disk, got {error.strerror}. Free some space and run the command again."
            ) from None
        raise
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
