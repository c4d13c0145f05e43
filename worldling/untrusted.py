"""Reading what a stranger made: files, json and names, bounded before they are used.

All that lies in a world's folder or a data set is data. Nothing of it is executed or imported, no link leads out of the
folder, and no size that a file claims is believed before it is compared with a limit.
"""

from __future__ import annotations

import json
import re
import stat
import unicodedata
from pathlib import Path
from typing import Any

from worldling.errors import ConfigError

#: Largest json file that is read, and how deeply its lists and objects may be nested.
MOST_JSON_BYTES, MOST_DEPTH = 8 * 2**20, 40
LONGEST_NAME = 1000
_TOKENS = re.compile(r'"(?:[^"\\]|\\.)*+"|[\[{]|[\]}]', re.DOTALL)
#: Unicode categories of what must not reach a terminal, a header or a page: control characters and lone surrogates.
_CONTROL = ("Cc", "Cs")
_DIRECTION = "\u2028\u2029\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"  # lines, text direction


def has_control(text: str) -> bool:
    """Say whether `text` has characters that steer what shows it: control characters, line ends, text direction."""
    return any(unicodedata.category(c) in _CONTROL or c in _DIRECTION for c in text)


def printable(text: str) -> str:
    """Return `text` with the characters of `has_control` written as escapes, for terminals."""
    return "".join(c.encode("unicode_escape").decode() if has_control(c) else c for c in text)


def check_name(text: str, name: str) -> None:
    """Raise `ConfigError` unless `text` is a string of at most 1000 characters without control characters.

    name: of the setting, said in the error.
    """
    if not isinstance(text, str) or len(text) > LONGEST_NAME or has_control(text):
        shown = ascii(text if len(str(text)) <= 60 else f"{str(text)[:60]}...")
        raise ConfigError(
            f"`{name}` must be text of at most {LONGEST_NAME} characters without control characters, got {shown}. "
            "Write plain text."
        )


def check_texts(value: Any, name: str) -> None:
    """Check every string and key in nested json values as `check_name` does. Raises `ConfigError`."""
    if isinstance(value, dict):
        for key, item in value.items():
            check_name(key, f"a key of {name}")
            check_texts(item, f"{name}.{key}")
    elif isinstance(value, (list, tuple)):
        for item in value:
            check_texts(item, name)
    elif isinstance(value, str):
        check_name(value, name)


def parse_json(data: bytes | str) -> Any:
    """Return json values. Raises `ValueError`, also for text that is too large or too deeply nested."""
    if len(data) > MOST_JSON_BYTES:
        raise ValueError(f"{len(data):,} bytes of json, more than {MOST_JSON_BYTES:,}")
    text = data.decode() if isinstance(data, bytes) else data
    depth = 0
    for token in _TOKENS.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(token[0], 0)
        if depth > MOST_DEPTH:
            raise ValueError(f"lists in lists more than {MOST_DEPTH} deep")
    return json.loads(text)


def regular_file(path: str | Path, most_bytes: int, inside: Path | None = None) -> int:
    """Return the size of the file at `path` in bytes.

    inside: a folder that no link may lead out of. Raises `ValueError` if it is no regular file (a pipe or device could
    be read for ever), if it is larger than `most_bytes`, or lies elsewhere; `OSError` if it is not there.
    """
    path = Path(path)
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise ValueError("something that is no regular file")
    if inside is not None and not path.resolve().is_relative_to(inside.resolve()):
        raise ValueError(f"a link that leads out of {inside}")
    if found.st_size > most_bytes:
        raise ValueError(f"{found.st_size:,} bytes, more than {most_bytes:,}")
    return found.st_size


def read_bytes(path: str | Path, most_bytes: int, inside: Path | None = None) -> bytes:
    """Return what is in a file, after `regular_file`; raises as it does."""
    size = regular_file(path, most_bytes, inside)
    with Path(path).open("rb") as file:
        return file.read(size)


def read_json_file(path: str | Path, inside: Path | None = None) -> Any:
    """Return the json values in a file, after the checks of `regular_file` and `parse_json`; raises as they do."""
    return parse_json(read_bytes(path, MOST_JSON_BYTES, inside))
