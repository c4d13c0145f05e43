"""The commands `worldling compress` and `worldling ladder`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any

from worldling.cli.options import count

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
        metavar="N",
        help="bits of a weight on average, 1.5 to 8.5 with their scales: most for the weights that matter most. "
        "The file gets smaller, not the time: weights are unpacked when the world is loaded. With --minutes they are "
        "then trained, rounded in every step, with this world as the teacher: for less than about 4 bits",
    )
    p.add_argument(
        "--sparse",
        metavar="PATTERN",
        help="attention within windows and to summaries of the frame, such as window:4+global:8, or linear; trains on "
        "--data. Pays from about 500 tokens a frame on",
    )
    p.add_argument(
        "--size",
        metavar="SIZE",
        help="smaller dynamics, xs to l (see worldling train), that learn from the data and from this world",
    )
    p.add_argument(
        "--prune",
        type=float,
        metavar="SHARE",
        help="share of the channels inside the MLPs to go, such as 0.5: those that are missed least; then trains on "
        "--data, with this world as the teacher, unless --minutes 0",
    )
    p.add_argument("--data", help="to train on (default: what the world was trained on)")
    p.add_argument("--minutes", type=float, help="of training (default: 15; none for --bits)")


def add_ladder(command: Command) -> None:
    """Add `worldling ladder`."""
    kept = "what was measured is kept. Run the same command again to continue."
    p = command("ladder", _ladder, "make a world cheaper step by step, each step beside what it costs in truth", kept)
    p.add_argument("world", help="folder of a world, or name of a bundled one")
    p.add_argument("--data", required=True, help="a data set the world has not seen")
    p.add_argument(
        "--out",
        metavar="FOLDER",
        help="for ladder.html and ladder.json (default: ladder/ in the world, where worldling play finds the best row)",
    )
    p.add_argument(
        "--target-drop", type=float, default=0.9, metavar="POINTS",
        help="points of 100 that the last row may lose of any share, by the upper end of its interval",
    )  # fmt: skip
    p.add_argument(
        "--with", action="append", default=[], metavar="FOLDER", dest="also",
        help="a form of the world that worldling compress made, as a row of its own; repeatable",
    )  # fmt: skip
    p.add_argument(
        "--forms", default="int8,pruned,bits,delta", metavar="KINDS",
        help="which cheaper forms are made and tried, with commas; none for those of --with alone",
    )  # fmt: skip
    p.add_argument("--starts", type=count, default=1000, help="held-out starts of roll-outs")
    p.add_argument("--horizon", type=count, default=10, help="frames ahead at which is looked")
    p.add_argument("--seconds", type=float, default=3.0, help="of timing for each row and batch size")


def _ladder(a: argparse.Namespace) -> dict[str, Any] | None:
    from worldling.compress.ladder import ladder
    from worldling.compress.ladder_page import ladder_text
    from worldling.report.values import to_json
    from worldling.world_files import BUNDLED, find_world

    if a.out is None:
        source = find_world(a.world)
        a.out = f"ladder/{source.name}" if source.parent == BUNDLED else str(source / "ladder")
    forms = [] if a.forms == "none" else a.forms.split(",")
    found = ladder(a.world, a.data, a.out, a.target_drop, a.starts, a.horizon, a.seconds, a.json, a.also, forms)
    if a.json:
        return {"ladder": to_json(found)}
    print(ladder_text(found), file=a.answers)
    print(f"{a.out}/ladder.html", file=sys.stderr)
    return None


def _compress(a: argparse.Namespace) -> dict[str, Any] | None:
    from worldling.machine import wait_briefly

    wait_briefly()
    from worldling.compress.run import compress
    from worldling.report.values import to_json

    found = compress(a.world, a.out, a.bits, a.sparse, a.size, a.prune, a.data, a.minutes, quiet=a.json)
    if a.json:
        return {"compressed": to_json(found)}
    ratio = found.megabytes_before / found.megabytes
    packed = "" if found.mean_bits is None else f" ({found.mean_bits:.2f} bits a weight)"
    print(
        f"{found.path}: {found.megabytes:.2f} MB, {ratio:.1f} times smaller than float32{packed}\n"
        f"  its roll-outs are those of the original at {found.psnr_db:.1f} dB over the first frames; to know what that "
        f"means: worldling judge {found.path} {a.world} --data DATA",
        file=sys.stderr,
    )
    return None
