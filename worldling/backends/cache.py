"""Cache of built graphs, in the user's own cache folder.

That is `WORLDLING_CACHE`, else `XDG_CACHE_HOME`/worldling, else ~/.cache/worldling, and never a world's folder, which
may come from a stranger: a graph is code. A cached graph is named by a hash of the world's weights and settings and of
the code that made it, and has a keyed checksum (HMAC-SHA256) beside it. The key is a file that only this user can read.
What does not match is built again.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from worldling.config import to_dict
from worldling.world import World
from worldling.world_files import weights_of

PACKAGE = Path(__file__).parent.parent
# The code that decides what a graph computes. A change in it makes all cached graphs stale.
SOURCES = (
    "types.py",
    "tick.py",
    "state.py",
    "world.py",
    "backend.py",
    "nn/*.py",
    "dynamics/keypoints.py",
    "dynamics/model.py",
    "dynamics/outcome.py",
    "dynamics/sampler.py",
    "dynamics/warp.py",
    "tokenizer/model.py",
    "backends/openvino_graph.py",
    "backends/openvino.py",
    "backends/openvino_cells.py",
    "backends/small_graphs.py",
    "backends/calibrate.py",
    "backends/compiled.py",
)
#: Bytes that all cached graphs may take; beyond them the least recently used go.
MOST_BYTES = 2 * 2**30
KEY_BYTES = 32
SEAL = ".hmac"  # ending of the file with the checksum
CACHED = "from the cache"
#: Files in a world's folder that look like compiled graphs: they are ignored.
GRAPHS = (".engine", "*.pt2", "*.xml", "*.bin")


class Found(NamedTuple):
    """What the cache holds of a graph: its file, or None; and a phrase on how it comes about."""

    path: Path | None
    origin: str


def fingerprint(world: World, *more: str, clips: bool = False) -> str:
    """Return a hash, 32 hex digits, of a world's weights, settings, the code that runs them, and `more` (versions).

    clips: also of the clips it starts from, for what is calibrated on them.
    """
    digest = hashlib.blake2b(json.dumps([to_dict(world.config), *more]).encode(), digest_size=16)
    for pattern in SOURCES:
        for path in sorted(PACKAGE.glob(pattern)):
            digest.update(path.read_bytes())
    for name, tensor in sorted(weights_of(world).items()):
        digest.update(name.encode())
        digest.update(tensor.detach().float().cpu().contiguous().numpy().data)
    for clip in world.contexts if clips else ():
        for array in (clip.frames, clip.actions):
            digest.update(f"{array.dtype} {array.shape}".encode())
            digest.update(array.tobytes())
    return digest.hexdigest()


def cache_folder() -> Path | None:
    """Return the folder of cached graphs, whether it is there or not; None for a user without a home."""
    own = os.environ.get("WORLDLING_CACHE")
    try:
        return Path(own) if own else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "worldling"
    except RuntimeError:  # no home folder is known
        return None


def find(world: World, name: str) -> Found:
    """Return the cached graph `name` of this world, its file with this user's checksum still matching, if any.

    Cost: reading the file once.
    """
    folder = _open_folder(make=False) if world.path is not None else None
    if folder is None or not (folder / name).is_file():
        return Found(None, "built now")
    key = _key(folder, make=False)
    try:
        seal = (folder / f"{name}{SEAL}").read_text()
        matches = key is not None and hmac.compare_digest(seal, _checksum(key, folder, name))
    except (OSError, ValueError, TypeError):  # no checksum, or not one of ours
        matches = False
    if not matches:
        return Found(None, "built now, as the cached graph did not match its checksum")
    os.utime(folder / name)
    return Found(folder / name, CACHED)


def keep(world: World, name: str, write: Callable[[Path], None], origin: str = "built now") -> Found:
    """Cache a graph: `write(path)` makes its file, of that `name`, in a folder of its own.

    Files of the same stem belong to it (an .xml has a .bin). Returns where it lies now, None if it is not cached, and
    `origin` with a phrase that says so. Raises what `write` raises.
    """
    folder = _open_folder(make=True) if world.path is not None else None
    key = None if folder is None else _key(folder, make=True)
    if folder is None or key is None:
        why = "the world has no folder" if world.path is None else f"{cache_folder()} cannot be used"
        return Found(None, f"{origin}, not cached since {why}")
    with tempfile.TemporaryDirectory(dir=folder, prefix=".new-") as temporary:
        fresh = Path(temporary)
        write(fresh / name)
        (fresh / f"{name}{SEAL}").write_text(_checksum(key, fresh, name))
        for part in sorted(fresh.iterdir()):
            if part.name != name:
                os.replace(part, folder / part.name)
        os.replace(fresh / name, folder / name)  # last: a graph that is there is complete
    _trim(folder, name)
    return Found(folder / name, f"{origin}, cached in {folder}")


def foreign_graphs(folder: Path | None) -> list[str]:
    """Return the names of what looks like compiled graphs in a world's folder. They are not read."""
    if folder is None:
        return []
    return sorted({path.name for pattern in GRAPHS for path in folder.glob(pattern)})


