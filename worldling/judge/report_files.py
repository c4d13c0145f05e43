"""Writes report.json for scripts and report.html for people, each whole or not at all."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from worldling.config import write_atomic
from worldling.errors import JudgeError


def check_out(out: str | Path) -> None:
    """Raise `JudgeError` now, not after the work, if the folder `out` cannot be written."""
    out = Path(out)
    there = next(path for path in (out, *out.absolute().parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise JudgeError(f"`out` must be a folder we can write, got {out}. Choose another.")


def write_report(report: dict[str, Any], html: str, out: str | Path) -> None:
    """Write report.html and report.json into the folder `out`. Raises `JudgeError` if it cannot be written."""
    out = Path(out)
    check_out(out)
    out.mkdir(parents=True, exist_ok=True)
    write_atomic(out / "report.html", html)
    write_atomic(out / "report.json", json.dumps(report, indent=2) + "\n")
