"""What a page needs to know of a world that it plays, whoever makes the frames."""

from __future__ import annotations

from typing import Any

from worldling.about import about_world, verdict_of
from worldling.data.fit import picture_of
from worldling.data.hands import is_pointer
from worldling.protocol import WorldModel

#: How far back a player can go, in seconds.
HISTORY_S = 60


def describe(world: WorldModel, fps: float) -> dict[str, Any]:
    """Return what the player (worldling/player) reads of `world`, as json values; fps: frames a second at speed 1.

    The caller adds `id`, `backend`, `beside` and `can_start_from_picture`.
    """
    space, about = world.action_space, about_world(world.card, world.config.name)
    picture = picture_of(world.card.get("source", {}), world.size_px)
    return {
        "name": world.config.name,
        "title": about.title,
        "what": about.what,
        "how": about.how,
        "verdict": verdict_of(world.card),
        "size_px": world.size_px,
        "picture_px": [picture.width, picture.height],
        "aspect": picture.aspect,
        "fps": fps,
        "num_starts": len(world.contexts),
        "history_frames": round(HISTORY_S * fps),
        "pointer": is_pointer(space),
        "action_space": {
            "kind": space.kind,
            "nvec": space.nvec,
            "low": space.low,
            "high": space.high,
            "names": space.names,
        },
    }
