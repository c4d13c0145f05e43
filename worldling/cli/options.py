"""Parse options that several commands share."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from worldling.errors import ConfigError
from worldling.plugin import names_code

if TYPE_CHECKING:
    from worldling.protocol import WorldModel

BACKENDS = "auto, reference, torch, openvino-f32, openvino-bf16 or openvino-int8"


def parse_pairs(texts: list[str], option: str) -> dict[str, Any]:
    """Parse NAME=VALUE texts: a value is json if it parses, or True, False or None, else text."""
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

    Raises `ConfigError` if `arguments` or `backend` apply to none of the worlds, and what opening a world raises.
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
    given = parse_pairs(arguments, "world-arg")
    worlds: list[WorldModel] = [
        foreign_world(name, given) if name in foreign else load(name, backend, quiet=quiet) for name in names
    ]
    for world in worlds:
        verdict = training_verdict(world.card)
        if verdict and not quiet:
            print(f"{world.config.name}: {verdict}", file=sys.stderr, flush=True)
    return worlds


def training_verdict(card: dict[str, Any]) -> str | None:
    """Return what training said of a world at its end, by the world's card; None if it said nothing."""
    quality = card.get("quality")
    verdict, summary = (quality.get(key) if isinstance(quality, dict) else None for key in ("verdict", "summary"))
    return f"{verdict}: {summary}" if isinstance(verdict, str) and isinstance(summary, str) else None


def reject_options(a: argparse.Namespace, names: Iterable[str], when: str) -> None:
    """Raise `ConfigError` if one of the options `names` was given; when: they do not apply, such as "with --plan"."""
    for name in names:
        if getattr(a, name) is not None:
            raise ConfigError(f"`{name}` must be left out {when}, got {getattr(a, name)!r}. Change one of the two.")


def parse_ints(text: str, option: str) -> list[int]:
    """Parse whole numbers such as 1,8."""
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise ConfigError(
            f"`--{option}` must be whole numbers with commas, got {text!r}. Write for example 1,8."
        ) from None
