"""Worldling: small action-conditioned video world models. Record, train, play, judge, on hardware you own.

    import worldling

    world = worldling.load("pusht")
    state = world.start(frames, actions)
    step = world.step(state, action)

Importing this prints nothing and loads no large package: the names below are imported when first used.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

# name -> the module it comes from
_NAMES = {
    "load": "worldling.backends.load",
    "use_backend": "worldling.backends.choose",
    "Engine": "worldling.engine.engine",
    "bench": "worldling.backends.bench",
    "World": "worldling.world",
    "State": "worldling.state",
    "ForeignWorld": "worldling.foreign",
    "WorldModel": "worldling.protocol",
    "DriftAlarm": "worldling.alarm",
    "record": "worldling.data.record",
    "open_dataset": "worldling.data.store",
    "ActionSpace": "worldling.types",
    "Episode": "worldling.types",
    "Step": "worldling.types",
}
__all__ = [*_NAMES, "__version__"]


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return getattr(importlib.import_module(_NAMES[name]), name)
    raise AttributeError(f"module 'worldling' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
