"""One writer at a time in a folder: a lock that the system takes back when its holder dies, however it dies."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from worldling.errors import DatasetError, DiskFullError


@contextmanager
def only_writer(path: Path, name: str, done: str) -> Iterator[None]:
    """Hold the lock of folder `path`, which is made if need be.

    name: of the lock's file; done: what one process at a time does to the folder, such as "recorded". Raises
    `DatasetError` if another process holds it, or nothing can be written there.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        descriptor = _take(path, name, done)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFullError(f"`{path}` must fit on the disk, got {error}. Free some space.") from None
        raise DatasetError(f"`{path}` must be a folder to write to, got {error}. Take another.") from None
    try:
        yield
    finally:
        (path / name).unlink(missing_ok=True)
        os.close(descriptor)


def _take(path: Path, name: str, done: str) -> int:
    """Return the open, locked file."""
    file = path / name
    while True:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            _lock(descriptor)
            os.truncate(descriptor, 0)
            os.write(descriptor, str(os.getpid()).encode())
            if file.exists() and os.fstat(descriptor).st_ino == file.stat().st_ino:
                return descriptor
        except (BlockingIOError, PermissionError):
            holder = os.read(descriptor, 20).decode(errors="replace") or "unknown"
            os.close(descriptor)
            raise DatasetError(
                f"`{path}` must be {done} by one process at a time, got another at work in it (number {holder}). "
                "Wait for it, or choose another --out."
            ) from None
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS):
                os.close(descriptor)
                raise
            print(f"{path} lies on a disk without locks: let no other process write to it", file=sys.stderr, flush=True)
            return descriptor
        os.close(descriptor)  # the one before deleted its file between our two calls: begin again


def _lock(descriptor: int) -> None:
    """Lock an open file for this process, or raise `BlockingIOError` or `PermissionError` at once."""
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