def _open_folder(make: bool) -> Path | None:
    """Return the cache folder if it is this user's alone to write in; None if it is not, or cannot be made."""
    folder = cache_folder()
    if folder is None:
        return None
    try:
        if make:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        found = folder.stat()
    except OSError:  # not there, read-only or no folder
        return None
    if not stat.S_ISDIR(found.st_mode) or (make and not os.access(folder, os.W_OK)):
        return None
    return folder if _is_own(found, stat.S_IWGRP | stat.S_IWOTH) else None


def _key(folder: Path, make: bool) -> bytes | None:
    """Return this user's secret key; one that others could have read or written is replaced, with `make`."""
    path = folder / "key"
    for _ in range(2):
        try:
            handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
            with os.fdopen(handle, "rb") as file:
                found, data = os.fstat(file.fileno()), file.read(KEY_BYTES + 1)
            if len(data) == KEY_BYTES and _is_own(found, stat.S_IRWXG | stat.S_IRWXO):
                return data
        except OSError:  # none yet, or a link
            pass
        if not make:
            return None
        try:
            _make_key(path)
        except OSError:
            return None
    return None


def _make_key(path: Path) -> None:
    """Write a new key, whole or not at all, in place of what is there; if another process was first, its key stays."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".key-")  # of mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
        if path.exists() or path.is_symlink():
            os.replace(temporary, path)
        else:
            with contextlib.suppress(FileExistsError):
                os.link(temporary, path)  # unlike a rename, leaves the key of a process that was first
    finally:
        Path(temporary).unlink(missing_ok=True)


def _is_own(found: os.stat_result, forbidden: int) -> bool:
    """Say whether a file belongs to this user, and others have none of the `forbidden` rights; always on Windows."""
    return os.name == "nt" or (found.st_uid == os.getuid() and not found.st_mode & forbidden)


def _checksum(key: bytes, folder: Path, name: str) -> str:
    """Return the keyed checksum of graph `name`: of its name and of the name, length and content of its files."""
    digest = hmac.new(key, json.dumps(name).encode(), hashlib.sha256)
    stem = name.rpartition(".")[0]
    for part in sorted({folder / name, folder / f"{stem}.bin"}):
        if part.is_file():
            data = part.read_bytes()
            digest.update(json.dumps([part.name, len(data)]).encode())
            digest.update(data)
    return digest.hexdigest()


def _trim(folder: Path, newest: str) -> None:
    """Delete the least recently used graphs while all together take more than `MOST_BYTES`, but not the `newest`."""
    for left in folder.glob(".new-*"):  # of a run that was killed: a day old, so that none is in use
        if left.stat().st_mtime < time.time() - 86400:
            shutil.rmtree(left, ignore_errors=True)
    graphs = sorted((p for p in folder.glob("*") if p.suffix in (".xml", ".pt2")), key=lambda p: p.stat().st_mtime)
    parts = {graph: list(folder.glob(f"{graph.stem}.*")) for graph in graphs}
    total = sum(p.stat().st_size for group in parts.values() for p in group)
    for graph in graphs:
        if total <= MOST_BYTES:
            return
        if graph.name != newest:
            total -= sum(p.stat().st_size for p in parts[graph])
            for part in (graph, *parts[graph]):
                part.unlink(missing_ok=True)
