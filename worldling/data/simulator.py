"""What can be special about a family of environments: how to import, draw and read the state of it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np


def declared(raw: Any, name: str) -> Any:
    """Return what an environment's metadata say under `name`, or None."""
    metadata = getattr(raw, "metadata", None)
    return metadata.get(name) if isinstance(metadata, dict) else None


def declared_fps(raw: Any) -> float:
    """Return the frames per second that an environment declares, or 30 where it declares no such number."""
    try:
        fps = float(declared(raw, "render_fps"))
    except (TypeError, ValueError):
        return 30.0
    return fps if 0 < fps < float("inf") else 30.0


@dataclass(frozen=True)
class Simulator:
    """One family of environments.

    entry: start of the Gymnasium entry point; prefixes and module: starts of ids whose registration needs
    `module` imported; extra: the pip extra that installs it; install: what pip installs where there is no extra;
    package: distribution for the version; renders: whether frames come from `render()`, so the environment must be
    made with rgb_array; picture: its picture, None where it draws none now; prepare: called when it was made and after
    each reset, before it draws; imported: called with the module.
    """

    name: str
    entry: str
    license: str
    prefixes: tuple[str, ...] = ()
    module: str = ""
    extra: str = ""
    install: str = ""
    package: str = "gymnasium"
    renders: bool = True
    frame_skip: int = 1
    fps: float | Callable[[Any], float] | None = None  # where the environment's own metadata is wrong
    skip_keyword: str = ""  # the environment's own argument for frame skip, if it has one
    defaults: dict[str, Any] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    picture: Callable[[Any, Any, int], np.ndarray | None] | None = None
    state: Callable[[Any], dict[str, np.ndarray]] = lambda raw: {}
    prepare: Callable[[Any], None] = lambda raw: None
    imported: Callable[[Any], None] = lambda module: None

    def frames_per_second(self, raw: Any) -> float:
        """Return the simulator's steps per second of real time."""
        if callable(self.fps):
            with suppress(Exception):  # another version of the package
                return float(self.fps(raw.unwrapped))
            return declared_fps(raw)
        return self.fps or declared_fps(raw)
