"""Cache of built graphs: in the world's folder, or in the user's cache folder if that cannot be written."""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path

from worldling.config import to_dict
from worldling.world import World

PACKAGE = Path(__file__).parent.parent
# The code that decides what a graph computes. A change in it makes all cached graphs stale.
SOURCES = (
    "types.py",
    "tick.py",
    "state.py",
    "world.py",
    "nn/*.py",
    "dynamics/model.py",
    "dynamics/sampler.py",
    "dynamics/warp.py",
    "tokenizer/model.py",
    "backends/openvino_graph.py",
    "backends/openvino.py",
    "backends/tokenizer_graphs.py",
    "backends/calibrate.py",
    "backends/compiled.py",
)


def fingerprint(world: World, *more: str) -> str:
    """Return a hash, 16 hex digits, of a world's weights, settings, the code that runs them, and `more` (versions)."""
    digest = hashlib.blake2b(json.dumps([to_dict(world.config), *more]).encode(), digest_size=8)
    for pattern in SOURCES:
        for path in sorted(PACKAGE.glob(pattern)):
            digest.update(path.read_bytes())
    for module in (world.tokenizer, world.dynamics):
        for name, tensor in sorted(module.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.detach().float().cpu().contiguous().numpy())
    return digest.hexdigest()


def cache_folders(world: World) -> list[Path]:
    """Return the cache folders, first choice first; none for a world that was never saved."""
    if world.path is None:
        return []
    own = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return [Path(world.path) / ".engine", Path(own) / "worldling" / "engine"]


def find(world: World, name: str) -> Path | None:
    """Return the built file `name` of this world, if there is one."""
    return next((folder / name for folder in cache_folders(world) if (folder / name).is_file()), None)


def delete_stale(folder: Path, name: str) -> None:
    """Delete what older weights or code left of the kind of `name`, `<kind>-<fingerprint>...`, in a world's folder."""
    found = re.match(r"(.+?)-([0-9a-f]{16})", name)
    if found is None or folder.name != ".engine":  # the user's cache folder is shared by all worlds
        return
    for old in folder.glob(f"{found[1]}-*"):
        if found[2] not in old.name:
            old.unlink(missing_ok=True)


def writable_folder(world: World) -> Path | None:
    """Return the first cache folder that can be written, creating it if needed; None if there is none."""
    for folder in cache_folders(world):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            probe = folder / f".probe-{os.getpid()}"
            probe.touch()
            probe.unlink()
        except OSError:
            continue  # read-only, or not a folder: try the next; the caller reports which one was taken
        return folder
    return None
