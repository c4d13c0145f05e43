"""The environment that a world's card names, opened only if Worldling knows it or the user named it.

A card may come from a stranger. Gymnasium imports the module that an id names, and environments take arguments such as
paths of models, so on a card's word alone only the simulators in simulators.py are opened.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from worldling.data import simulators
from worldling.errors import EnvError
from worldling.untrusted import printable

_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")  # no path, no file, no module


def check_card_environment(source: Mapping[str, Any], named: bool = False) -> None:
    """Raise `EnvError` unless the environment of a world's card may be opened.

    source: `env_id`, `frame_skip` and `env_kwargs` of the card, as in dataset.json; named: the user named an
    environment, so that of the card is not opened, with the card's arguments.
    """
    env_id, skip, given = source.get("env_id"), source.get("frame_skip", 1), source.get("env_kwargs", {})
    if not named and not (isinstance(env_id, str) and simulators.is_known(env_id)):
        shown = printable(str(env_id))
        raise EnvError(
            f"`--beside` must be given an environment that you named, got {shown!r} from the world's card, which "
            f"Worldling does not know and so does not import. If you trust it, name it yourself: --beside {shown}."
        )
    if not isinstance(given, dict) or not all(_is_plain(key) and _is_plain(value) for key, value in given.items()):
        raise EnvError(
            f"`env_kwargs` of the world's card must be numbers and single words, got {printable(str(given))}. "
            "Play it without --beside."
        )
    if type(skip) is not int or not 1 <= skip <= 1000:
        raise EnvError(f"`frame_skip` of the world's card must be 1 to 1000, got {skip!r:.40}. Copy the folder again.")


def _is_plain(value: Any) -> bool:
    """Say whether a json value is a number, a truth value, nothing, a single word, or a list of at most 100 such."""
    if isinstance(value, (list, tuple)):
        return len(value) <= 100 and all(not isinstance(v, (list, tuple)) and _is_plain(v) for v in value)
    if isinstance(value, str):
        return _WORD.fullmatch(value) is not None
    return value is None or isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value))
