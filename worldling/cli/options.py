"""Parse options that several commands share."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from worldling.errors import ConfigError, nearest
from worldling.plugin import names_code

if TYPE_CHECKING:
    from worldling.protocol import WorldModel

BACKENDS = (
    "auto, reference, torch, openvino-f32, openvino-bf16 or openvino-int8; all but torch also as NAME+delta=0.02, "
    "which makes only the cells of a frame that may change"
)


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
            short = re.fullmatch(r"[+-]?(\d+\.|\.\d+)", value)  # numbers that json does not know: .5 and 5.
            values[name] = float(value) if short else python.get(value, value)
    return values


def open_worlds(names: list[str], arguments: list[str], backend: str, quiet: bool) -> list[WorldModel]:
    """Open worlds by folder, by bundled name, or as file.py:callable, which is called with `arguments` NAME=VALUE.

    Raises `ConfigError` if `arguments` or `backend` apply to none of the worlds, and what opening a world raises.
    """
    from worldling.backends.load import open_world

    foreign = [name for name in names if names_code(name)]
    if arguments and not foreign:
        raise ConfigError(f"`--world-arg` must go with file.py:callable, got {', '.join(names)}. Leave it out.")
    if backend != "auto" and len(foreign) == len(names):
        raise ConfigError(
            f"`--backend` must be left out for {', '.join(foreign)}, got {backend}. A world not ours runs its own code."
        )
    given = parse_pairs(arguments, "world-arg")
    worlds: list[WorldModel] = [open_world(name, backend, quiet, given) for name in names]
    for world in worlds:
        verdict = training_verdict(world.card)
        if verdict and not quiet:
            print(f"{world.config.name}: {verdict}", file=sys.stderr, flush=True)
    return worlds


def names_world(text: str) -> bool:
    """Say whether `text` is a bundled world's name or a world's folder."""
    from worldling.world_files import bundled_worlds

    return text in bundled_worlds() or (Path(text) / "config.json").is_file()


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


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line that helps, as all others: `ConfigError` instead of a page of usage."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **{"allow_abbrev": False, **keywords})

    def error(self, message: str) -> NoReturn:
        """Raise `ConfigError` for what argparse found; names the nearest command or option."""
        unknown = re.fullmatch(r"argument COMMAND: invalid choice: '?(.*?)'? \(choose from (.*)\)", message, re.DOTALL)
        if unknown:
            name, choices = unknown[1], [choice.strip("' ") for choice in unknown[2].split(",")]
            raise ConfigError(f"`command` must be one that there is, got {name!r}. {nearest(name, choices)}")
        strange = re.fullmatch(r"unrecognized arguments: (.*)", message, re.DOTALL)
        if strange:
            words = strange[1].split()
            first = next((word for word in words if word.startswith("-")), words[0])
            hint = nearest(first.partition("=")[0], self._known()) if first.startswith("-") else ""
            hint = hint if hint.startswith("Did you mean") else f"See {self.prog} --help."
            raise ConfigError(f"`{self.prog}` must be given options it has, got {first!r}. {hint}")
        if message.startswith("argument "):
            option, _, says = message.removeprefix("argument ").partition(": ")
            raise ConfigError(f"`{option}` must be right, got: {says}. See {self.prog} --help.")
        raise ConfigError(
            f"`{self.prog}` must be given all it needs, got too little: {message}. See {self.prog} --help."
        )

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse as argparse does, and tell of unknown options by the command they were given to."""
        found, rest = self.parse_known_args(args, namespace)
        if rest:
            getattr(found, "parser", self).error(f"unrecognized arguments: {' '.join(rest)}")
        return found

    def _known(self) -> list[str]:
        return [option for action in self._actions for option in action.option_strings]


def count(text: str) -> int:
    """Read a number of frames, such as 20000, 20_000, 20k or 1.5M. A type for argparse."""
    found = re.fullmatch(r"([+-]?[\d_,]+|[+-]?[\d_]*\.\d+)([kKmM]?)", text.strip())
    try:
        if found is None:
            raise ValueError
        value = float(found[1].replace(",", "").replace("_", "")) * {"": 1, "k": 1e3, "m": 1e6}[found[2].lower()]
        if value != round(value):
            raise ValueError
        return round(value)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}, which is no whole number such as 20000, 20k or 1.5M") from None


def parse_ints(text: str, option: str) -> list[int]:
    """Parse whole numbers such as 1,8 or 1k,10k."""
    try:
        return [count(part) for part in text.split(",")]
    except argparse.ArgumentTypeError:
        raise ConfigError(
            f"`--{option}` must be whole numbers with commas, got {text!r}. Write for example 1,8."
        ) from None


def parse_numbers(text: str, option: str) -> list[float]:
    """Parse numbers such as 0.5,20."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise ConfigError(f"`--{option}` must be numbers with commas, got {text!r}. Write for example 1,20.") from None
