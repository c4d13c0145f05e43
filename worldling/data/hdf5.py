"""HDF5 files of strangers: only columns that lie in the file itself, in plain types, of a bounded size.

An HDF5 file can name other files (external storage, external links, virtual data sets), ask for filters that are
loaded as code, and claim any size. All of that is refused: a column is read from this file or not at all.
"""

from __future__ import annotations

from pathlib import Path

import h5py

from worldling.untrusted import regular_file

MOST_FILE_BYTES = 64 * 2**30
#: Of a chunk, which is unpacked whole: 16 frames of 1024 px take 48 MiB. Of a row.
MOST_CHUNK_BYTES, MOST_ROW_BYTES = 256 * 2**20, 64 * 2**20
#: gzip, shuffle, fletcher32 and lzf: filters that h5py brings along. Others would be loaded from elsewhere.
FILTERS = (h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32, h5py.h5z.FILTER_LZF)


class ForeignColumn(OSError):
    """Something in an HDF5 file that is not read, said in a few words."""


def open_file(path: Path, inside: Path | None = None, cache_bytes: int = 2**20) -> h5py.File:
    """Open an HDF5 file for reading.

    inside: a folder that no link may lead out of; cache_bytes: of unpacked chunks, for each column. Raises `OSError`.
    """
    try:
        regular_file(path, MOST_FILE_BYTES, inside)
    except ValueError as error:
        raise ForeignColumn(str(error)) from None
    return h5py.File(path, "r", rdcc_nbytes=cache_bytes)


def item(group: h5py.Group, name: str) -> h5py.Group | h5py.Dataset | None:
    """Return what `group` holds under `name`, a path with slashes; None if nothing. Follows no links.

    Raises `ForeignColumn` for a link or a column as in `check_column`.
    """
    found: h5py.Group | h5py.Dataset = group
    for part in name.split("/"):
        if not isinstance(found, h5py.Group):
            return None
        link = found.get(part, getlink=True)
        if link is None:
            return None
        if not isinstance(link, h5py.HardLink):
            raise ForeignColumn(f"its {name} is a link to elsewhere")
        found = found[part]
    if isinstance(found, h5py.Dataset):
        check_column(found, name)
    return found


def check_column(column: h5py.Dataset, name: str) -> None:
    """Raise `ForeignColumn` unless a column lies in its own file, has a plain type and known filters."""
    plan = column.id.get_create_plist()
    if column.is_virtual or column.external:
        raise ForeignColumn(f"its {name} lies in another file")
    if any(plan.get_filter(i)[0] not in FILTERS for i in range(plan.get_nfilters())):
        raise ForeignColumn(f"its {name} needs a filter that is not known here")
    if column.dtype.kind not in "biufS" and h5py.check_string_dtype(column.dtype) is None:
        raise ForeignColumn(f"its {name} is of type {column.dtype}")
    for shape, most, what in (
        (column.chunks or (), MOST_CHUNK_BYTES, "chunks"),
        (column.shape[1:] if column.shape else (), MOST_ROW_BYTES, "rows"),
    ):
        size = column.dtype.itemsize
        for n in shape:
            size *= int(n)
        if size > most:
            raise ForeignColumn(f"its {name} has {what} of {size:,} bytes")
