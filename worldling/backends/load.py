"""`worldling.load`: load a world from disk, on the fastest backend of this machine."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from worldling.protocol import WorldModel
from worldling.untrusted import printable
from worldling.world import World


def load(name_or_path: str | Path, backend: str = "auto", device: str = "auto", quiet: bool = True) -> World:
    """Load a bundled world by name, or any world by its folder.

    backend: see `worldling.backends.choose`; device: "cpu", "cuda" or "auto" (cuda if there is one); quiet:
    do not print which backend was chosen and why (see `world.backend.name` and `world.backend.reason`), nor that
    compiled graphs in the folder are ignored. All that the folder holds is data: nothing of it is executed.
    Raises `CheckpointError` or `BackendError`.
    """
    from worldling.backends.cache import cache_folder, foreign_graphs
    from worldling.backends.choose import use_backend
    from worldling.machine import find_device
    from worldling.world_files import load_world

    if device == "auto" and backend.startswith("openvino"):
        device = "cpu"
    world = load_world(name_or_path, find_device(device))
    ignored = foreign_graphs(world.path)
    if ignored and not quiet:
        print(
            f"{printable(str(world.path))}: {printable(', '.join(ignored))} not read: compiled graphs are code, and "
            f"come only from your own cache, {cache_folder()}",
            file=sys.stderr,
            flush=True,
        )
    return use_backend(world, backend, quiet)


def open_world(
    world: str | Path | WorldModel,
    backend: str = "auto",
    quiet: bool = True,
    world_args: Mapping[str, Any] | None = None,
) -> WorldModel:
    """Open a world however it is given: a folder, a bundled name, file.py:callable that makes a `WorldModel`, or one.

    world_args: arguments of the callable. Raises `CheckpointError`, `BackendError` or `ConfigError`.
    """
    from worldling.foreign import foreign_world
    from worldling.plugin import names_code

    if not isinstance(world, (str, Path)):
        return world
    if names_code(str(world)):
        return foreign_world(str(world), world_args or {})
    return load(world, backend, quiet=quiet)
