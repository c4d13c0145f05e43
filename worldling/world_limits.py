"""Limits of a world's settings: checked before anything is allocated, since a stranger may have written them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from worldling.dynamics.keypoints import MOST_POINTS
from worldling.errors import ConfigError
from worldling.untrusted import check_name, check_texts

if TYPE_CHECKING:
    from worldling.world import WorldConfig

#: Memory that the networks and the state of one player may take, in bytes.
MOST_BYTES = 4 * 2**30
#: Smallest and largest value of the settings that are counts.
COUNTS = {
    "tokenizer.size_px": (8, 1024),
    "tokenizer.grid": (1, 128),
    "tokenizer.channels": (1, 4096),
    "tokenizer.levels": (2, 256),
    "tokenizer.merge": (1, 16),
    "tokenizer.seen_px": (0, 512),
    "dynamics.action_size": (1, 65536),
    "dynamics.width": (8, 8192),
    "dynamics.head_dim": (4, 8192),
    "dynamics.head_layers": (0, 64),
    "dynamics.window": (1, 4096),
    "dynamics.sinks": (0, 256),
    "dynamics.keypoints": (0, MOST_POINTS),
    "outcome.width": (1, 4096),
    "context": (1, 1000),
}
MOST_LAYERS = 64


def check_settings(config: WorldConfig) -> None:
    """Raise `ConfigError` unless a world's settings are in range, fit together and fit into `MOST_BYTES`."""
    for name, (least, most) in COUNTS.items():
        value: Any = config
        for part in name.split("."):
            value = getattr(value, part)
        _check(name, least <= value <= most, f"{least} to {most}", value)
    for name in ("name", "size"):
        check_name(getattr(config, name), name)
        _check(name, 0 < len(getattr(config, name)) <= 100, "1 to 100 characters", getattr(config, name)[:20])
    tokenizer, dynamics = config.tokenizer, config.dynamics
    _check("fps", math.isfinite(config.fps) and 0 < config.fps <= 1000, "above 0 and at most 1000", config.fps)
    layers = len(dynamics.backbone)
    _check("dynamics.backbone", layers <= MOST_LAYERS, f"at most {MOST_LAYERS} letters", f"{layers} letters")
    whole = dynamics.width % dynamics.head_dim == 0
    _check("dynamics.head_dim", whole, f"a divisor of the width {dynamics.width}", dynamics.head_dim)
    for name in ("grid", "channels", "levels"):
        wanted, got = getattr(tokenizer, name), getattr(dynamics, name)
        _check(f"dynamics.{name}", wanted == got, f"{wanted}, as the tokenizer's", got)
    size = config.action_space.size
    _check("dynamics.action_size", dynamics.action_size == size, f"{size}, as the action space's", dynamics.action_size)
    needed = bytes_needed(config)
    _check("config", needed <= MOST_BYTES, f"of a world of at most {MOST_BYTES:,} bytes", f"about {needed:,} bytes")


def bytes_needed(config: WorldConfig) -> int:
    """Estimate the memory of a world's networks in fp32 and of one row of its state, in bytes."""
    c, t = config.dynamics, config.tokenizer
    heads, pairs = c.width // c.head_dim, c.tokens**2
    space = c.backbone.count("S") + c.head_layers
    layer = 12 * c.width**2 + 32 * c.width
    weights = (len(c.backbone) + c.head_layers) * layer + space * heads * (2 * c.grid - 1) ** 2
    weights += c.width * (2 * c.channels + c.channels * c.levels + 9 * c.action_size + c.tokens + 3 * c.channels)
    weights += 10 * 256 * (t.codes + 3 * t.patch**2) + 2_000_000
    weights += 256 * 13 * c.keypoints * (c.keypoints + 5) + (1_000_000 if c.keypoints else 0)
    memory = 2 * c.time_layers * c.slots * c.tokens * c.width
    scores = heads * pairs + c.tokens * c.channels * c.levels
    return 4 * (weights + memory + scores) + 8 * space * pairs + 16 * t.size_px**2


def check_card(card: dict[str, Any]) -> None:
    """Raise `ConfigError` unless a card's texts are printable and what is computed with has its type and range."""
    check_texts(card, "card")
    for name in ("source", "cost", "quality", "parameters", "data"):
        _check(f"card.{name}", isinstance(card.get(name, {}), dict), "an object", card.get(name))
    source = card.get("source", {})
    for name, kind, what in (("env_id", str, "text"), ("env_kwargs", dict, "an object"), ("seed", int, "whole")):
        _check(f"card.source.{name}", isinstance(source.get(name, kind()), kind), what, source.get(name))
    skip, fps = source.get("frame_skip", 1), source.get("fps", 30.0)
    _check("card.source.frame_skip", type(skip) is int and 1 <= skip <= 1000, "1 to 1000", skip)
    _check("card.source.fps", type(fps) in (int, float) and 0 < fps <= 10000, "above 0 and at most 10000", fps)
    for name, value in card.get("parameters", {}).items():
        _check(f"card.parameters.{name}", type(value) is int and value >= 0, "a whole number", value)
    for name in ("minutes", "steps"):
        part = card.get("cost", {}).get(name, {})
        _check(f"card.cost.{name}", isinstance(part, dict), "an object", part)
        for key, value in part.items():
            fits = type(value) in (int, float) and math.isfinite(value) and value >= 0
            _check(f"card.cost.{name}.{key}", fits, "a number of at least 0", value)


def _check(name: str, fits: bool, wanted: str, got: Any) -> None:
    if not fits:
        shown = ascii(got)
        raise ConfigError(
            f"`{name}` must be {wanted}, got {shown if len(shown) < 80 else shown[:77] + '...'}. "
            "Give the folder as it was written by worldling."
        )
