"""Worldling: small action-conditioned video world models. Record, train, play, judge, on hardware you own.

    import worldling

    world = worldling.load("pusht")
    state = world.start(frames, actions)
    step = world.step(state, action)

Importing this prints nothing and loads nothing heavy: the names below are fetched when first used.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

__version__ = "0.1.0"

# name -> the module it comes from
_NAMES = {
    "load": "worldling.engine.library",
    "use_backend": "worldling.engine.backends",
    "Engine": "worldling.engine.engine",
    "bench": "worldling.engine.bench",
    "World": "worldling.world",
    "State": "worldling.world",
    "record": "worldling.data.record",
    "open_dataset": "worldling.data.store",
    "ActionSpace": "worldling.types",
    "Episode": "worldling.types",
    "Step": "worldling.types",
}
_VERBS = ("train", "judge")  # rooms that are also functions

__all__ = [*_NAMES, *_VERBS, "__version__"]


def __getattr__(name: str) -> Any:
    if name in _VERBS:
        return importlib.import_module(f"worldling.{name}")
    if name in _NAMES:
        return getattr(importlib.import_module(_NAMES[name]), name)
    raise AttributeError(f"module 'worldling' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)


class _Verb(ModuleType):
    """A room that can be called: `worldling.train(...)` runs the function `train` in worldling/train/train.py."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        name = self.__name__.rpartition(".")[2]
        return getattr(importlib.import_module(f"{self.__name__}.{name}"), name)(*args, **kwargs)


class _House(ModuleType):
    """The package. Python hangs an imported room on it under the very name that its function would have."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _VERBS and isinstance(value, ModuleType):
            value.__class__ = _Verb
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _House
