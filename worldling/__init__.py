"""Worldling: small action-conditioned video world models. Record, train, play, judge, on hardware you own.

    import worldling

    world = worldling.load("pusht")
    state = world.start(frames, actions)
    step = world.step(state, action)

The whole loop, with a game of your own (docs/your_own_game.md); every command of the command line is one of these:

    env = worldling.make_env("my_game.py:MyGame")                          # frames, actions; an id works too
    worldling.record("my_game.py:MyGame", "data/my_game", frames=20_000)   # a data set
    worldling.train("data/my_game", "worlds/my_game", minutes=30)          # a world; again to go on
    worldling.judge("worlds/my_game", "data/my_game-test", out="judged")   # report.json, as a dict
    worldling.play("worlds/my_game", beside="my_game.py:MyGame")           # in the browser, until Ctrl-C

Importing this prints nothing and loads no large package: the names below are imported when first used.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

# name -> the module it comes from, and its name there if it is another
_NAMES = {
    "make_env": "worldling.data.environment:open_environment",
    "play": "worldling.serve.play",
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
    "record_by_playing": "worldling.serve.human",
    "open_dataset": "worldling.data.store",
    "ActionSpace": "worldling.types",
    "Episode": "worldling.types",
    "Step": "worldling.types",
}
_CALLABLE = ("train", "judge")  # folders that are functions too
__all__ = [*_NAMES, *_CALLABLE, "__version__"]


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        module, _, known_as = _NAMES[name].partition(":")
        return getattr(importlib.import_module(module), known_as or name)
    if name in _CALLABLE:
        return importlib.import_module(f"worldling.{name}")
    raise AttributeError(f"module 'worldling' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
