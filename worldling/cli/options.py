"""What several commands of the command line share: names of backends, and options read from text."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from worldling.errors import ConfigError
from worldling.plugin import names_code

if TYPE_CHECKING:
    from worldling.protocol import WorldModel

BACKENDS = "auto, reference, torch, openvino-f32, openvino-bf16 or openvino-int8"


def pairs(texts: list[str], option: str) -> dict[str, Any]:
    """Turn NAME=VALUE texts into values: json where it parses, or True, False and None, else text."""
    values, python = {}, {"True": True, "False": False, "None": None}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"`--{option}` must be NAME=VALUE, got {text!r}. Write for example --{option} seed=1.")
        try:
            values[name] = json.loads(value)
        except ValueError:
            values[name] = python.get(value, value)
    return values


def open_worlds(names: list[str], arguments: list[str], backend: str, quiet: bool) -> list[WorldModel]:
    """Open worlds by folder, by bundled name, or as file.py:callable, which is called with `arguments` NAME=VALUE.

    Raises `ConfigError` if `arguments` or `backend` were given with none that takes them, or as what opens them.
    """
    from worldling.backends.load import load
    from worldling.foreign import foreign_world

    foreign = [name for name in names if names_code(name)]
    if arguments and not foreign:
        raise ConfigError(f"`--world-arg` must go with file.py:callable, got {', '.join(names)}. Leave it out.")
    if backend != "auto" and len(foreign) == len(names):
        raise ConfigError(
            f"`--backend` must be left out for {', '.join(foreign)}, got {backend}. A world not ours runs its own code."
        )
    given = pairs(arguments, "world-arg")
    return [foreign_world(name, given) if name in foreign else load(name, backend, quiet=quiet) for name in names]


def names_world(text: str) -> bool:
    """Say whether `text` is a bundled world's name or a world's folder."""
    from worldling.world_files import bundled_worlds

    return text in bundled_worlds() or (Path(text) / "config.json").is_file()


def left_out(a: argparse.Namespace, names: Iterable[str], when: str) -> None:
    """Raise `ConfigError` if one of the options `names` was given, which mean nothing `when` another is or is not."""
    for name in names:
        if getattr(a, name) is not None:
            raise ConfigError(f"`{name}` must be left out {when}, got {getattr(a, name)!r}. Change one of the two.")


def whole(text: str, option: str) -> list[int]:
    """Turn a text like 1,8 into whole numbers."""
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise ConfigError(
            f"`--{option}` must be whole numbers with commas, got {text!r}. Write for example 1,8."
        ) from None
