"""The command `worldling compress`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any

Command = Callable[..., argparse.ArgumentParser]


def add_compress(command: Command) -> None:
    """Add `worldling compress`."""
    kept = "what was measured is kept. Run the same command again to continue."
    p = command("compress", _compress, "make a world smaller, and say what that changes", kept)
    p.add_argument("world", help="folder of a world, or name of a bundled one")
    p.add_argument("--out", required=True, metavar="FOLDER", help="the smaller world; run again to go on")
    p.add_argument(
        "--bits",
        type=float,
        required=True,
        metavar="N",
        help="bits of a weight on average, 1.5 to 8.5 with their scales: most for the weights that matter most. "
        "The file gets smaller, not the time: weights are unpacked when the world is loaded",
    )


def _compress(a: argparse.Namespace) -> dict[str, Any] | None:
    from worldling.compress.run import compress
    from worldling.report.values import to_json

    found = compress(a.world, a.out, a.bits, a.json)
    if a.json:
        return {"compressed": to_json(found)}
    ratio = found.megabytes_before / found.megabytes
    print(
        f"{found.path}: {found.megabytes:.2f} MB, {ratio:.1f} times smaller than float32 "
        f"({found.mean_bits:.2f} bits a weight)\n"
        f"  its roll-outs are those of the original at {found.psnr_db:.1f} dB over the first frames; to know what that "
        f"means: worldling judge {found.path} {a.world} --data DATA",
        file=sys.stderr,
    )
    return None
