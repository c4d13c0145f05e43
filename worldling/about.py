"""What a world is called, what it shows, and what a player does in it: from its card, for people."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from worldling.untrusted import has_control

#: Longest title and longest sentence that are shown, in characters.
LONGEST_TITLE, LONGEST_SENTENCE = 60, 200


@dataclass(frozen=True)
class About:
    """A world in words. title: a few; what: what it shows, how: what to do in it, a sentence each, or nothing."""

    title: str
    what: str = ""
    how: str = ""


def about_world(card: Mapping[str, Any], name: str) -> About:
    """Return what a world's card says of it for people, shortened to what can be shown.

    card: its `about` is an object with the texts `title`, `what` and `how`, all optional; else the title is made of the
    environment's id, or of `name`, and `what` is what the environment says of itself.
    """
    source, about = card.get("source", {}), card.get("about", {})
    source, about = (part if isinstance(part, Mapping) else {} for part in (source, about))
    title = _text(about.get("title"), LONGEST_TITLE) or title_of(str(source.get("env_id") or "")) or name
    what = about.get("what") or source.get("about")
    return About(title[:LONGEST_TITLE], _text(what, LONGEST_SENTENCE), _text(about.get("how"), LONGEST_SENTENCE))


def verdict_of(card: Mapping[str, Any]) -> str:
    """Return how training said that a world plays, such as "not playable yet", or nothing."""
    quality = card.get("quality")
    return _text(quality.get("verdict"), LONGEST_TITLE) if isinstance(quality, Mapping) else ""


def title_of(env_id: str) -> str:
    """Return an environment's name for people: "my_game.py:MyGame" is "My game", "ALE/Pong-v5" is "Pong"."""
    name = re.split(r"[/:\\]", env_id.removesuffix(".py"))[-1]
    name = re.sub(r"-v\d+$", "", name)
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[_\-\s]+", " ", name).split()
    return " ".join(word if i == 0 or word.isupper() else word.lower() for i, word in enumerate(words)).strip()


def first_sentence(doc: str | None) -> str:
    """Return the first line of an environment's docstring if it is a plain sentence that can be shown, else nothing."""
    line = (doc or "").strip().split("\n\n")[0]
    line = " ".join(line.split())
    plain = 0 < len(line) <= LONGEST_SENTENCE and line[0].isalnum() and line.endswith(".") and not has_control(line)
    return line if plain else ""


def _text(value: Any, longest: int) -> str:
    if not isinstance(value, str) or has_control(value):
        return ""
    return value if len(value) <= longest else value[: longest - 1] + "…"
