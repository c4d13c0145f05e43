"""The command `worldling record`: its options, and recording by playing."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from typing import Any

from worldling.cli.options import count, parse_pairs
from worldling.errors import ConfigError

Command = Callable[..., argparse.ArgumentParser]


def add_record(command: Command, run: Callable[[argparse.Namespace], Any]) -> None:
    """Add `worldling record`, which is done by `run`."""
    p = command(
        "record",
        run,
        "record a Gymnasium environment that has pixels into a data set",
        "what was recorded is kept. Add --resume to continue.",
    )
    p.add_argument(
        "env",
        help="Gymnasium id, such as ALE/Pong-v5; of your own: my_game.py:MyGame, or my_game:MyGame-v0 (module:id)",
    )
    p.add_argument("--out", required=True, help="folder of the data set")
    p.add_argument("--frames", type=count, default=20000, help="number of frames to record, such as 20000 or 20k")
    p.add_argument(
        "--policy",
        default="sticky",
        help="random, sticky, a mixture such as sticky:0.7,random:0.3, module:callable, file.py:callable, or human: "
        "play it yourself in the browser",
    )
    p.add_argument("--size-px", default="64", help="side of the square frames, or WIDTHxHEIGHT such as 96x72")
    p.add_argument("--fit", default="pad", help="what is done to pictures of another shape: pad, crop or squeeze")
    p.add_argument("--frame-skip", type=int, help="steps an action is repeated (default: the usual one, 4 for ALE)")
    p.add_argument("--workers", type=int, default=1, help="number of processes")
    p.add_argument("--seed", type=int, default=0, help="of the environment and the policy")
    p.add_argument(
        "--env-arg", action="append", default=[], metavar="NAME=VALUE", help="argument of the environment; repeatable"
    )
    p.add_argument("--resume", action="store_true", help="continue a recording that was stopped")
    p.add_argument("--port", type=int, default=8000, help="of the page, with --policy human; 0 takes any free one")
    p.add_argument("--no-browser", action="store_true", help="with --policy human, do not open a browser")


def record_by_hand(a: argparse.Namespace) -> dict[str, Any]:
    """Run `worldling record --policy human`."""
    from worldling.serve.human import record_by_playing

    if a.workers != 1:
        raise ConfigError(f"`workers` must be 1 with --policy human, got {a.workers}. One page plays one game.")

    def announce(url: str) -> None:
        print(json.dumps({"url": url, "records_to": a.out}), file=a.answers, flush=True)

    return record_by_playing(
        a.env,
        a.out,
        a.frames,
        a.size_px,
        a.frame_skip,
        a.seed,
        parse_pairs(a.env_arg, "env-arg"),
        a.resume,
        a.json,
        a.fit,
        port=a.port,
        open_browser=not a.no_browser,
        announce=announce if a.json else None,
    )
